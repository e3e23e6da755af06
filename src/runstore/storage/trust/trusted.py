"""Trusted folders of other users: a list in the user's configuration, and a variable.

As with git's `safe.directory`, a store or a project file of another user above the working
directory is used only if the user opted in.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.errors import StoreUnavailableError, UsageError, genuine, suppressed
from runstore.storage.sqlite.paths import is_own_uid, read_plain_file, sync_folder

if TYPE_CHECKING:
    from runstore.storage.sqlite.paths import AnyPath

VARIABLE = "RUNSTORE_TRUST"
EVERYTHING = "*"
_LIST = Path("runstore", "trusted-folders")
_HEAD = ["# Folders whose stores this user trusts, one a line; see `runstore trust --help`."]
_LARGEST = 1 << 20


def is_trusted(path: AnyPath) -> bool:
    """Check whether a file or folder of another user may be used.

    It may if it is in a trusted folder, or is one, and belongs to that folder's owner or group.
    The group does not count if everybody can write to the folder.
    """
    try:
        real, found = os.path.realpath(path), os.stat(path)
    except genuine(OSError):
        return False
    for entry in (*_of_variable(), *listed()):
        if entry == EVERYTHING:
            return True
        folder = os.path.realpath(entry)
        if real != folder and not real.startswith(folder.rstrip(os.sep) + os.sep):
            continue
        with suppressed(OSError):
            about = os.stat(folder)
            is_everybodys = about.st_mode & stat.S_IWOTH
            if found.st_uid == about.st_uid or (
                found.st_gid == about.st_gid and not is_everybodys
            ):
                return True
    return False


def _of_variable() -> Iterator[str]:
    for one in os.environ.get(VARIABLE, "").split(os.pathsep):
        if one == EVERYTHING or os.path.isabs(one):
            yield one


def listed() -> list[str]:
    """Return the folders in this user's list, in the order in which they were added.

    If another user could have written the list, it counts as empty.
    """
    lines = _lines()
    return [one for one in lines if one == EVERYTHING or os.path.isabs(one)]


def _lines() -> list[str]:
    path = list_file()
    if path is None:
        return []
    try:
        text, found = read_plain_file(path, _LARGEST)
    except genuine(OSError):
        return []
    return os.fsdecode(text).splitlines() if _is_honest(found) else []


def _is_honest(found: os.stat_result) -> bool:
    return is_own_uid(found.st_uid) and not found.st_mode & stat.S_IWOTH


def list_file() -> Path | None:
    """Return the path of the list; None for a user without a home.

    Source: XDG Base Directory 0.8: a relative path in the variable is ignored.
    """
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.config")
    return Path(base) / _LIST if os.path.isabs(base) else None


def trust(folder: str) -> None:
    """Add a folder, or `*` for all of them, to the list, once.

    Raises:
        UsageError: It cannot be listed.
        StoreUnavailableError: The list cannot be written.
    """
    if folder.splitlines() != [folder]:
        raise UsageError(f"The path {folder!r} has a line break, so it cannot be listed.")
    if folder not in listed():
        _rewrite([*(_lines() or _HEAD), folder])


def distrust(folder: str) -> bool:
    """Remove a folder from the list; return whether it was listed."""
    before = _lines()
    after = [one for one in before if one != folder]
    if before != after:
        _rewrite(after)
    return before != after


def _rewrite(lines: Sequence[str]) -> None:
    path = list_file()
    if path is None:
        raise UsageError(
            "Your home folder is unknown, so there is no place for the list of trusted folders.",
            hint=f"Set HOME, or name the folders in {VARIABLE}.",
        )
    target = Path(os.path.realpath(path))  # a link to the list stays a link
    aside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.exists() and not _is_honest(target.stat()):
            raise PermissionError(None, "other users can write it, or it belongs to another user")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(os.fsencode("".join(f"{one}\n" for one in lines)))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
            sync_folder(target.parent)
        finally:
            aside.unlink(missing_ok=True)
    except genuine(OSError) as error:
        raise StoreUnavailableError(
            f"{path} cannot be written: {error.strerror or error}.",
            kept="The list of trusted folders was not changed.",
            hint=f"Check the permissions of the file, or name the folders in {VARIABLE}.",
        ) from error


def owner_name(uid: int) -> str:
    """Return the name of a user, or "the user" and the number if it has none."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return f"the user {uid}"
