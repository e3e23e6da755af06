"""Paths and permissions of a store's files."""

from __future__ import annotations

import errno
import functools
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runstore.errors import StoreUnavailableError, genuine, suppressed
from runstore.storage.sqlite.descriptors import occupy_closed_streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    AnyPath = str | os.PathLike[str]

# The database in the folder of a store.
DATABASE = "runstore.db"
# The creator of a folder sets its permissions at once, unless the machine is very busy.
_RIGHTS_WITHIN_S = 1.0
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-~"
# Errors of a disk. Others mean that the system cannot sync a folder, or need not.
# Source: PostgreSQL, src/backend/storage/file/fd.c, fsync_fname_ext, which is as strict.
_FAILED = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT})
_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_IN_URIS = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]


def mode_of(path: AnyPath, *, follows: bool = True) -> int:
    """Return the mode of a file, which is never 0; 0 if there is none, or it cannot be read.

    Functions such as `os.path.exists` would hide the exceptions of signal handlers.
    """
    try:
        return os.stat(path, follow_symlinks=follows).st_mode
    except genuine(OSError, ValueError):  # a name with a null character
        return 0


def is_folder(path: AnyPath) -> bool:
    """Check whether a path leads to a folder; not if it cannot be looked at.

    Methods such as `Path.is_dir` raise an error for a name that is too long, and for a place in a
    private folder of another user.
    """
    return stat.S_ISDIR(mode_of(path))


def can_be_entered(folder: AnyPath) -> bool:
    """Check whether this process can work in a folder, and list its files; see `is_folder`."""
    return is_folder(folder) and os.access(folder, os.R_OK | os.X_OK)


def is_file(path: AnyPath) -> bool:
    """Check whether a path leads to a regular file; see `is_folder`."""
    return stat.S_ISREG(mode_of(path))


def is_missing(path: AnyPath) -> bool:
    """Check whether there is nothing at a path; not if its folder may not be entered."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except genuine(OSError) as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def leads_nowhere(path: AnyPath) -> bool:
    """Check whether there can be nothing at a path; not if its folder may not be entered."""
    try:
        os.stat(path)
    except ValueError:  # a null character
        return True
    except genuine(OSError) as error:
        return error.errno in _NOWHERE
    return False


def out_of_reach(database: AnyPath) -> StoreUnavailableError | None:
    """Return the error for a database that may exist but cannot be reached; else None."""
    try:
        os.stat(database)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except genuine(OSError) as error:
        found = StoreUnavailableError(
            f"The store at {os.path.dirname(database)} cannot be reached: "
            f"{error.strerror or error}.",
            kept="Nothing was written to it.",
            hint="Check the folder and its disk, then repeat the call.",
        )
        found.__cause__ = error
        return found
    return None


def file_uri(path: AnyPath, options: str) -> str:
    """Return a file as a URI with options, such as `mode=ro`; any bytes of a name are kept.

    This avoids `urllib`, whose first import fails in a program whose working directory was
    removed, or whose user can no longer read the folder of its Python.

    Source: SQLite, Uniform Resource Identifiers, 3.53.
    """
    name = "".join(map(_IN_URIS.__getitem__, os.fsencode(absolute(path))))
    return f"file://{name}?{options}"


def absolute(path: AnyPath) -> str:
    """Return an absolute path; `..` stays in it, because it may follow a link."""
    text = os.fspath(path)
    return text if text.startswith("/") else os.path.join(os.getcwd(), text)


def plain(path: str) -> str:
    """Return a path as `pathlib` writes it, without repeated slashes and single dots."""
    root = path[: len(path) - len(path.lstrip("/"))]
    names = [name for name in path.split("/") if name not in {"", "."}]
    # POSIX gives two slashes at the beginning a meaning of their own, but not three.
    return (root if root in {"", "//"} else "/") + "/".join(names) or "."


def with_parents(folder: str) -> list[str]:
    """Return an absolute path and those of all folders above it."""
    found = [folder]
    while (above := os.path.dirname(found[-1])) != found[-1]:
        found.append(above)
    return found


def parsed(path: Path) -> Path:
    """Return a path that signal handlers and finalizers can use safely.

    Before Python 3.13, a path is parsed on first use, in several steps: a finalizer that uses it
    between two of them fails.
    """
    os.fspath(path)
    return path


def path_of(text: str) -> Path:
    """Return a path that is parsed; `pathlib` is loaded on first use."""
    return parsed(_path_class()(text))


@functools.cache  # nothing can be loaded when the interpreter shuts down
def _path_class() -> type[Path]:
    from pathlib import Path

    return Path


def is_own_uid(uid: int) -> bool:
    """Check whether files of this owner belong to the user of this process.

    Under `sudo`, the files of the calling user do as well.
    """
    user = os.geteuid()
    return uid == user or (user == 0 and str(uid) == os.environ.get("SUDO_UID"))


def follow_folder(made: int, folder: os.stat_result) -> None:
    """Set the permissions that users who share the folder require on a new file or folder.

    Users who can write to the folder get the same access as its owner, regardless of the umask;
    users who cannot enter the folder get none. If the disk refuses, it stays as it is.
    """
    with suppressed(OSError):
        leave_to_owner(made, folder)
        found = os.fstat(made)
        if folder.st_mode & stat.S_IWGRP and found.st_gid != folder.st_gid:
            with suppressed(OSError):  # this user is not in the group
                os.fchown(made, -1, folder.st_gid)
        mode = wanted = stat.S_IMODE(found.st_mode)
        for shift in (3, 6):  # the group, and all others
            if folder.st_mode & (stat.S_IWUSR >> shift):
                wanted |= (mode & stat.S_IRWXU) >> shift
            elif not folder.st_mode & (stat.S_IRWXU >> shift):
                wanted &= ~(stat.S_IRWXU >> shift)
        if stat.S_ISDIR(found.st_mode):
            wanted |= folder.st_mode & stat.S_ISGID
        if wanted != mode:
            os.fchmod(made, wanted)


def made_file(path: AnyPath) -> int:
    """Create a file with permissions that follow its folder, and return its descriptor.

    Raises:
        OSError: It cannot be created, or exists already.
    """
    folder = os.stat(os.path.dirname(path))
    occupy_closed_streams()
    made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    follow_folder(made, folder)
    return made


def leave_to_owner(made: int, folder: os.stat_result) -> None:
    """Give a file that root created in another user's folder to that user.

    Without this, root in a container would lock users out of their own store.
    """
    if folder.st_uid != 0 == os.geteuid():
        found = os.fstat(made)
        is_new = stat.S_ISDIR(found.st_mode) or found.st_nlink == 1  # not root's own file
        if is_new and found.st_uid == 0:
            os.fchown(made, folder.st_uid, folder.st_gid)


def copy_rights(made: int, like: os.stat_result) -> None:
    """Copy the permissions of another file to a new one; if refused, it stays private."""
    with suppressed(OSError):
        leave_to_owner(made, like)
        if os.fstat(made).st_gid != like.st_gid:
            os.fchown(made, -1, like.st_gid)
        os.fchmod(made, stat.S_IMODE(like.st_mode) & 0o666)


def make_folders(path: Path) -> None:
    """Create a folder and its missing parents, with permissions that follow their parents.

    Raises:
        OSError: It cannot be created.
    """
    if path.is_dir():
        return
    make_folders(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_dir():
            return  # another process was faster
        raise
    with suppressed(OSError), opened_folder(path) as made:
        follow_folder(made, path.parent.stat())
    with suppressed(OSError):  # as noticed when a name in it is synced
        sync_folder(path.parent)


def wait_for_rights(status: Callable[[], os.stat_result], above: os.stat_result) -> None:
    """Wait until the creator of a new folder has granted access to those who share its parent."""
    shared = above.st_mode & stat.S_IWGRP
    while True:
        found = status()
        if found.st_mode & shared == shared or time.time() - found.st_ctime > _RIGHTS_WITHIN_S:
            return
        time.sleep(0.001)


@contextmanager
def opened_folder(path: AnyPath) -> Iterator[int]:
    """Open a folder, refusing links.

    Raises:
        OSError: It is not a folder, or it cannot be opened.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def read_plain_file(path: AnyPath, at_most: int) -> tuple[bytes, os.stat_result]:
    """Return the contents and the status of an untrusted file.

    This never blocks: pipes and devices are refused.

    Raises:
        OSError: It cannot be read, is not a regular file, or is larger than `at_most` bytes.
    """
    _check_plain(os.stat(path), at_most)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        _check_plain(found, at_most)
        return file.read(at_most), found


def _check_plain(found: os.stat_result, at_most: int) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size > at_most:
        raise OSError("not a regular file, or too large")


def has_content(path: AnyPath) -> bool:
    """Check whether a file exists and is not empty."""
    try:
        return os.stat(path).st_size > 0
    except genuine(OSError):
        return False


def sync_folder(folder: AnyPath) -> None:
    """Flush the names in a folder to the disk; see `sync_names`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except genuine(OSError) as error:
        if error.errno in _FAILED:
            raise
        return
    try:
        sync_names(descriptor)
    finally:
        os.close(descriptor)


def sync_names(descriptor: int) -> None:
    """Flush the names in an open folder to the disk; some systems cannot, and need not.

    Raises:
        OSError: The disk failed, or is full: a power cut could remove names that were created.
    """
    try:
        os.fsync(descriptor)
    except genuine(OSError) as error:
        if error.errno in _FAILED:
            raise
