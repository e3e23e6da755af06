"""The store to use: argument, RUNSTORE_URL, project file, nearest `.runstore`."""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from runstore.errors import InvalidValueError, StoreUnavailableError, UsageError
from runstore.model import arguments
from runstore.model.values import clean_text
from runstore.started_in import STARTED_IN
from runstore.storage.sqlite.paths import (
    DATABASE,
    is_own_uid,
    leave_to_owner,
    made_file,
    opened_folder,
    read_plain_file,
    sync_folder,
)
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.storage.postgres.location import ServerLocation

FOLDER = ".runstore"
_PROJECT_FILE = "pyproject.toml"
_SERVERS = frozenset({"postgresql", "postgres"})
_FILES_OF_STORES = ("store.json", "spool")
# In the folder on this machine of a store on a server.
_SERVER_NOTE = "server.txt"
_TABLE = "[tool.runstore"
_LARGEST_PROJECT_FILE = 16 << 20

# The settings that `[tool.runstore]` can have.
SETTINGS = (
    "experiments", "params", "store",
    "system-samples", "output", "mask-output", "if-done", "exec-params",
)  # fmt: skip

# Actions if the same was run before.
IfDone = Literal["run", "warn", "skip", "error"]
IF_DONE: tuple[IfDone, ...] = get_args(IfDone)


def find_store(location: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the store to use; see `find_place`.

    Raises:
        UsageError: The store is on a server.
    """
    place = find_place(location)
    if isinstance(place, Path):
        return place
    raise needs_folder("This call", str(place))


def needs_folder(what: str, shown: str) -> UsageError:
    """Return the error for an object that cannot use a store on a server.

    Args:
        what: The object.
        shown: The URL, without passwords.
    """
    return UsageError(
        f"{what} requires a store in a folder; {shown} is not available to it yet.",
        kept="Nothing was changed.",
        hint="Pass the path of a folder.",
    )


def server_at(location: str) -> ServerLocation | None:
    """Return the server of a URL; None if it is the location of a folder."""
    if location.partition("://")[0] not in _SERVERS:
        return None
    from runstore.storage.postgres.location import server_location

    return server_location(location)


def find_place(location: str | os.PathLike[str] | None = None) -> Path | ServerLocation:
    """Return the store to use: its folder, as an absolute path, or its server.

    The folder may not exist yet.

    Order: the argument; `RUNSTORE_URL`, relative to the folder that the program started in;
    `store` in `[tool.runstore]` of the nearest `pyproject.toml`, relative to that file; the
    nearest `.runstore` above the working directory. If the argument or the variable names the
    folder of a project, its store is used. A new store is created in the root of the git checkout;
    outside of git in the folder that the program started in, if the working directory is in it, or
    else in the working directory.

    A project file, a `.runstore` or a checkout of another user is skipped with a warning, unless
    this user trusts it; see `is_usable`.

    Raises:
        UntrustedStoreError: The location already has the store of another user.
        UsageError: The location is an unsupported URL, or not a path on a disk.
        StoreUnavailableError: The working directory was deleted.
    """
    if location is not None:
        place = _place_of(location, working_directory)
        return _store_in(place) if isinstance(place, Path) else place
    if url := os.environ.get("RUNSTORE_URL"):
        place = _place_of(url, _starting_folder)
        return _store_in(place) if isinstance(place, Path) else place
    here = working_directory()
    settings, project = project_settings(here)
    _warn_of_unknown(tuple(settings), project)
    if store := settings.get("store"):
        return _place_of(_text_of(store, project), lambda: project)
    above = (here, *here.parents)
    foreign: list[Path] = []
    for folder in above:
        store = folder / FOLDER
        if is_folder(store):
            if is_usable(store, here):
                break
            foreign.append(store)
    else:
        store = _place_for_new_store(above) / FOLDER
    if foreign:
        from runstore.storage.trust import foreign_stores

        foreign_stores.pass_over(foreign, store)
    return store


def _store_in(folder: Path) -> Path | ServerLocation:
    """Return the store of a project, if the folder is one; else the folder itself."""
    if is_there(folder / DATABASE):
        return folder
    if is_there(folder / _SERVER_NOTE):
        raise UsageError(
            f"{folder} belongs to a store on a server.",
            hint=f"Use its URL instead; {_SERVER_NOTE} contains it, without the password.",
        )
    if any(is_there(folder / name) for name in _FILES_OF_STORES):
        return folder
    if is_folder(folder / FOLDER):
        return folder / FOLDER
    if is_there(folder / _PROJECT_FILE):
        settings, project = project_settings(folder)
        if project == folder and (store := settings.get("store")):
            return _place_of(_text_of(store, project), lambda: project)
    return folder


def _text_of(store: object, project: Path) -> str:
    if isinstance(store, str):
        return store
    raise UsageError(
        f"store in [tool.runstore] of {project / _PROJECT_FILE} is {store!r}.",
        hint="Use the path of a folder, as text.",
    )


@functools.lru_cache(maxsize=8)
def _warn_of_unknown(names: tuple[str, ...], project: Path) -> None:
    """Warn of misspelt settings, once for each file: they have no effect."""
    for name in names:
        if name not in SETTINGS:
            from runstore.model.display.suggestions import hint_of

            warn(
                f"[tool.runstore] in {project / _PROJECT_FILE} has an unknown setting {name!r},"
                f" which has no effect. {hint_of(name, SETTINGS, who='Known')}"
            )


def _place_for_new_store(above: Sequence[Path]) -> Path:
    """Return the folder for a new store.

    Args:
        above: The working directory and the folders above it.
    """
    here = above[0]
    for folder in above:
        checkout = folder / ".git"
        if is_there(checkout) and is_usable(checkout, here):
            return folder
    # A program that changes its working directory keeps its runs in one place.
    start = _starting_folder()
    return start if start in above else here


def check_place(store: Path) -> None:
    """Raise an error if another user may have created the store's location in advance.

    In a folder that all users can write to, such as /tmp, anyone can create a folder of any name.
    The working directory and all folders above it are trusted.

    Raises:
        UntrustedStoreError: Another user created a part of the path in such a folder.
    """
    try:
        here = os.getcwd()  # noqa: PTH109 - at every opening, as what follows
    except FileNotFoundError:  # it was deleted
        here = os.sep
    path = os.fspath(store)
    while not f"{here}{os.sep}".startswith(path.rstrip(os.sep) + os.sep):
        above = os.path.dirname(path)  # noqa: PTH120
        try:
            is_free_for_all = os.stat(above).st_mode & stat.S_IWOTH  # noqa: PTH116
            owner = os.lstat(path).st_uid
        except OSError:
            is_free_for_all = owner = 0
        if is_free_for_all and owner and not is_usable(Path(path), Path(here)):
            from runstore.storage.trust import foreign_stores

            raise foreign_stores.taken(Path(path))
        if above == path:
            return
        path = above


def check_can_be_made(store: Path) -> None:
    """Check early that a store can be created at this path.

    Raises:
        StoreUnavailableError: A part of the path is a file, or this user cannot write there.
        InvalidValueError: The path is not valid for a folder.
    """
    for folder in (store, *store.parents):
        try:
            is_one = stat.S_ISDIR(folder.stat().st_mode)
        except FileNotFoundError:
            if not folder.is_symlink():
                continue
            is_one = False
        except OSError as error:
            raise unreachable(store, error) from error
        except ValueError as error:
            raise InvalidValueError(f"{str(store)!r} cannot be a folder: {error}.") from error
        if not is_one:
            raise unreachable(store, NotADirectoryError(errno.ENOTDIR, "Not a directory"))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise unreachable(store, PermissionError(errno.EACCES, "Permission denied"))
        return


def warn_of_store_apart(store: Path) -> None:
    """Warn if a new store will not be found from the folder that the program started in."""
    if store.name != FOLDER or STARTED_IN is None:
        return
    start = Path(STARTED_IN)
    is_shared = store.parent in (start, *start.parents)
    if not is_shared and not is_folder(store):
        warn(
            f"The program started in {start}, and its runs are recorded in {store}. To keep the"
            " runs of all folders that it works in together, set RUNSTORE_URL, or `store` in"
            " [tool.runstore] of pyproject.toml."
        )


def _starting_folder() -> Path:
    return working_directory() if STARTED_IN is None else Path(STARTED_IN)


def _place_of(location: str | os.PathLike[str], base: Callable[[], Path]) -> Path | ServerLocation:
    """Read a folder, the database file in it, a URL of either, or the URL of a server.

    Args:
        location: The location, as passed by the user.
        base: Returns the folder that a relative location starts from.
    """
    text = arguments.path(location, "store")
    if not text.strip():
        raise UsageError("The location of the store is empty.", hint="Name a folder.")
    scheme, separator, rest = text.partition("://")
    if separator and (server := server_at(text)) is not None:
        return server
    if separator and len(scheme) > 1:
        text = _path_of_url(scheme, rest)
    path = _in_a_home(Path(text)) if text.startswith("~") else Path(text)
    if not path.is_absolute():
        path = base() / path
    if path.name == DATABASE and not is_folder(path):
        return path.parent
    return path


def _path_of_url(scheme: str, rest: str) -> str:
    """Return the path in `sqlite:///relative`, `sqlite:////absolute` or `file:///absolute`.

    Source: SQLAlchemy 2.0, Engine Configuration, SQLite; RFC 8089 for `file`.
    """
    if scheme not in {"sqlite", "file"}:
        raise UsageError(
            f"runstore does not know stores of the kind {scheme}://.",
            hint="Use a folder, sqlite:///relative/folder, sqlite:////absolute/folder or"
            " postgresql://user@host/database.",
        )
    if scheme == "file":
        from urllib.parse import unquote

        return unquote(rest.removeprefix("localhost"))
    path, _, options = rest.partition("?")
    path = path.removeprefix("/")
    if options or path in {"", ":memory:"}:
        raise UsageError(
            f"A store cannot be at {scheme}://{rest}: "
            + ("it takes no options." if options else "it is a folder on a disk."),
            hint="Use a folder, sqlite:///relative/folder or sqlite:////absolute/folder.",
        )
    return path


def _in_a_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"The home folder in {str(path)!r} is unknown.",
            hint=f"Use an absolute path; for a folder of this name, ./{path}.",
        ) from error


def is_folder(path: Path) -> bool:
    """Check whether a folder exists; False also if this user cannot read its parent."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises before Python 3.14


def is_there(path: Path) -> bool:
    """Check whether a path exists; False also if this user cannot read its parent."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises before Python 3.14


def working_directory() -> Path:
    """Return the working directory.

    Raises:
        StoreUnavailableError: It was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise StoreUnavailableError(
            "The working directory was deleted, so there is no place to look for a store.",
            hint="Change to a folder that exists, or name the store: Store.open(folder).",
        ) from error


def project_settings(here: Path) -> tuple[Mapping[str, Any], Path]:
    """Return `[tool.runstore]` of the nearest pyproject.toml that has it, and its folder.

    Without such a file, return no settings and the folder that was passed.
    """
    for folder in (here, *here.parents):
        file = folder / _PROJECT_FILE
        try:
            contents, found = read_plain_file(file, _LARGEST_PROJECT_FILE)
            text = contents.decode()
        except (OSError, UnicodeDecodeError):
            continue
        # The parser is only loaded for a file with settings.
        if "runstore" not in text:
            continue
        if not is_usable(file, here, found):
            if _TABLE in text:
                from runstore.storage.trust import foreign_stores

                foreign_stores.leave_out_settings(file)
            continue
        settings = _parse(text, file)
        if settings is not None:
            return settings, folder
    return {}, here


def is_usable(path: Path, here: Path, found: os.stat_result | None = None) -> bool:
    """Check whether a file or folder can be used that was found, not named by the user.

    It can if it, and any link to it, belong to this user or are in a folder that this user
    trusts. Root also trusts the owner of the working directory, as in a container.

    Args:
        path: The file or folder.
        here: The working directory.
        found: The status of the file or folder.
    """
    try:
        found = found or os.stat(path)  # noqa: PTH116 - at every start
        owners = {found.st_uid, os.lstat(path).st_uid}
        strangers = {uid for uid in owners if not is_own_uid(uid)}
        if strangers and os.geteuid() == 0:
            strangers.discard(here.stat().st_uid)
    except OSError:
        return False
    if not strangers:
        return True
    from runstore.storage.trust.trusted import is_trusted

    return is_trusted(path)


def _settings_here() -> Mapping[str, Any]:
    """Return the project's settings; none if the working directory was deleted."""
    try:
        settings, project = project_settings(working_directory())
    except StoreUnavailableError:
        return {}
    _warn_of_unknown(tuple(settings), project)
    return settings


@functools.lru_cache(maxsize=8)
def _parse(text: str, file: Path) -> Mapping[str, Any] | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        settings = tomllib.loads(text).get("tool", {}).get("runstore")
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}.") from error
    return settings if isinstance(settings, dict) else None


def wants_system_samples() -> bool:
    """Return whether runs record system metrics; the default is yes.

    Raises:
        UsageError: The setting is not a boolean.
    """
    return _switch("system-samples", is_on=True)


def wants_output(here: Path | None = None) -> bool:
    """Return whether runs keep the output of their scripts; the default is yes.

    Args:
        here: The folder whose project is used; None for the working directory.

    Raises:
        UsageError: The setting is not a boolean.
    """
    return _switch("output", is_on=True, here=here)


def wants_command_params() -> bool:
    """Return whether `runstore exec` reads parameters from the command line; the default is yes.

    Raises:
        UsageError: The setting is not a boolean.
    """
    return _switch("exec-params", is_on=True)


def wants_masked_output(here: Path | None = None) -> bool:
    """Return whether secrets in the output of runs are masked; the default is no.

    Args:
        here: The folder whose project is used; None for the working directory.

    Raises:
        UsageError: The setting is not a boolean.
    """
    return _switch("mask-output", is_on=False, here=here)


def is_variable_off(name: str) -> bool:
    """Return whether the variable of a setting, such as `RUNSTORE_OUTPUT`, turns it off."""
    return os.environ.get(_variable(name), "").strip().lower() in {"0", "false", "no", "off"}


def _variable(name: str) -> str:
    return f"RUNSTORE_{name.replace('-', '_').upper()}"


def _switch(name: str, *, is_on: bool, here: Path | None = None) -> bool:
    """Return a setting from its variable, such as `RUNSTORE_MASK_OUTPUT`, or the project."""
    if os.environ.get(_variable(name)):
        return not is_variable_off(name)
    settings = _settings_here() if here is None else project_settings(here)[0]
    wanted = settings.get(name, is_on)
    if not isinstance(wanted, bool):
        raise UsageError(f"{name} is true or false, not {wanted!r}.")
    return wanted


def wanted_if_done() -> IfDone | None:
    """Return `if-done` of the project's settings; None if it is not set.

    Raises:
        UsageError: The value is not one of the choices.
    """
    wanted = _settings_here().get("if-done")
    return None if wanted is None else checked_if_done(wanted, "if-done")


def checked_if_done(wanted: object, name: str = "if_done") -> IfDone:
    """Return the action if the same was run before.

    Raises:
        UsageError: The value is not one of the choices.
    """
    if wanted not in IF_DONE:
        raise UsageError(
            f"{name} cannot be {wanted!r}.", hint=f"Use one of: {', '.join(IF_DONE)}."
        )
    return next(one for one in IF_DONE if one == wanted)


def make_folder(path: Path) -> None:
    """Create the folder of a store; `.runstore` ignores itself in git.

    Raises:
        StoreUnavailableError: The folder cannot be created, or is a file.
        InvalidValueError: The path is not valid for a folder.
    """
    try:
        _make_with_parents(path)
        if path.name == FOLDER and not is_there(path / ".gitignore"):
            with os.fdopen(made_file(path / ".gitignore"), "w", encoding="utf-8") as file:
                file.write("*\n")
    except OSError as error:
        if is_folder(path):
            return  # a read-only store; opening the database reports more
        raise unreachable(path, error) from error
    except ValueError as error:
        raise InvalidValueError(f"{str(path)!r} cannot be a folder: {error}.") from error


def make_own_folder(path: Path, shown: str) -> None:
    """Create the folder of a store on a server, private to this user.

    Args:
        path: The folder.
        shown: The URL without passwords; a file in the folder contains it, for people.

    Raises:
        StoreUnavailableError: The folder cannot be created.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = path / _SERVER_NOTE
        if not is_there(note):
            note.write_text(f"{shown}\n", encoding="utf-8")
    except OSError as error:
        raise unreachable(path, error) from error


def _make_with_parents(path: Path) -> None:
    if is_folder(path):
        return
    _make_with_parents(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
    with suppress(OSError), opened_folder(path) as made:
        leave_to_owner(made, path.parent.stat())


def unreachable(path: Path, error: OSError) -> StoreUnavailableError:
    """Return the error for a store whose folder cannot be used."""
    return StoreUnavailableError(
        f"The store at {path} cannot be opened: {error.strerror or error}.",
        kept="Nothing was changed.",
        hint="Name a folder that exists or can be created.",
    )


def current_author() -> str:
    """Return the author of edits made by this process."""
    try:
        import getpass

        return clean_text(getpass.getuser())  # of a variable, which may contain any bytes
    except (KeyError, OSError, ImportError):
        return "unknown"
