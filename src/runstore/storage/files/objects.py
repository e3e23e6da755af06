"""Contents of artifacts, stored once each by their SHA-256: `objects/ab/cdef…`.

A file gets its name when it is complete and on the disk, so that a name implies complete contents.
Files are read-only, because contents may be shared by several runs.

The folder and its subfolders are opened one from the other and links are refused, so that cleaning
up never removes files elsewhere.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from runstore.errors import (
    NotFoundError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreUnavailableError,
    genuine,
    suppressed,
)
from runstore.model.values import sha256
from runstore.storage.files.locks import locked
from runstore.storage.files.safe_files import (
    folder_at,
    make_folder,
    names_in,
    reader,
    remove_file,
    stat_file,
)
from runstore.storage.rows import is_digest
from runstore.storage.sqlite.descriptors import is_used_up, too_few_files
from runstore.storage.sqlite.paths import follow_folder, parsed, sync_folder
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import hashlib
    from typing import BinaryIO

_CHUNK_BYTES = 1 << 20
_READ_ONLY = 0o444
# Source: Linux, include/uapi/linux/fs.h: FICLONE; ioctl_ficlone(2).
_FICLONE = 0x40049409
_ASIDE = "incoming"
_SAVING_PATIENCE_S, _CLEANING_PATIENCE_S = 20.0, 60.0
# A file in the place of a server's contents that says which store they belong to.
MARK = "runstore.txt"
# If saving cannot be blocked while contents are removed, younger ones are spared.
DAY_S = 86_400


class Contents(NamedTuple):
    """The digest in hex and the size in bytes of stored contents."""

    digest: str
    size_bytes: int


class NotSentError(StoreUnavailableError):
    """Contents are on this machine, but could not be sent."""

    contents: Contents


class UnsyncedError(OSError):
    """Contents were stored, but a power cut could remove them, because the disk failed."""

    contents: Contents


class Objects:
    """The contents stored below one folder.

    Attributes:
        is_locked: Whether `alone` usually prevents saving.

    Args:
        folder: `objects` of a store; created when contents are added.
    """

    is_locked = True

    def __init__(self, folder: Path) -> None:
        self.folder = parsed(folder)
        # Verified contents, by identity and time of their file.
        self._verified: dict[str, tuple[int, int, int]] = {}
        self._is_swept = False

    def path_of(self, digest: str) -> Path:
        """Return the path for contents with this digest.

        Raises:
            StoreCorruptError: It is not a digest.
        """
        if not is_digest(digest):
            raise StoreCorruptError(f"The store names contents {digest!r}, not a SHA-256.")
        return self.folder / digest[:2] / digest[2:]

    def size_of(self, digest: str) -> int | None:
        """Return the size of the file with these contents, even damaged; None if missing."""
        try:
            return stat_file(self.path_of(digest), levels=2).st_size
        except genuine(OSError):
            return None

    def stored_size(self, path: Path) -> int:
        """Return the size of a file that `files` yielded, even damaged.

        Raises:
            OSError: It is missing, or cannot be read.
        """
        return stat_file(path, levels=2).st_size

    def sizes(self) -> Callable[[str], int]:
        """Return a function that returns the size of contents, for a check of all of them.

        It raises an `OSError` if they are missing or cannot be read.
        """
        return lambda digest: self.stored_size(self.path_of(digest))

    def holds(self, digest: str, size_bytes: int) -> bool:
        """Check whether contents are stored, and need not be saved again inside `in_use`."""
        return self.size_of(digest) == size_bytes

    def share(self, digest: str, size_bytes: int) -> None:
        """Make contents that are kept on this machine available to the others."""

    # Concurrent saving and cleaning up

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Prevent cleaning up inside the block, so that new contents can get their reference.

        The first time, files that killed processes were saving are removed.

        Raises:
            StoreLockedError: Another process was cleaning up for too long.
        """
        if not self._is_swept:
            self._is_swept = True
            with suppressed(OSError):
                self._remove_abandoned()
        with self._being_saved():
            yield

    @contextmanager
    def _being_saved(self) -> Iterator[None]:
        """Keep files that are being saved inside the block from being removed.

        Raises:
            StoreLockedError: Another process was cleaning up for too long.
        """
        # Without a lock, cleaning up spares recent files.
        with self._locked(is_shared=True, patience_s=_SAVING_PATIENCE_S):
            yield

    def _remove_abandoned(self) -> None:
        """Remove files that killed processes were saving; none while another one is saving.

        Raises:
            OSError: There are none, or they cannot be removed.
        """
        with folder_at(self.folder / _ASIDE, levels=2) as folder:
            if folder.names():
                with self._locked(is_shared=False, patience_s=0) as is_alone:
                    for name in folder.names() if is_alone else ():
                        folder.remove(name)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Prevent saving inside the block; yields False if that is impossible.

        Raises:
            StoreLockedError: Another process was saving for longer than a minute.
        """
        with self._locked(is_shared=False, patience_s=_CLEANING_PATIENCE_S) as is_alone:
            yield is_alone

    @contextmanager
    def _locked(self, *, is_shared: bool, patience_s: float) -> Iterator[bool]:
        """Hold the lock inside the block; yields False if that is impossible."""
        # Beside the folder, which holds only contents.
        path = self.folder.with_name(f"{self.folder.name}.lock")
        with ExitStack() as stack:
            is_locked = False
            try:
                lock = locked(path, is_shared=is_shared, patience_s=patience_s)
                is_locked = stack.enter_context(lock)
            except StoreLockedError:
                raise
            except genuine(OSError):
                pass  # something else is at the path of the lock
            yield is_locked

    def files(self) -> Iterator[Path]:
        """Yield every entry in the folder and its subfolders, of any type.

        Raises:
            OSError: The folder is a link, or not a folder.
        """
        for name in names_in(self.folder):
            if name == MARK:
                continue
            try:
                inner = names_in(self.folder / name, levels=2)
            except genuine(OSError):  # not a folder
                yield self.folder / name
            else:
                yield from (self.folder / name / one for one in inner)

    def remove(self, path: Path) -> bool:
        """Remove a file that `files` yielded, or a link; return whether it still existed.

        Raises:
            OSError: It cannot be removed.
        """
        try:
            with folder_at(path.parent, levels=2) as folder:
                folder.remove(path.name)
        except FileNotFoundError:
            return False
        return True

    def digest_at(self, path: Path) -> str | None:
        """Return the digest in the name of a file below the folder; None for any other file."""
        digest = path.parent.name + path.name
        is_place = is_digest(digest) and path == self.path_of(digest)
        return digest if is_place else None

    def foreign(self) -> Iterator[str]:
        """Yield the names of foreign files that `files` does not yield."""
        return iter(())

    def shown(self, path: Path) -> str:
        """Return the name of a file that `files` yielded, for messages."""
        return str(path)

    def is_old(self, path: Path) -> bool:
        """Check whether a file that `files` yielded was not saved within a day."""
        return is_old(path)

    def remove_leftovers(self) -> None:
        """Remove unfinished saves that are not files."""

    def is_leftover(self, path: Path) -> bool:
        """Check whether a file was being added."""
        return path.parent == self.folder / _ASIDE

    # Writing

    @contextmanager
    def aside(self, suffix: str = "") -> Iterator[Path]:
        """Return a temporary path on the same disk; the file is removed on exit."""
        # Without its parents, because a store that was moved away would be hidden by a new one.
        make_folder(self.folder / _ASIDE, levels=2)
        path = self.folder / _ASIDE / f"{os.getpid()}-{os.urandom(8).hex()}{suffix}"
        try:
            yield path
        finally:
            remove_file(path, levels=2)

    def keep_file(self, source: Path) -> Contents:
        """Store the contents of a file of any size; durable on return.

        If the file system supports it, blocks are shared instead of copied (reflink); a later
        change of either file does not affect the other.

        Raises:
            OSError: The file cannot be read, or the disk is full.
        """
        with source.open("rb") as file:
            return self.keep_open(file)

    def keep_open(self, file: BinaryIO) -> Contents:
        """Store the contents of an open file; see `keep_file`."""
        with self.aside() as path:
            if _cloned(file, path):
                return self.adopt(path)
            return self._keep_stream(file, path)

    def keep_stream(self, file: BinaryIO) -> Contents:
        """Store the contents of a binary file object up to its end; durable on return."""
        with self.aside() as path:
            return self._keep_stream(file, path)

    def keep_bytes(self, contents: bytes | bytearray | memoryview) -> Contents:
        """Store bytes; durable on return."""
        view = memoryview(contents).cast("B")
        kept = Contents(_hash_of(view).hexdigest(), len(view))
        if self._has(kept):
            self._sync_names(kept)
            self._found(kept)
            return kept
        with self.aside() as path:
            with path.open("xb") as target:
                target.write(view)
                _sync(target)
            self._name(path, kept)
        return kept

    def _found(self, kept: Contents) -> None:
        """Do nothing about bytes that exist already."""

    def _keep_stream(self, file: BinaryIO, path: Path) -> Contents:
        with path.open("xb") as target:  # before a stream is read that cannot be read again
            kept = Contents(*hashed(file, target))
            _sync(target)
        self._name(path, kept)
        return kept

    def adopt(self, path: Path) -> Contents:
        """Store a file on the same disk by renaming it.

        The path no longer exists on return; the contents are durable.
        """
        with path.open("rb+") as file:
            kept = Contents(*hashed(file))
            _sync(file)
        self._name(path, kept)
        return kept

    def _name(self, path: Path, kept: Contents) -> None:
        if self._has(kept):
            path.unlink()
            self._sync_names(kept)
            return
        target = self.path_of(kept.digest)
        make_folder(target.parent, levels=2)
        with folder_at(target.parent, levels=2) as folder:
            path.chmod(_READ_ONLY)
            with path.open("rb") as file:
                follow_folder(file.fileno(), folder.status())
            os.replace(path, folder.at(target.name), dst_dir_fd=folder.descriptor)
        self._sync_names(kept)

    def _sync_names(self, kept: Contents) -> None:
        """Make the name of contents durable, perhaps of another process that did not yet."""
        try:
            sync_folder(self.path_of(kept.digest).parent)
            sync_folder(self.folder)
        except genuine(OSError) as error:
            failed = UnsyncedError(*error.args)
            failed.contents = kept
            raise failed from error

    def _has(self, kept: Contents) -> bool:
        """Check whether contents exist and are intact; a damaged file is replaced."""
        try:
            file = Objects.opened(self, *kept)  # in this folder
        except (NotFoundError, StoreCorruptError):
            return False
        # Concurrent garbage collection keeps files with a recent time.
        with file, suppressed(OSError):
            os.utime(file.fileno() if os.utime in os.supports_fd else file.name)
            self._verified[kept.digest] = _identity(os.fstat(file.fileno()))
        return True

    # Reading

    def whole(self, digest: str, size_bytes: int) -> Path:
        """Return the file with these contents, verified to be unchanged.

        Raises:
            NotFoundError: The contents are missing.
            StoreCorruptError: The file has other contents; it is left as it is.
        """
        with self.opened(digest, size_bytes):
            return self.path_of(digest)

    def opened(self, digest: str, size_bytes: int) -> BinaryIO:
        """Open these contents, verified to be unchanged.

        The first access to a file by a process reads all of it.

        Raises:
            NotFoundError: The contents are missing.
            StoreCorruptError: The file has other contents; it is left as it is.
            StoreUnavailableError: This program has used all its descriptors.
        """
        path = self.path_of(digest)
        try:
            file = reader(path, levels=2)
        except FileNotFoundError:
            raise NotFoundError(
                f"The contents {digest[:12]}… are not in {self.folder}.",
                hint="Check that the objects of the store were copied as well.",
            ) from None
        except genuine(OSError) as error:
            raise _unreadable(path, error) from error
        try:
            self._check(file, Contents(digest, size_bytes))
        except genuine(OSError) as error:  # a StoreError is an OSError as well
            file.close()
            if isinstance(error, StoreCorruptError):
                raise
            raise _unreadable(path, error) from error
        return file

    def _check(self, file: BinaryIO, wanted: Contents) -> None:
        """Verify the contents of a file by reading all of it once."""
        now = _identity(os.fstat(file.fileno()))
        if self._verified.get(wanted.digest) == now:
            return
        # A file of another size need not be read, which could take for ever.
        is_same = os.fstat(file.fileno()).st_size == wanted.size_bytes and hashed(file) == wanted
        if not is_same:
            raise StoreCorruptError(
                f"{self.path_of(wanted.digest)} was changed or damaged: its contents have another"
                " digest.",
                kept="It was not changed; other contents are not affected.",
                hint="Save the same contents again to repair it, or restore them from a copy.",
            )
        file.seek(0)
        self._verified[wanted.digest] = now

    def check(self, digest: str, size_bytes: int) -> None:
        """Read stored contents and compare their digest.

        Raises:
            NotFoundError: The contents are missing.
            StoreCorruptError: They have another digest.
        """
        self.whole(digest, size_bytes)

    def copy_to(self, digest: str, file: BinaryIO, target: Path, *, link: bool = False) -> None:
        """Write the contents of an opened file to a new path.

        A hard link is made if asked for and the disk allows it; the file is then read-only.

        Raises:
            OSError: The disk is full.
        """
        if not (link and self._linked(digest, file, target)) and not _cloned(file, target):
            with target.open("xb") as copy:
                while some := file.read(_CHUNK_BYTES):
                    copy.write(some)

    def _linked(self, digest: str, file: BinaryIO, target: Path) -> bool:
        """Create a hard link to an open file of these contents; return False if it fails."""
        path = self.path_of(digest)
        try:
            with folder_at(path.parent, levels=2) as folder:
                os.link(
                    folder.at(path.name),
                    target,
                    src_dir_fd=folder.descriptor,
                    follow_symlinks=os.link not in os.supports_follow_symlinks,
                )
            if _identity(target.lstat()) == _identity(os.fstat(file.fileno())):
                return True
            target.unlink()  # replaced just now
        except genuine(OSError):
            pass
        return False


def is_old(path: Path) -> bool:
    """Check whether a file is there that was not written within a day."""
    try:
        return time.time() - path.lstat().st_mtime > DAY_S
    except genuine(OSError):
        return False


def hashed(file: BinaryIO, copy: BinaryIO | None = None) -> tuple[str, int]:
    """Return the SHA-256 of a file from here to its end, in hex, and the bytes read.

    They are written to the copy, if there is one.
    """
    begin = _begin_of(file)
    digest, size = _hash_of(begin), len(begin)
    if copy is not None:
        copy.write(begin)
    while len(begin) >= _CHUNK_BYTES and (some := file.read(_CHUNK_BYTES)):
        digest.update(some)
        if copy is not None:
            copy.write(some)
        size += len(some)
    return digest.hexdigest(), size


def _begin_of(file: BinaryIO) -> bytearray:
    """Return the first chunk of a file; a shorter one is all of it.

    Raw streams return less at a time, and None if they have nothing now.
    """
    begin = bytearray()
    while len(begin) < _CHUNK_BYTES and (some := file.read(_CHUNK_BYTES - len(begin))):
        begin += some
    return begin


def _hash_of(begin: bytes | bytearray | memoryview) -> hashlib._Hash:
    """Return the SHA-256 of the first chunk of contents.

    `hashlib` loads OpenSSL, which takes some milliseconds, and is several times as fast.
    """
    if len(begin) < _CHUNK_BYTES:
        return sha256(begin)
    from hashlib import sha256 as fast_sha256  # an ImportError if a module of the user hides it

    return fast_sha256(begin)


def _identity(about: os.stat_result) -> tuple[int, int, int]:
    return about.st_ino, about.st_size, about.st_mtime_ns


def _cloned(source: BinaryIO, target: Path) -> bool:
    """Share the blocks of a file with a new one; return False if the file system cannot."""
    import fcntl

    try:
        with target.open("xb") as clone:
            fcntl.ioctl(clone.fileno(), _FICLONE, source.fileno())
    except genuine(OSError) as error:
        target.unlink(missing_ok=True)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return False
    return True


def _unreadable(path: Path, error: OSError) -> StoreError:
    what, kept = f"{path} cannot be read: {error.strerror}.", "It was not changed."
    return (
        too_few_files(what, kept, error)
        if is_used_up(error)
        else StoreCorruptError(what, kept=kept)
    )


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
