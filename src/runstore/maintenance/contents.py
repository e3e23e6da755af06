"""Copying of the contents of files to another store, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, BinaryIO, cast

from runstore.background import in_main_thread
from runstore.errors import (
    InvalidValueError,
    NotFoundError,
    RunstoreError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    genuine,
)
from runstore.storage.backend import Backend

if TYPE_CHECKING:
    from concurrent.futures import Future

# Each file is synced: a disk or a server can do that for several at once.
_AT_ONCE = 8
_SHOWN_EVERY_S = 0.2


class ContentsCopier:
    """Copies contents from one store to another, each verified by its digest.

    Args:
        source: The store that has them.
        target: The store to write to.
        show: Called now and then in the calling thread.
        is_dry: Whether to only count them.

    Attributes:
        files: Number of copied files.
        size_bytes: Number of copied bytes.
    """

    def __init__(
        self, source: Backend, target: Backend, show: Callable[[], None], *, is_dry: bool
    ) -> None:
        self.files = self.size_bytes = 0
        self._source = source
        self._target = target
        self._show = show
        self._is_dry = is_dry
        self._counted: set[str] = set()
        self._lock = threading.Lock()
        self._is_stopped = False

    def copy(self, wanted: Mapping[str, int]) -> dict[str, RunstoreError]:
        """Copy the missing ones among these contents, sizes by digest; durable on return.

        Returns the reasons why some of them cannot be copied, by digest.

        Raises:
            StoreError: One of the stores failed.
        """
        missing = {digest: size for digest, size in wanted.items() if self._lacks(digest, size)}
        if self._is_dry or len(missing) < 2:  # noqa: PLR2004 - a thread for one is of no use
            results = {digest: self._tried(digest, size) for digest, size in missing.items()}
        else:
            results = self._in_threads(missing)
        return {digest: why for digest, why in results.items() if why is not None}

    def _lacks(self, digest: str, size: int) -> bool:
        stored = self._target.objects
        if self._is_dry:
            return digest not in self._counted and stored.size_of(digest) != size
        return not stored.holds(digest, size)

    def _in_threads(self, missing: Mapping[str, int]) -> dict[str, RunstoreError | None]:
        from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

        with ThreadPoolExecutor(min(_AT_ONCE, len(missing))) as pool:
            futures: dict[str, Future[RunstoreError | None]] = {
                digest: pool.submit(self._tried, digest, size) for digest, size in missing.items()
            }
            try:
                waiting = set(futures.values())
                while waiting:
                    done, waiting = wait(waiting, _SHOWN_EVERY_S, FIRST_EXCEPTION)
                    for one in done:
                        one.result()
                    self._show()
            except BaseException:  # also of a signal: the other threads shall end soon
                self._is_stopped = True
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return {digest: future.result() for digest, future in futures.items()}

    def _tried(self, digest: str, size: int) -> RunstoreError | None:
        """Copy contents; return the error if these contents cannot be copied."""
        try:
            self._copy(digest, size)
        except (NotFoundError, StoreCorruptError, InvalidValueError) as error:
            return error
        with self._lock:
            self.files += 1
        return None

    def _copy(self, digest: str, size: int) -> None:
        if self._is_dry:
            if self._source.objects.size_of(digest) != size:
                raise NotFoundError(f"The contents {digest[:12]}… are missing.")
            self._counted.add(digest)
            self.size_bytes += size
            return
        with self._source.objects.opened(digest, size) as file:
            counted = _CountedFile(file, self._add)
            try:
                kept = self._target.objects.keep_open(cast("BinaryIO", counted))
                if kept.digest != digest:
                    raise StoreCorruptError(f"The contents {digest[:12]}… changed meanwhile.")
            except StoreError:
                self._add(-counted.size_bytes)
                raise
            except genuine(OSError) as error:
                raise StoreUnavailableError(
                    f"A file of {size:,} bytes could not be copied to {self._target.place}:"
                    f" {error.strerror or error}.",
                    kept="No incomplete run was written.",
                    hint="Repeat the transfer to continue.",
                ) from error
        self._add(size - counted.size_bytes)  # a clone is not read

    def _add(self, count: int) -> None:
        if self._is_stopped:
            raise StoreUnavailableError("The transfer was interrupted.")
        with self._lock:
            self.size_bytes += count
        if in_main_thread():
            self._show()


class _CountedFile:
    """A file that reports the number of bytes that are read."""

    def __init__(self, file: BinaryIO, report: Callable[[int], None]) -> None:
        self.size_bytes = 0
        self._file = file
        self._report = report

    def read(self, size: int = -1) -> bytes:
        some = self._file.read(size)
        self.size_bytes += len(some)
        self._report(len(some))
        return some

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def fileno(self) -> int:
        return self._file.fileno()
