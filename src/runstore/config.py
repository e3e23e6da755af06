"""Settings: `[tool.runstore]` of the project file, and environment variables."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Mapping
from os.path import join

from runstore.errors import StoreUnavailableError, UsageError, genuine, shown
from runstore.model import arguments
from runstore.model.values import clean_text
from runstore.storage.sqlite.paths import (
    is_own_uid,
    mode_of,
    read_plain_file,
    with_parents,
)
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from runstore.storage.sqlite.paths import AnyPath

    IfDone = Literal["run", "warn", "skip", "error"]

PROJECT_FILE = "pyproject.toml"
_TABLE = "[tool.runstore"
_LARGEST_PROJECT_FILE = 16 << 20

# Settings that are true or false, with their defaults: record system metrics, keep the output of
# scripts, mask secrets in it, and read parameters from the command line of `runstore exec`.
SWITCHES = {"system-samples": True, "output": True, "mask-output": False, "exec-params": True}
# The settings that `[tool.runstore]` can have.
SETTINGS = ("experiments", "params", "store", "if-done", *SWITCHES)

# Actions if the same was run before.
IF_DONE: tuple[IfDone, ...] = ("run", "warn", "skip", "error")


def is_folder(path: AnyPath) -> bool:
    """Check whether a folder exists; False also if this user cannot read its parent."""
    return stat.S_ISDIR(mode_of(path))


def is_there(path: AnyPath) -> bool:
    """Check whether a path exists; False also if this user cannot read its parent."""
    return mode_of(path) != 0


def working_directory() -> str:
    """Return the working directory.

    Raises:
        StoreUnavailableError: It was deleted.
    """
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise StoreUnavailableError(
            "The working directory was deleted, so there is no place to look for a store.",
            hint="Change to a folder that exists, or set RUNSTORE_URL to the store.",
        ) from error


def project_settings(here: str) -> tuple[Mapping[str, Any], str]:
    """Return `[tool.runstore]` of the nearest pyproject.toml that has it, and its folder.

    Without such a file, return no settings and the folder that was passed.
    """
    for folder in with_parents(here):
        file = join(folder, PROJECT_FILE)
        try:
            contents, found = read_plain_file(file, _LARGEST_PROJECT_FILE)
        except genuine(PermissionError) as error:
            if is_usable(file, here):
                _warn_of_unreadable(file, error.strerror)
            continue
        except genuine(OSError):
            continue
        # The parser is only loaded for a file with settings.
        if b"runstore" not in contents:
            continue
        if not is_usable(file, here, found):
            if _TABLE.encode() in contents:
                from runstore.storage.trust import foreign_stores

                foreign_stores.leave_out_settings(file)
            continue
        settings = _parse(contents, file)
        if settings is not None:
            return settings, folder
    return {}, here


def is_usable(path: AnyPath, here: AnyPath, found: os.stat_result | None = None) -> bool:
    """Check whether a file or folder can be used that was found, not named by the user.

    It can if it, and any link to it, belong to this user or are in a folder that this user
    trusts. Root also trusts the owner of the working directory, as in a container.

    Args:
        path: The file or folder.
        here: The working directory.
        found: The status of the file or folder.
    """
    try:
        found = found or os.stat(path)
        owners = {found.st_uid, os.lstat(path).st_uid}
        strangers = {uid for uid in owners if not is_own_uid(uid)}
        if strangers and os.geteuid() == 0:
            strangers.discard(os.stat(here).st_uid)
    except genuine(OSError):
        return False
    if not strangers:
        return True
    from runstore.storage.trust.trusted import is_trusted

    return is_trusted(path)


def settings_here() -> Mapping[str, Any]:
    """Return the project's settings; none if the working directory was deleted."""
    try:
        settings, project = project_settings(working_directory())
    except StoreUnavailableError:
        return {}
    warn_of_unknown(tuple(settings), project)
    return settings


@functools.lru_cache(maxsize=8)
def _parse(contents: bytes, file: str) -> Mapping[str, Any] | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tools = tomllib.loads(contents.decode()).get("tool")
    except ValueError as error:  # also of bytes that are not UTF-8
        raise UsageError(f"{file} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise UsageError(f"{file} cannot be read: it is nested too deeply.") from error
    settings = tools.get("runstore") if isinstance(tools, dict) else None
    return settings if isinstance(settings, dict) else None


@functools.lru_cache(maxsize=8)
def _warn_of_unreadable(file: str, reason: str) -> None:
    """Warn of a project file of this user without permission to read it, once for each file."""
    warn(f"{file} cannot be read: {reason}. If it has settings for runstore, they are not used.")


@functools.lru_cache(maxsize=8)
def warn_of_unknown(names: tuple[str, ...], project: str) -> None:
    """Warn of misspelt settings, once for each file: they have no effect."""
    for name in names:
        if name not in SETTINGS:
            from runstore.model.display.suggestions import hint_of

            warn(
                f"[tool.runstore] in {join(project, PROJECT_FILE)} has an unknown setting"
                f" {name!r}, which has no effect. {hint_of(name, SETTINGS, who='Known')}"
            )


def is_variable_off(name: str) -> bool:
    """Return whether the variable of a setting, such as `RUNSTORE_OUTPUT`, turns it off."""
    return os.environ.get(_variable(name), "").strip().lower() in {"0", "false", "no", "off"}


def _variable(name: str) -> str:
    return f"RUNSTORE_{name.replace('-', '_').upper()}"


def is_on(name: str, here: str | None = None) -> bool:
    """Return a setting of `SWITCHES` from its variable, the project's settings, or its default.

    Args:
        name: The setting, such as `mask-output`; its variable is `RUNSTORE_MASK_OUTPUT`.
        here: The folder whose project is used; None for the working directory.

    Raises:
        UsageError: The setting is not a boolean.
    """
    if os.environ.get(_variable(name)):
        return not is_variable_off(name)
    settings = settings_here() if here is None else project_settings(here)[0]
    wanted = settings.get(name, SWITCHES[name])
    if not isinstance(wanted, bool):
        raise UsageError(f"{name} is true or false, not {shown(wanted)}.")
    return wanted


def wanted_if_done() -> IfDone | None:
    """Return `if-done` of the project's settings; None if it is not set.

    Raises:
        UsageError: The value is not one of the choices.
    """
    wanted = settings_here().get("if-done")
    return None if wanted is None else checked_if_done(wanted, "if-done")


def checked_if_done(wanted: object, name: str = "if_done") -> IfDone:
    """Return the action if the same was run before.

    Raises:
        UsageError: The value is not one of the choices.
    """
    if wanted not in IF_DONE:
        raise UsageError(
            f"{name} cannot be {shown(wanted)}.", hint=f"Use one of: {', '.join(IF_DONE)}."
        )
    return next(one for one in IF_DONE if one == wanted)


def author_named(author: object) -> str:
    """Return the author of an edit: the named author, or else the user of this process.

    Raises:
        UsageError: The author is not a text, or too long.
    """
    return arguments.name_or_none(author, "author", "ada") or current_author()


def current_author() -> str:
    """Return the author of edits made by this process."""
    try:
        import getpass

        return clean_text(getpass.getuser())  # of a variable, which may contain any bytes
    except genuine(KeyError, OSError, ImportError):
        return "unknown"
