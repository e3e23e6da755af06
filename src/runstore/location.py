"""The store to use: argument, RUNSTORE_URL, project file, nearest `.runstore`; its folder."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from os.path import join

from runstore import started_in
from runstore.config import (
    PROJECT_FILE,
    is_folder,
    is_there,
    is_usable,
    project_settings,
    settings_here,
    warn_of_unknown,
    working_directory,
)
from runstore.errors import (
    InvalidValueError,
    StoreUnavailableError,
    UsageError,
    genuine,
    suppressed,
)
from runstore.model import arguments
from runstore.storage.sqlite.descriptors import is_used_up, too_few_files
from runstore.storage.sqlite.paths import (
    DATABASE,
    is_missing,
    leave_to_owner,
    made_file,
    mode_of,
    opened_folder,
    plain,
    sync_folder,
    with_parents,
)
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from runstore.storage.postgres.location import ServerLocation
    from runstore.storage.sqlite.paths import AnyPath

FOLDER = ".runstore"
_SERVERS = frozenset({"postgresql", "postgres"})
_FILES_OF_STORES = ("store.json", "spool")
# In folders on this machine of a store on a server: its URL without passwords.
SERVER_NOTE = "server.txt"
_warned: set[str] = set()


def server_of_project() -> ServerLocation | None:
    """Return the server of `RUNSTORE_URL`, or else of the project's settings; None without one."""
    if url := os.environ.get("RUNSTORE_URL"):
        return server_at(url)
    store = settings_here().get("store")
    return server_at(store) if isinstance(store, str) else None


def server_at(location: str) -> ServerLocation | None:
    """Return the server of a URL; None if it is the location of a folder."""
    scheme = location.partition("://")[0]
    if scheme not in _SERVERS:
        return None
    try:
        from runstore.storage.postgres.location import server_location
    except genuine(OSError) as error:  # the URL may contain a password
        raise unreachable(f"{scheme}://…", error) from error
    return server_location(location)


def find_place(location: str | os.PathLike[str] | None = None) -> str | ServerLocation:
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
        return _store_in(place) if isinstance(place, str) else place
    if url := os.environ.get("RUNSTORE_URL"):
        place = _place_of(url, _starting_folder)
        return _store_in(place) if isinstance(place, str) else place
    here = working_directory()
    settings, project = project_settings(here)
    warn_of_unknown(tuple(settings), project)
    if store := settings.get("store"):
        return _place_of(_text_of(store, project), lambda: project)
    store = folder_of_project()
    _check_is_no_list(store)
    return store


def folder_of_project() -> str:
    """Return the nearest `.runstore` above the working directory, or the place of a new one.

    Raises:
        StoreUnavailableError: There is one that cannot be looked at, so that runs would be
            recorded elsewhere.
    """
    here = working_directory()
    above = with_parents(here)
    foreign: list[str] = []
    for folder in above:
        store = join(folder, FOLDER)
        try:
            if not _is_store_of_project(store):
                continue
        except StoreUnavailableError:
            if not _is_link_of_others(store, here):
                raise
        else:
            if is_usable(store, here):
                break
        foreign.append(store)
    else:
        store = join(_place_for_new_store(above), FOLDER)
    if foreign:
        from runstore.storage.trust import foreign_stores

        foreign_stores.pass_over(foreign, store)
    return store


def _is_store_of_project(path: str) -> bool:
    """Check whether a `.runstore` is there, which is a folder.

    Raises:
        StoreUnavailableError: It cannot be looked at, such as a link to a disk that is away.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except genuine(OSError) as error:
        if is_missing(path):
            return False
        raise unreachable(path, error) from error


def _is_link_of_others(path: str, here: str) -> bool:
    try:
        return not is_usable(path, here, os.lstat(path))
    except genuine(OSError):
        return False


def _store_in(folder: str) -> str | ServerLocation:
    """Return the store of a project, if the folder is one; else the folder itself."""
    if is_there(join(folder, DATABASE)):
        return folder
    _check_is_no_list(folder)
    if any(is_there(join(folder, name)) for name in _FILES_OF_STORES):
        return folder
    if _is_store_of_project(of_project := join(folder, FOLDER)):
        return of_project
    if is_there(join(folder, PROJECT_FILE)):
        settings, project = project_settings(folder)
        if project == folder and (store := settings.get("store")):
            return _place_of(_text_of(store, project), lambda: project)
    return folder


def _check_is_no_list(folder: str) -> None:
    """Raise an error for a folder that belongs to a store on a server."""
    if is_there(join(folder, SERVER_NOTE)) and not is_there(join(folder, DATABASE)):
        raise UsageError(
            f"{folder} belongs to a store on a server.",
            hint=f"Set RUNSTORE_URL to its URL, which is in {SERVER_NOTE} without the password.",
        )


def _text_of(store: object, project: str) -> str:
    if isinstance(store, str):
        return store
    raise UsageError(
        f"store in [tool.runstore] of {join(project, PROJECT_FILE)} is {store!r}.",
        hint="Use the path of a folder, as text.",
    )


def _place_for_new_store(above: Sequence[str]) -> str:
    """Return the folder for a new store."""
    here = above[0]
    for folder in above:
        checkout = join(folder, ".git")
        if is_there(checkout) and is_usable(checkout, here):
            return folder
    # A program that changes its working directory keeps its runs in one place.
    start = _starting_folder()
    return start if start in above else here


def check_place(path: str) -> None:
    """Raise an error if another user may have created the store's location in advance.

    In a folder that all users can write to, such as /tmp, anyone can create a folder of any name.
    The working directory and all folders above it are trusted.

    Raises:
        UntrustedStoreError: Another user created a part of the path in such a folder.
    """
    try:
        here = os.getcwd()
    except FileNotFoundError:  # it was deleted
        here = os.sep
    while not f"{here}{os.sep}".startswith(path.rstrip(os.sep) + os.sep):
        above = os.path.dirname(path)
        try:
            is_free_for_all = os.stat(above).st_mode & stat.S_IWOTH
            owner = os.lstat(path).st_uid
        except genuine(OSError):
            is_free_for_all = owner = 0
        if is_free_for_all and owner and not is_usable(path, here):
            from runstore.storage.trust import foreign_stores

            raise foreign_stores.taken(path)
        if above == path:
            return
        path = above


def check_can_be_made(store: str) -> None:
    """Check early that a store can be created at this path.

    Raises:
        StoreUnavailableError: A part of the path is a file, or this user cannot write there.
        InvalidValueError: The path is not valid for a folder.
    """
    for folder in with_parents(store):
        try:
            is_one = stat.S_ISDIR(os.stat(folder).st_mode)
        except FileNotFoundError:
            if not mode_of(folder, follows=False):
                continue
            is_one = False
        except genuine(OSError) as error:
            raise unreachable(store, error) from error
        except ValueError as error:
            raise InvalidValueError(f"{store!r} cannot be a folder: {error}.") from error
        if not is_one:
            raise unreachable(store, NotADirectoryError(errno.ENOTDIR, "Not a directory"))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise unreachable(store, PermissionError(errno.EACCES, "Permission denied"))
        return


def warn_of_store_apart(store: str) -> None:
    """Warn if a new store will not be found from the folder that the program started in."""
    above, name = os.path.split(store)
    start = started_in.STARTED_IN
    if name != FOLDER or start is None:
        return
    is_shared = above in with_parents(start)
    if not is_shared and not is_folder(store):
        warn(
            f"The program started in {start}, and its runs are recorded in {store}. To keep the"
            " runs of all folders that it works in together, set RUNSTORE_URL, or `store` in"
            " [tool.runstore] of pyproject.toml."
        )


def _starting_folder() -> str:
    return working_directory() if started_in.STARTED_IN is None else started_in.STARTED_IN


def _place_of(location: str | os.PathLike[str], base: Callable[[], str]) -> str | ServerLocation:
    """Read a folder, the database file in it, a URL of either, or the URL of a server.

    A relative location starts from the folder that `base` returns.
    """
    text = arguments.path(location, "store")
    if not text.strip():
        raise UsageError("The location of the store is empty.", hint="Name a folder.")
    scheme, separator, rest = text.partition("://")
    if separator and (server := server_at(text)) is not None:
        return server
    if separator and len(scheme) > 1:
        text = _path_of_url(scheme, rest)
    path = plain(_in_a_home(plain(text)) if text.startswith("~") else text)
    if not path.startswith("/"):
        path = plain(join(base(), path))
    above, name = os.path.split(path)
    return above if name == DATABASE and not is_folder(path) else path


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


def _in_a_home(path: str) -> str:
    found = os.path.expanduser(path)
    if found.startswith("~"):
        raise UsageError(
            f"The home folder in {path!r} is unknown.",
            hint=f"Use an absolute path; for a folder of this name, ./{path}.",
        )
    return found


def make_folder(path: AnyPath) -> None:
    """Create the folder of a store; `.runstore` ignores itself in git.

    Raises:
        StoreUnavailableError: The folder cannot be created, or is a file.
        InvalidValueError: The path is not valid for a folder.
    """
    path = os.fspath(path)
    try:
        _make_with_parents(path)
        ignored = join(path, ".gitignore")
        if os.path.basename(path) == FOLDER and not is_there(ignored):
            with os.fdopen(made_file(ignored), "w", encoding="utf-8") as file:
                file.write("*\n")
    except genuine(OSError) as error:
        if is_folder(path):
            return  # a read-only store; opening the database reports more
        raise unreachable(path, error) from error
    except ValueError as error:
        raise InvalidValueError(f"{path!r} cannot be a folder: {error}.") from error


def server_of(folder: Path) -> str:
    """Return the URL of the server that a folder on this machine belongs to, without passwords."""
    try:
        return (folder / SERVER_NOTE).read_text(encoding="utf-8").strip()
    except genuine(OSError, ValueError):
        return "an unknown server"


def make_own_folder(path: Path, shown: str) -> None:
    """Create the folder of a store on a server, private to this user.

    Args:
        path: The folder.
        shown: The URL without passwords; a file in the folder contains it, for people.

    Raises:
        StoreUnavailableError: The folder cannot be created.
    """
    from runstore.storage.postgres.location import is_temporary

    try:
        if is_temporary(path):
            from runstore.storage.trust.own_places import private_folder

            private_folder(path, parts=4)
        else:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = path / SERVER_NOTE
        if not is_there(note):
            note.write_text(f"{shown}\n", encoding="utf-8")
    except genuine(OSError) as error:
        raise StoreUnavailableError(
            f"The folder {path}, for data in flight to {shown}, cannot be used:"
            f" {error.strerror or error}.",
            kept="Nothing was changed.",
            hint="Make it writable, or set XDG_STATE_HOME to a folder with free space.",
        ) from error


def offer_own_folder(path: Path, shown: str) -> None:
    """Create the folder of a store on a server if that is possible; otherwise, warn once.

    Args:
        path: The folder; see `make_own_folder`.
        shown: The URL without passwords.

    Raises:
        StoreUnavailableError: There is a file in its place.
    """
    from runstore.storage.postgres.location import is_temporary

    what = None
    try:
        make_own_folder(path, shown)
    except StoreUnavailableError as error:
        if isinstance(error.__cause__, (NotADirectoryError, FileExistsError)):
            raise
        what = (
            f"{error.what} Data is written to the server directly; points that it does not accept"
            " at once are kept in memory."
        )
    if what is None and is_temporary(path):
        what = (
            f"The state folder cannot be written. Data in flight to {shown} is kept in {path}, and"
            " runs are recorded there while the server is away; set XDG_STATE_HOME to a folder"
            " that lasts."
        )
    if what is not None and str(path) not in _warned:
        _warned.add(str(path))
        warn(what)


def _make_with_parents(path: str) -> None:
    if is_folder(path):
        return
    above = os.path.dirname(path)
    _make_with_parents(above)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not is_folder(path):  # otherwise another process was faster
            raise
    with suppressed(OSError):  # as noticed when a name in it is synced
        sync_folder(above)
    with suppressed(OSError), opened_folder(path) as made:
        leave_to_owner(made, os.stat(above))


def unreachable(path: AnyPath, error: OSError) -> StoreUnavailableError:
    """Return the error for a store whose folder cannot be used."""
    what = f"The store at {path} cannot be opened: {error.strerror or error}."
    kept = "Nothing was changed."
    if is_used_up(error):
        return too_few_files(what, kept, error)
    return StoreUnavailableError(
        what, kept=kept, hint="Name a folder that exists or can be created."
    )
