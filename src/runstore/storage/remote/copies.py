"""Contents that are stored elsewhere, with copies in the store's folder on this machine."""

from __future__ import annotations

import io
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runstore.errors import (
    NotFoundError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
    genuine,
    suppressed,
)
from runstore.storage.files.objects import Contents, NotSentError, Objects, UnsyncedError, hashed
from runstore.storage.files.temporary import temporary_folder
from runstore.storage.sqlite.paths import parsed

# Copies take at most this much, and at most this share of their disk.
_LARGEST_BYTES, _LARGEST_SHARE = 10 << 30, 0.1
_KEPT_SHARE = 0.8
# A copy that was used lately may be in use by a program that knows only its path.
_IN_USE_S = 3600.0
_NOT_SENT = (StoreUnavailableError, StoreLockedError, StoreReadOnlyError)


class _NoRoomError(StoreUnavailableError):
    """A copy cannot be written on this machine."""


class CopiedObjects(Objects):
    """Contents stored elsewhere; every access goes through a copy in a folder.

    Copies are limited: the least recently used ones are removed.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._added: int | None = None

    def _send(self, kept: Contents, source: BinaryIO) -> None:
        """Send contents from a file that is at its beginning; durable on return.

        Raises:
            StoreUnavailableError: They could not be sent, or were changed meanwhile.
            StoreLockedError: The same.
        """
        raise NotImplementedError

    def _check_size(self, size_bytes: int) -> None:
        """Raise InvalidValueError for contents that are too large for their place."""

    def _fetch(self, wanted: Contents) -> None:
        """Make an intact copy, by `_copying`.

        Raises:
            NotFoundError: The contents are missing.
            StoreCorruptError: They have another digest.
            StoreUnavailableError: They cannot be read now.
        """
        raise NotImplementedError

    def opened(self, digest: str, size_bytes: int) -> BinaryIO:
        """Open these contents, fetched if there is no intact copy.

        Raises:
            NotFoundError: The contents are missing.
            StoreCorruptError: They have another digest.
            StoreUnavailableError: They cannot be read now.
        """
        self.path_of(digest)  # refuses a text that is not a digest
        try:
            file = super().opened(digest, size_bytes)
        except (NotFoundError, StoreCorruptError):
            self._fetch_anywhere(Contents(digest, size_bytes))
            file = super().opened(digest, size_bytes)
        about = os.fstat(file.fileno())
        with suppressed(OSError):  # of another user
            os.utime(file.fileno(), ns=(time.time_ns(), about.st_mtime_ns))
        return file

    def _fetch_anywhere(self, wanted: Contents) -> None:
        """Make an intact copy, in a temporary folder if the usual one cannot be written."""
        try:
            self._fetch(wanted)
        except _NoRoomError:
            place = temporary_folder()
            weakref.finalize(self, place.remove)
            self.folder = parsed(place.path / self.folder.name)
            self._fetch(wanted)

    def share(self, digest: str, size_bytes: int) -> None:
        """Send contents again if they are missing and this machine has a copy."""
        if not self.holds(digest, size_bytes) and Objects.size_of(self, digest) is not None:
            self._send_copy(Contents(digest, size_bytes))

    # Writing: directly, if the disk of this machine has no room for a copy

    def keep_open(self, file: BinaryIO) -> Contents:
        """Store the contents of an open file; see `keep_file`."""
        return self._kept(super().keep_open, file)

    def keep_stream(self, file: BinaryIO) -> Contents:
        """Store the contents of a binary file object up to its end; durable on return."""
        return self._kept(super().keep_stream, file)

    def keep_bytes(self, contents: bytes | bytearray | memoryview) -> Contents:
        """Store bytes; durable on return."""
        view = memoryview(contents).cast("B")
        try:
            return super().keep_bytes(view)
        except StoreError:
            raise
        except genuine(OSError) as refused:
            return self._kept_directly(io.BytesIO(view), refused)

    def _kept(self, keep: Callable[[BinaryIO], Contents], file: BinaryIO) -> Contents:
        begin = file.tell() if file.seekable() else None
        try:
            return keep(file)
        except StoreError:
            raise
        except genuine(OSError) as refused:
            if begin is None:
                raise
            file.seek(begin)
            return self._kept_directly(file, refused)

    def _kept_directly(self, file: BinaryIO, refused: OSError) -> Contents:
        """Store contents of a file at its beginning without a copy on this machine.

        The error of the copy is raised again if they cannot be sent either.
        """
        begin = file.tell()
        kept = Contents(*hashed(file))
        self._check_size(kept.size_bytes)
        file.seek(begin)
        try:
            self._send(kept, file)
        except _NOT_SENT:
            raise refused from None
        return kept

    def _name(self, path: Path, kept: Contents) -> None:
        self._check_size(kept.size_bytes)
        super()._name(path, kept)
        self._deliver(kept)

    def _sync_names(self, kept: Contents) -> None:
        """Make the name of a copy durable if that is possible: the contents are sent as well."""
        with suppressed(UnsyncedError):
            super()._sync_names(kept)

    def _found(self, kept: Contents) -> None:
        """Send a copy that exists already: maybe it was not sent, or was removed elsewhere."""
        self._deliver(kept)

    def _send_copy(self, kept: Contents) -> None:
        with self.path_of(kept.digest).open("rb") as source:
            self._send(kept, source)

    def _deliver(self, kept: Contents) -> None:
        try:
            self._send_copy(kept)
        except _NOT_SENT as error:
            failed = NotSentError(error.what, kept=error.kept, hint=error.hint)
            failed.contents = kept
            raise failed from error
        self._limit(kept.size_bytes)

    @contextmanager
    def _copying(self, wanted: Contents) -> Iterator[Path]:
        """Yield a path to write these contents to; the copy gets its name on exit.

        Raises:
            StoreUnavailableError: The disk of this machine is full.
        """
        try:
            with self._being_saved(), self.aside() as path:
                yield path
                super()._name(path, wanted)
        except StoreError:
            raise
        except genuine(OSError) as error:
            raise _NoRoomError(
                f"A copy of contents could not be written to {self.folder}:"
                f" {error.strerror or error}.",
                kept="The stored contents were not changed.",
                hint="Free some space on the disk, then try again.",
            ) from error
        self._limit(wanted.size_bytes)

    # The limit of the copies

    def _limit(self, size_bytes: int) -> None:
        """Remove copies after some were added, if they take too much."""
        limit = self._limit_bytes()
        if self._added is not None and self._added + size_bytes < limit // 16:
            self._added += size_bytes
            return
        self._added = 0
        copies = sorted(self._copies())
        total = sum(size for _, size, _ in copies)
        if total <= limit:
            return
        for used_at, size, path in copies:
            if total <= limit * _KEPT_SHARE or time.time() - used_at < _IN_USE_S:
                return
            with suppressed(OSError):
                super().remove(path)
                total -= size

    def _limit_bytes(self) -> int:
        try:
            return min(_LARGEST_BYTES, int(shutil.disk_usage(self.folder).total * _LARGEST_SHARE))
        except genuine(OSError):
            return _LARGEST_BYTES

    def _copies(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each copy was used last, its size, and its path."""
        for path in super().files():
            if self.digest_at(path) is not None:
                with suppressed(OSError):
                    yield used_at(path), path.lstat().st_size, path


def used_at(path: Path) -> float:
    """Return when a copy was saved or used last; the distant future if it is not there."""
    try:
        about = path.lstat()
    except genuine(OSError):
        return float("inf")
    return max(about.st_atime, about.st_mtime)
