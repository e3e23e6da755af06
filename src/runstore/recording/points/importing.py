"""The import of logged points from files in the spool into the database."""

from __future__ import annotations

import functools
import time as clock
from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile

from runstore.errors import RunstoreError, StoreError, StoreWarning, genuine, suppressed
from runstore.storage.database import END_PATIENCE_S
from runstore.storage.files.safe_files import remove_file
from runstore.storage.files.spool import write_copy
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.paths import is_missing
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from runstore.storage.backend import Backend
    from runstore.storage.driver import Connection
    from runstore.storage.metrics.point_files import PointFile
    from runstore.storage.metrics.table import TakenIn

# Pause after each import, relative to its duration, to let other writers in.
_SHARE_OF_OTHERS = 50
# The first of more files are closed before they are imported.
_OPEN_AT_MOST = 8


class PointImport:
    """Imports the files that this process wrote for one run.

    Like `PointLog`, it may be called at any time, and holds no lock.

    Attributes:
        written: The files that were not imported yet, oldest first.
        was_refused: Whether the import of the last points has failed.
    """

    def __init__(self, backend: Backend, uid: str, reference: str) -> None:
        self.written: list[Path] = []
        # The latest files, which stay open until they are imported.
        self._open: dict[Path, PointFile] = {}
        self.was_refused = False
        self._backend = backend
        self._uid = uid
        self._reference = reference
        self._absorb_at = 0.0
        # The points imported together with the end of the run.
        self._last: Path | None = None
        self._taken: TakenIn | OSError | None = None

    def add(self, file: PointFile) -> None:
        """Add a file that was created just now."""
        self._open[file.path] = file
        self.written.append(file.path)
        for path in tuple(self._open)[:-_OPEN_AT_MOST]:
            self._close(path)

    def _close(self, path: Path) -> None:
        file = self._open.pop(path, None)
        if file is not None:
            file.close()

    def close_all(self) -> None:
        """Close all files but the one that is imported with the end of the run.

        One that was deleted and could not be imported is written again.
        """
        for path in tuple(self._open):
            if path != self._last:
                self._rescue(path)
                self._close(path)

    def _rescue(self, path: Path) -> None:
        file = self._open.get(path)
        if file is None or path not in self.written or not is_missing(path):
            return
        saved = file.saved()
        if saved is not None:
            with suppressed(OSError):
                self._backend.spool.in_first_place(lambda folder: write_copy(folder, path, saved))

    def _saved(self, path: Path, *, is_over: bool = False) -> Callable[[], bytes | None]:
        """Return a function that reads a file even if it was deleted.

        At the end, files that are in their place are closed: the program may have used up its
        descriptors.
        """
        file = self._open.get(path)
        if is_over and not is_missing(path):
            self._close(path)
            return _nothing
        return _nothing if file is None else file.saved

    def absorb_some(self, current: PointFile | None, rests: Callable[[float], bool]) -> None:
        """Import full files, and the points that the current file has so far.

        `rests` waits some seconds, and returns whether to stop.
        """
        full = takewhile(lambda path: current is None or path != current.path, self.written)
        for path in list(full):
            began = clock.monotonic()
            if not self.absorbed(path):
                return  # later points would come before it
            # Packing takes interpreter time, most of which belongs to the experiment.
            if rests(4 * (clock.monotonic() - began)):
                return
        began = clock.monotonic()
        if current is not None and began >= self._absorb_at:
            self._backend.metrics.absorb(current.path, saved=current.saved)
            now = clock.monotonic()
            # A single run is imported every second; many runs at once take turns.
            self._absorb_at = now + _SHARE_OF_OTHERS * (now - began)

    def absorbed(self, path: Path, *, is_over: bool = False) -> bool:
        """Import a file; return whether it is now imported, by this process or another."""
        table = self._backend.metrics
        saved = self._saved(path, is_over=is_over)
        if not is_missing(path) or saved() is not None:
            table.absorb(path, is_over=is_over, saved=saved)
        elif not table.has_seen(path):
            return False
        if is_missing(path):
            self._close(path)
            with suppress(ValueError):  # another thread was faster
                self.written.remove(path)
        return True

    def absorb(self) -> None:
        """Import the files as far as possible; the rest stays in the spool."""
        with suppressed(StoreError, OSError):
            for path in tuple(self.written):
                self.absorbed(path)

    def absorb_all(self, *, with_end: bool = False) -> None:
        """Import every file, including those of forked children, in order of creation."""
        files = {*self.written, *self._backend.spool.point_files(self._uid, is_to_take=True)}
        if not files:
            return
        driver = self._backend.database.driver
        if driver.is_writing:  # a signal handler or a finalizer ends the run
            driver.after_writing(self._absorb_quietly)
            return
        try:
            with self._backend.database.driver.hurried(END_PATIENCE_S):
                in_order = sorted(files, key=lambda one: one.name)
                if with_end:
                    self._last = in_order.pop()
                if in_order and self._backend.database.is_purged(self._uid):
                    for path in in_order:  # as in the warning about the end
                        path.unlink(missing_ok=True)
                    return
                for path in in_order:
                    # Otherwise the file may have been created needlessly by another thread.
                    is_in = with_room(functools.partial(self.absorbed, path, is_over=True))
                    if not is_in and path in self.written:
                        raise FileNotFoundError(f"{path} was moved.")
        except genuine(OSError) as error:  # every StoreError is one
            self._last = None  # it would come before the rejected ones
            self._refuse(error)

    def _absorb_quietly(self) -> None:
        with suppressed(RunstoreError, OSError, StoreWarning):
            self.absorb_all()

    # With the end of the run

    def take_in_last(self, connection: Connection) -> None:
        """Import the last file, in the transaction that writes the end of the run."""
        path, self._taken = self._last, None
        if path is None:
            return
        try:
            self._taken = self._backend.metrics.take_in(
                connection, path, is_over=True, saved=self._saved(path, is_over=True)
            )
        except StoreError:
            raise
        except genuine(OSError) as error:  # the end is written anyway
            self._taken = error

    def has_taken_last(self) -> None:
        """Discard the last file, as the import of `take_in_last` is durable now."""
        path, self._last = self._last, None
        if path is None or self._taken is None:
            return
        if isinstance(self._taken, OSError):
            self._refuse(self._taken)
        elif self._taken.is_done:
            with suppressed(OSError):  # it was imported; the next reader removes it
                remove_file(path)
            with suppress(ValueError):
                self.written.remove(path)
        elif not self._taken.is_there and path in self.written:  # else created needlessly
            self._refuse(FileNotFoundError(f"{path} was moved."))
        self.close_all()

    def take_in_rest(self) -> None:
        """Import the last file separately, as the end was not written."""
        if self._last is not None:
            self._last = None
            self.absorb_all()

    def leave_last(self, error: Exception) -> bool:
        """Leave the last file in the spool, as its import failed; return False without one."""
        is_one = self._last is not None
        self._last = None
        if is_one:
            self.close_all()
            self._refuse(error)
        return is_one

    def drop_last(self) -> None:
        """Remove the last file, as its run was permanently deleted."""
        path, self._last = self._last, None
        if path is not None:
            with suppressed(OSError):
                remove_file(path)
            self._close(path)

    def _refuse(self, error: Exception) -> None:
        self.was_refused = True
        is_kept = not all(map(is_missing, self.written))
        warn(
            f"{getattr(error, 'what', error)} The last points of {self._reference} "
            + (
                "are kept in the spool; they are imported when the store is next opened."
                if is_kept
                else "were in its spool; if the store was moved, they are imported there."
            )
        )


def _nothing() -> bytes | None:
    return None
