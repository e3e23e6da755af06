"""Paths: as SQLite takes them, read whole before they are shared, and what is found there."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# The database in the folder of a store.
DATABASE = "runstore.db"
# Who makes a folder gives it its rights at once, unless the machine is very busy.
_RIGHTS_WITHIN_S = 1.0
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-~")


def file_uri(path: Path, options: str) -> str:
    """Return a file as a URI with options, such as `mode=ro`; any bytes of a name are kept.

    Without `urllib`, which may be out of reach: its first import fails in a program whose
    working directory is gone, or whose user cannot read the folder of its Python any more.

    Source: SQLite, Uniform Resource Identifiers, 3.53.
    """
    name = "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in os.fsencode(path.absolute())
    )
    return f"file://{name}?{options}"


def parsed(path: Path) -> Path:
    """Return a path that any code may use in the middle of any other.

    Before Python 3.13, a path is parsed when it is first used, in several steps: a finalizer that
    uses it between two of them fails.
    """
    os.fspath(path)
    return path


def is_own_uid(uid: int) -> bool:
    """Check whether files of this owner belong to the user of this process.

    Below `sudo`, the files of the user who called it do as well.
    """
    user = os.geteuid()
    return uid == user or (user == 0 and str(uid) == os.environ.get("SUDO_UID"))


def follow_folder(made: int, folder: os.stat_result) -> None:
    """Give a new file or folder the rights that those who share its folder need.

    Whoever may write to the folder may do with it what its owner may, whatever the umask; whoever
    may not enter the folder gets no rights. Where the disk refuses, it stays as it is.

    Args:
        made: The file or folder, open.
        folder: The status of the folder that it is in.
    """
    with suppress(OSError):
        leave_to_owner(made, folder)
        found = os.fstat(made)
        if folder.st_mode & stat.S_IWGRP and found.st_gid != folder.st_gid:
            with suppress(OSError):  # this user is not in the group
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


def made_file(path: Path) -> int:
    """Make a file whose rights follow those of its folder, and return its descriptor.

    Raises:
        OSError: It cannot be made, or something of its name is there.
    """
    folder = os.stat(os.path.dirname(path))  # noqa: PTH116, PTH120 - for the first point of a run
    made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    follow_folder(made, folder)
    return made


def leave_to_owner(made: int, folder: os.stat_result) -> None:
    """Give what root made in the folder of another user to that user.

    Without this, root in a container would lock the user out of the user's own store.
    """
    if folder.st_uid != 0 == os.geteuid():
        found = os.fstat(made)
        is_new = stat.S_ISDIR(found.st_mode) or found.st_nlink == 1  # no link to a file of root's
        if is_new and found.st_uid == 0:
            os.fchown(made, folder.st_uid, folder.st_gid)


def copy_rights(made: int, like: os.stat_result) -> None:
    """Make a new file one for the same people as another file; where refused, it stays private.

    Args:
        made: The file, open; only its owner may read it so far.
        like: The status of the other file.
    """
    with suppress(OSError):
        leave_to_owner(made, like)
        if os.fstat(made).st_gid != like.st_gid:
            os.fchown(made, -1, like.st_gid)
        os.fchmod(made, stat.S_IMODE(like.st_mode) & 0o666)


def make_folders(path: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are missing, with rights that follow those above.

    Args:
        path: The folder.
        mode: Its rights, before the umask and the rights of the folder that it is in.

    Raises:
        OSError: It cannot be made.
    """
    if path.is_dir():
        return
    make_folders(path.parent)
    try:
        path.mkdir(mode)
    except FileExistsError:
        if path.is_dir():
            return  # somebody was quicker
        raise
    with suppress(OSError), opened_folder(path) as made:
        follow_folder(made, path.parent.stat())
    sync_folder(path.parent)


def wait_for_rights(status: Callable[[], os.stat_result], above: os.stat_result) -> None:
    """Wait until the user who has just made a folder has let those in who share the one above.

    Args:
        status: Returns the status of the new folder.
        above: The status of the folder above.
    """
    shared = above.st_mode & stat.S_IWGRP
    while True:
        found = status()
        if found.st_mode & shared == shared or time.time() - found.st_ctime > _RIGHTS_WITHIN_S:
            return
        time.sleep(0.001)


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Open a folder that is not a link.

    Raises:
        OSError: It is none, or it cannot be opened.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def read_plain_file(path: str | os.PathLike[str], at_most: int) -> tuple[bytes, os.stat_result]:
    """Return the contents of a file that anybody may have put there, and its status.

    Nothing is waited for: a pipe or a device is no such file.

    Raises:
        OSError: It cannot be read, is no plain file, or is larger than `at_most` bytes.
    """
    _check_plain(os.stat(path), at_most)  # noqa: PTH116 - opening a device may do something
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        _check_plain(found, at_most)
        return file.read(at_most), found


def _check_plain(found: os.stat_result, at_most: int) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size > at_most:
        raise OSError("no plain file of a sane size")


def has_content(path: Path) -> bool:
    """Check whether a file is there and not empty."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; some systems cannot, and need not."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
