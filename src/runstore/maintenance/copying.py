"""Copying a store to a folder or a database, also while it is in use."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.errors import (
    ConflictError,
    NotFoundError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    UsageError,
    genuine,
    suppressed,
)
from runstore.location import make_own_folder, server_at
from runstore.model import arguments
from runstore.storage.backend import RUNS, STORE_JSON, Backend
from runstore.storage.database import Database
from runstore.storage.driver import one_moment
from runstore.storage.files.safe_files import Folder, UnsafeFileError, folder_at, open_in
from runstore.storage.files.unfinished import UnfinishedFolder
from runstore.storage.sqlite.paths import (
    DATABASE,
    can_be_entered,
    follow_folder,
    is_folder,
    sync_folder,
)
from runstore.storage.transfer.whole import check_is_empty, contents_in, copy_rows
from runstore.store_json.lists import Lists
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.storage.postgres.location import ServerLocation

_DEEPEST = 40
_IS_THERE = frozenset({errno.EEXIST, errno.ENOTEMPTY})
_AT_ONCE = 1 << 20
_RIGHTS = 0o777  # a program of another user must not run with the rights of this one
UNFINISHED = ".runstore-copy-"
# Left out: the database and its journals are copied by SQLite, the block list is written anew, and
# the index of searches and locks belong to one place.
_LOCKS = (f".{STORE_JSON}.lock", "objects.lock")
_NOT_COPIED = (DATABASE, "search.db", STORE_JSON, *_LOCKS, UNFINISHED)


def copy_store(backend: Backend, target: str | Path) -> Path | str:
    """Copy a store into a new folder or an empty database; see `Store.copy`."""
    wanted = arguments.path(target, "target")
    server = server_at(wanted)
    if server is not None:
        return _copy_to_server(backend, server)
    if "://" in wanted:
        raise UsageError(
            f"{target} is neither a folder nor a database.",
            kept="Nothing was copied.",
            hint="Pass the path of a new folder, or postgresql://user@host/database.",
        )
    target = Path(wanted).absolute()
    # A copy of the copy would be part of it, and `gc` would remove it.
    if target.resolve().is_relative_to(backend.path.resolve()):
        raise UsageError(
            f"{target} is within the store.",
            kept="Nothing was copied.",
            hint=f"Choose a folder outside {backend.path}.",
        )
    _copy_to_folder(backend, target)
    return target


def _copy_to_folder(backend: Backend, target: Path) -> None:
    is_prepared = _is_empty_folder(target)
    if os.path.lexists(target) and not is_prepared:
        raise _exists(target)
    is_left = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        above = target if is_prepared else target.parent
        with UnfinishedFolder(above, UNFINISHED) as aside:
            _fill(backend, aside.path)
            if is_prepared:
                if not _is_empty_folder(target):
                    raise _exists(target)
                is_left = True
                _move_into(target, aside.path)
            else:
                _keep_private(aside.path, backend)
                aside.keep_as(target)
                is_left = True
        sync_folder(above)
    except StoreError:
        raise
    except genuine(OSError) as error:
        if error.errno in _IS_THERE and is_folder(target):  # created meanwhile
            raise _exists(target) from error
        copy = "the incomplete copy is left" if is_left else "the incomplete copy was removed"
        raise StoreUnavailableError(
            f"The store could not be copied to {target}: {error.strerror or error}.",
            kept=f"The store is unchanged; {copy}.",
            hint="Remove it before you try again." if is_left else "",
        ) from error


def _exists(target: Path) -> ConflictError:
    return ConflictError(
        f"{target} already exists.", kept="Nothing was copied.", hint="Choose a new folder."
    )


def _is_empty_folder(path: Path) -> bool:
    """Check whether a folder is empty, apart from copies of processes that were killed."""
    if not can_be_entered(path) or path.is_symlink():
        return False
    return all(one.name.startswith(UNFINISHED) for one in path.iterdir())


def _move_into(target: Path, copy: Path) -> None:
    """Move the parts of a copy into a folder that others may share, the database last.

    The folder stays the same: it may be a mounted disk, and its permissions count for the parts.
    """
    folder = target.stat()
    for _, _, files, descriptor in os.fwalk(copy):
        follow_folder(descriptor, folder)
        for name in files:
            with suppressed(OSError):  # a plain file that its owner cannot read
                made = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=descriptor)
                follow_folder(made, folder)
                os.close(made)
    for name in sorted(os.listdir(copy), key=DATABASE.__eq__):  # noqa: PTH208 - names
        (copy / name).rename(target / name)


def _keep_private(copy: Path, backend: Backend) -> None:
    """Let users who cannot enter a store not enter its copy: its files may be readable for all."""
    if backend.server is None:
        rights = stat.S_IMODE(backend.path.stat().st_mode) & _RIGHTS
        copy.chmod(stat.S_IMODE(copy.stat().st_mode) & rights | stat.S_IRWXU)


def _copy_to_server(backend: Backend, server: ServerLocation) -> str:
    from runstore.storage.postgres.database import ServerDatabase

    files = server.folder / RUNS
    target = Backend(server.folder, ServerDatabase(server), server=server)
    try:
        check_is_empty(target.database.driver, target.place)
        has_files = os.path.lexists(backend.path / RUNS)
        if has_files and os.path.lexists(files) and not _is_empty_folder(files):
            raise ConflictError(
                f"{files} already exists.",
                kept="Nothing was copied.",
                hint="It has files of another database of this URL: move them elsewhere.",
            )
        make_own_folder(server.folder, server.shown)
        with (
            folder_at(backend.path, levels=0) as store,
            backend.objects.in_use(),
            UnfinishedFolder(server.folder, UNFINISHED) as aside,
        ):
            copy_tree(store, RUNS, aside.path)
            # In place at the last moment: if the copy is interrupted, it can be repeated.
            _copy_database(backend, target, lambda: _move_folder(aside.path / RUNS, files))
    except StoreError:
        raise
    except genuine(OSError) as error:
        raise StoreUnavailableError(
            f"The store could not be copied to {target.place}: {error.strerror or error}.",
            kept="The store is unchanged.",
        ) from error
    finally:
        target.close()
    return target.place


def _move_folder(folder: Path, target: Path) -> None:
    """Move a folder, if it exists, within its disk; durable on return."""
    if folder.exists():
        folder.rename(target)
        sync_folder(target.parent)


def _fill(backend: Backend, aside: Path) -> None:
    """Copy the parts of a store in an order in which none refers to a later state of another.

    Files in flight first: the database remembers how far each was imported, so that nothing is
    imported twice. Contents last, because each is written before the row that names it.
    """
    with folder_at(backend.path, levels=0) as store, backend.objects.in_use():
        copy_tree(store, "spool", aside)
        if backend.server is not None:
            copy = Backend(aside, Database(aside / DATABASE))
            _copy_database(backend, copy, lambda: None)
            copy.close()
            copy_tree(store, RUNS, aside)
            sync_folder(aside)
            return
        backend.database.driver.copy_to(aside / DATABASE)
        names = store.names()
        for name in names:
            if not name.startswith(_NOT_COPIED) and name != "spool":
                _copy_entry(store, name, aside)
    if STORE_JSON in names:
        copy = Backend(aside)
        Lists(copy).of_folder(aside).bring_together(file_is_wanted=True)
        copy.close()
    sync_folder(aside)


def _copy_database(backend: Backend, target: Backend, finish: Callable[[], None]) -> None:
    """Copy rows and contents as they are at one moment, to another engine or server.

    `finish` is called when all is there, just before the rows can be seen.
    """
    source = backend.database.driver
    with source.read() as connection, one_moment(connection), target.objects.in_use():
        for digest, size in contents_in(connection).items():
            try:
                with backend.objects.opened(digest, size) as file:
                    target.objects.keep_open(file)
            except (NotFoundError, StoreCorruptError) as error:  # also if removed meanwhile
                warn(f"A file was not copied: {error.what}")
        copy_rows(source, connection, target.database.driver, target.place, finish)


def copy_tree(above: Folder, name: str, into: Path, *, deepest: int = _DEEPEST) -> None:
    """Copy a folder of a store, if it exists, into a new folder; durable on return.

    Raises:
        OSError: The disk is full, or the folder is too deep.
    """
    try:
        folder = above.inner(name)
    except FileNotFoundError:
        return
    with folder:
        made = into / name
        made.mkdir(mode=folder.status().st_mode & _RIGHTS | stat.S_IRWXU)
        if deepest <= 0:
            raise UnsafeFileError(folder.path, f"it is more than {_DEEPEST} folders deep")
        for one in folder.names():
            _copy_entry(folder, one, made, deepest=deepest - 1)
        sync_folder(made)


def _copy_entry(folder: Folder, name: str, into: Path, *, deepest: int = _DEEPEST) -> None:
    """Copy a file or a folder; links, pipes and devices are left out with a warning."""
    try:
        if stat.S_ISDIR(folder.entry(name).st_mode):
            copy_tree(folder, name, into, deepest=deepest)
            return
        descriptor = open_in(folder, name)
    except FileNotFoundError:  # imported or removed meanwhile
        return
    except UnsafeFileError as error:
        warn(f"{folder.path / name} was not copied: {error.why}.")
        return
    with os.fdopen(descriptor, "rb") as source, (into / name).open("xb") as copy:
        for begin, end in _filled(descriptor):
            source.seek(begin)
            copy.seek(begin)
            while some := source.read(min(_AT_ONCE, end - source.tell())):
                copy.write(some)
        about = os.fstat(descriptor)
        copy.truncate(about.st_size)
        os.fchmod(copy.fileno(), about.st_mode & _RIGHTS)
        copy.flush()
        os.fsync(copy.fileno())
        os.utime(copy.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))


def _filled(descriptor: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of the parts of a file that are not holes: those take no time."""
    end, size = 0, os.fstat(descriptor).st_size
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    while end < size:
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
        except genuine(OSError) as error:
            if error.errno != errno.ENXIO:  # the file system does not know
                yield end, size
            return
        end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield begin, end
