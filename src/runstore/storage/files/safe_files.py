"""Files of a store, opened without trusting the entries in its folders.

A store may come from another user, or be shared: an entry with the name of a file may be a link to
a private file, a pipe, a device or a hard link, or be replaced by one at any moment. Therefore
each folder of the store is opened from its parent, links are never followed, and an open file is
checked before it is used.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runstore.errors import genuine, suppressed
from runstore.storage.sqlite.descriptors import occupy_closed_streams
from runstore.storage.sqlite.paths import follow_folder, sync_names, wait_for_rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_WRITES = os.O_WRONLY | os.O_RDWR
_DEEPEST = 100  # each level of a tree requires a descriptor
_NO_FOLDER = "it is not a folder, or a link to one"
_NOT_LEAVING = frozenset({"", ".", ".."})
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISLNK, "it is a link"),
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe"),
    (stat.S_ISSOCK, "it is a socket"),
)


class UnsafeFileError(OSError):
    """An entry that is not a regular file, or a plain folder, of the store."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(errno.EINVAL, why, os.fspath(path))
        self.why = why


class Folder:
    """An open folder of a store, which stays the same even if its path is replaced."""

    __slots__ = ("descriptor", "path")

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    def at(self, name: str) -> str:
        """Check a name for calls with `dir_fd=folder.descriptor`, and return it."""
        if name in _NOT_LEAVING or "/" in name or "\0" in name:
            raise UnsafeFileError(self.path / name.replace("\0", "?"), "it is not a file name")
        return name

    def status(self) -> os.stat_result:
        """Return the status of the folder itself."""
        return os.fstat(self.descriptor)

    def entry(self, name: str) -> os.stat_result:
        """Return the status of an entry, without following links."""
        return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False)

    def names(self) -> list[str]:
        """Return the names in the folder, sorted."""
        return sorted(os.listdir(self.descriptor))  # noqa: PTH208 - an open folder

    def sync(self) -> None:
        """Flush the names in the folder to the disk; see `sync_names`."""
        if self.descriptor is not None:
            sync_names(self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, or a link itself."""
        os.unlink(self.at(name), dir_fd=self.descriptor)

    def inner(self, name: str) -> Folder:
        """Open a subfolder, for a `with` block.

        Raises:
            UnsafeFileError: It is a link, or not a folder.
        """
        return _opened(self.path / name, self.at(name), self.descriptor)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self.descriptor)


def _opened(path: Path, name: str, above: int | None) -> Folder:
    """Open a folder of a store, refusing links."""
    try:
        # Only folders are opened: a pipe or a device is not even touched.
        return Folder(path, os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above))
    except genuine(OSError) as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise UnsafeFileError(path, _NO_FOLDER) from error
        raise


def folder_at(path: Path, *, levels: int) -> Folder:
    """Open a folder of a store, for a `with` block.

    Args:
        path: The folder.
        levels: Number of parts at the end of the path that are folders of the store, which must
            not be links. The parts before them are the user's choice, and are trusted.

    Raises:
        UnsafeFileError: One of them is a link, or not a folder.
        OSError: It cannot be opened.
    """
    if not levels:
        return Folder(path, os.open(path, _FOLDER))
    if levels == 1:
        if path.name in _NOT_LEAVING:
            raise UnsafeFileError(path, _NO_FOLDER)
        return _opened(path, os.fspath(path), None)
    with folder_at(path.parent, levels=levels - 1) as above:
        return above.inner(path.name)


def open_file(
    path: Path,
    flags: int = os.O_RDONLY,
    *,
    levels: int = 1,
    at_most: int | None = None,
    is_ours: bool = False,
) -> int:
    """Open a regular file of a store, and return its descriptor.

    Args:
        path: The file.
        flags: As for `os.open`. A file that is opened for writing must not have hard links; a file
            to be truncated must be opened for writing.
        levels: Number of folders at the end of its path that are the store's; see `folder_at`.
        at_most: Maximum size in bytes.
        is_ours: Whether only a running program of ours writes such a file: it must not have hard
            links, nor holes if its size is unlimited.

    Raises:
        UnsafeFileError: It is a link, a pipe, a device or a folder, is too large, or has another
            name.
        FileNotFoundError: It does not exist.
        OSError: It cannot be opened.
    """
    with folder_at(path.parent, levels=levels) as folder:
        return open_in(folder, path.name, flags, at_most=at_most, is_ours=is_ours)


def open_in(
    folder: Folder,
    name: str,
    flags: int = os.O_RDONLY,
    *,
    at_most: int | None = None,
    is_ours: bool = False,
) -> int:
    """Open a regular file in an open folder; see `open_file`."""
    path = folder.path / name
    # Opening a device can have effects, so it is checked first, after the name itself.
    is_there = False
    with suppress(FileNotFoundError):
        _check_kind(path, folder.entry(name))
        is_there = True
    try:
        # Truncated later, once it is known to be the store's own.
        careful = flags & ~os.O_TRUNC | _FLAGS
        if flags & _WRITES:
            occupy_closed_streams()
        descriptor = os.open(name, careful, 0o666, dir_fd=folder.descriptor)
    except genuine(OSError) as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise UnsafeFileError(path, "it is not a regular file") from error
        raise
    try:
        found = os.fstat(descriptor)
        _check_kind(path, found)
        if is_ours or flags & _WRITES:
            _check_names(path, found)
        _check_size(path, descriptor, found.st_size, at_most=at_most, is_ours=is_ours)
        if flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
        if not is_there:
            follow_folder(descriptor, folder.status())
    except BaseException:  # there is no other reference to close it
        os.close(descriptor)
        raise
    return descriptor


def _check_kind(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        why = next((why for is_kind, why in _KINDS if is_kind(found.st_mode)), "it is a device")
        raise UnsafeFileError(path, why)


def _check_names(path: Path, found: os.stat_result) -> None:
    if found.st_nlink > 1:
        raise UnsafeFileError(path, "it is a hard link of another file")


def _check_size(
    path: Path, descriptor: int, size: int, *, at_most: int | None, is_ours: bool
) -> None:
    if at_most is not None and size > at_most:
        raise UnsafeFileError(path, f"it is larger than {at_most:,} bytes")
    if at_most is None and is_ours and has_holes(descriptor):
        raise UnsafeFileError(path, "it has holes")


def has_holes(descriptor: int) -> bool:
    """Check whether a file has holes: reading it could take hours.

    The file position is 0 on return.
    """
    size = os.fstat(descriptor).st_size
    if not size or not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        return os.lseek(descriptor, 0, os.SEEK_HOLE) < size
    except genuine(OSError):  # the file system does not support it
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)


def open_or_replace(path: Path) -> int:
    """Open a file whose contents are irrelevant, such as a lock, replacing unsafe entries.

    Raises:
        OSError: It cannot be created or opened.
    """
    flags = os.O_RDWR | os.O_CREAT
    try:
        return open_file(path, flags, levels=0)
    except UnsafeFileError:
        path.unlink()  # removes a link, not its target
        return open_file(path, flags, levels=0)


def reader(
    path: Path, *, levels: int = 1, at_most: int | None = None, is_ours: bool = False
) -> BinaryIO:
    """Open a regular file of a store for reading; see `open_file`."""
    return open(
        path,
        "rb",
        opener=lambda _, flags: open_file(
            path, flags, levels=levels, at_most=at_most, is_ours=is_ours
        ),
    )


def read_file(path: Path, *, levels: int = 1, at_most: int, is_ours: bool = True) -> bytes:
    """Return the contents of a regular file of a store; see `open_file`."""
    with reader(path, levels=levels, at_most=at_most, is_ours=is_ours) as file:
        # `read` allocates as much memory as requested.
        return file.read(min(at_most, os.fstat(file.fileno()).st_size))


def stat_file(path: Path, *, levels: int = 1) -> os.stat_result:
    """Return the status of a regular file of a store.

    Raises:
        UnsafeFileError: It is not a regular file.
        OSError: It does not exist, or its status cannot be read.
    """
    with folder_at(path.parent, levels=levels) as folder:
        found = folder.entry(path.name)
    _check_kind(path, found)
    return found


def remove_file(path: Path, *, levels: int = 1) -> None:
    """Remove a file of a store if it exists; removes a link, not its target.

    Raises:
        OSError: It cannot be removed, or is inside a linked folder.
    """
    with suppress(FileNotFoundError), folder_at(path.parent, levels=levels) as folder:
        folder.remove(path.name)


def names_in(folder: Path, *, levels: int = 1) -> list[str]:
    """Return the names in a folder of a store, sorted; empty if it does not exist.

    Raises:
        UnsafeFileError: It is a link, or not a folder.
        OSError: It cannot be read.
    """
    try:
        with folder_at(folder, levels=levels) as found:
            return found.names()
    except FileNotFoundError:
        return []


def make_folder(path: Path, *, levels: int = 1) -> None:
    """Create missing folders of a store; see `folder_at`.

    Raises:
        UnsafeFileError: One of them is a link, or not a folder.
        OSError: One cannot be created.
    """
    for level in range(levels - 1, -1, -1):
        place = path.parents[level - 1] if level else path
        with folder_at(place.parent, levels=levels - 1 - level) as above:
            is_new = True
            try:
                os.mkdir(above.at(place.name), dir_fd=above.descriptor)
            except FileExistsError:
                is_new = False
                wait_for_rights(lambda: above.entry(place.name), above.status())  # noqa: B023 - at once
            with above.inner(place.name) as made:
                if is_new:
                    # Without delay, because until then, others of a group cannot use it.
                    follow_folder(made.descriptor, above.status())
                    with suppressed(OSError):  # as noticed when a name in it is synced
                        above.sync()


def levels_below(path: Path, store: Path) -> int:
    """Return the number of path levels below a store; 0 for a path elsewhere."""
    if ".." in path.parts or not path.is_relative_to(store):
        return 0
    return len(path.relative_to(store).parts)


@contextmanager
def replacing(path: Path, *, levels: int) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of another one, atomically; durable on exit.

    An existing entry is replaced, even a link, and never written through.

    Raises:
        OSError: The disk is full, or one of the store's folders is a link.
    """
    with folder_at(path.parent, levels=levels) as folder:
        aside = f".{path.name}.{os.urandom(4).hex()}"
        made = open_in(folder, aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with open(made, "wb") as file:  # noqa: PTH123 - it is open
                yield file
                file.flush()
                os.fsync(file.fileno())
            here, there = folder.at(aside), folder.at(path.name)
            os.replace(here, there, src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)
        except BaseException:  # removes the partial file
            with suppressed(OSError):
                folder.remove(aside)
            raise
        folder.sync()


def write_whole(path: Path, text: str, *, levels: int) -> None:
    """Write a text file atomically; durable on return. See `replacing`."""
    with replacing(path, levels=levels) as file:
        file.write(text.encode(errors="backslashreplace"))


# Trees


def files_below(folder: Folder, *, deepest: int = _DEEPEST) -> Iterator[os.stat_result]:
    """Yield the status of every file in a tree, without following links.

    Mounted folders are not entered.

    Raises:
        OSError: A part of the tree cannot be read, or it is too deep.
    """
    for name, found in _entries(folder):
        if not stat.S_ISDIR(found.st_mode):
            yield found
        elif _is_entered(folder, name, found, deepest):
            with folder.inner(name) as inner:
                yield from files_below(inner, deepest=deepest - 1)


def remove_tree(above: Folder, name: str, *, deepest: int = _DEEPEST) -> None:
    """Remove a folder and its contents, without following links.

    Raises:
        OSError: An entry cannot be removed; earlier ones were removed.
    """
    with above.inner(name) as folder:
        for one, found in _entries(folder):
            if not stat.S_ISDIR(found.st_mode):
                with suppress(FileNotFoundError):
                    folder.remove(one)
            elif _is_entered(folder, one, found, deepest):
                remove_tree(folder, one, deepest=deepest - 1)
    os.rmdir(above.at(name), dir_fd=above.descriptor)


def _entries(folder: Folder) -> Iterator[tuple[str, os.stat_result]]:
    for name in folder.names():
        with suppress(FileNotFoundError):
            yield name, folder.entry(name)


def _is_entered(above: Folder, name: str, found: os.stat_result, deepest: int) -> bool:
    """Check whether a folder is part of the tree and not a mounted disk.

    Raises:
        UnsafeFileError: The tree is too deep.
    """
    if deepest <= 0:
        raise UnsafeFileError(above.path / name, f"it is more than {_DEEPEST} folders deep")
    return found.st_dev == above.status().st_dev
