"""The points that a run logs: written at once to files in the spool."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count, islice
from pathlib import Path

from runstore.errors import (
    RunFinishedError,
    RunstoreError,
    StoreError,
    StoreWarning,
    genuine,
    suppressed,
)
from runstore.recording import live_runs
from runstore.recording.points.channel import NOWHERE, Channel, Executing, Known
from runstore.recording.points.held import HeldPoints
from runstore.recording.points.importing import PointImport
from runstore.recording.tickers import Ticker
from runstore.storage.database import END_PATIENCE_S, PATIENCE_S
from runstore.storage.files.spool import POINTS_SUFFIX
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_files import PointFile, next_room
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.metrics.table import is_abandoned
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.disks import is_network_disk
from runstore.storage.sqlite.forks import LiveSet
from runstore.storage.sqlite.paths import is_missing
from runstore.storage.sqlite.signals import Uninterrupted
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.storage.backend import Backend

OF_RUN = -1
# Every log of this process: a forked child continues in separate files.
_logs: LiveSet[PointLog] = LiveSet()
_TEND_EVERY_S = 1.0
# How long the end waits for the thread; work that both do takes effect only once.
_THREAD_PATIENCE_S = 5.0


class PointLog:
    """All points that this process logs for one run.

    A call needs no database lock and waits for no reader: it copies a record into a
    memory-mapped file. A separate thread flushes the file to the disk every second, and gradually
    imports the points into the database; `finish` imports the rest; see `PointImport`.

    Signal handlers, finalizers and other threads can call any function here at any time, so
    nothing here holds a lock: races are decided by atomic steps of the interpreter (`setdefault`,
    `pop`, `next`), which only one caller wins.

    Args:
        backend: The store.
        uid: The run.
        reference: Its name, for messages.
        is_new: Whether the run was started here, and so has no points yet.
    """

    def __init__(
        self, backend: Backend, uid: str, reference: str, *, is_new: bool = False
    ) -> None:
        self.is_strict = False
        self._backend = backend
        self._uid = uid
        self._reference = reference
        self._channels: dict[int, Channel] = {}
        self.run: Executing | None = None  # the owner, for copies in other processes
        # Called to check whether an ended run can log points again.
        self.reopen_run: Callable[[], bool] = bool
        self._is_ended = False
        self._said: set[str] = set()
        self._numbers: dict[KeyOf, int] = {}
        self._next_number = count()
        # A resumed run continues counting steps, in files that follow the earlier ones.
        self.first_steps, self._newest = ({}, 0) if is_new else self._go_on_with()
        self._begin_in_this_process()
        _logs.add(self)

    def _begin_in_this_process(self) -> None:
        self.pid = os.getpid()
        self.file: PointFile | None = None
        # The first file, like `PointFile.following` for the others.
        self._following: dict[str, PointFile | None] = {}
        self.held = HeldPoints(self._backend, self._uid)
        self.files = PointImport(self._backend, self._uid, self._reference)
        self._room = 0
        self._ticker = Ticker(self._tend, lambda: _TEND_EVERY_S)

    def _go_on_with(self) -> tuple[dict[KeyOf, int], int]:
        with suppress(StoreError):
            files = self._backend.spool.point_files(self._uid, is_to_take=True)
            totals, marks = self._backend.metrics.totals(self._uid)
            steps = {series: last_step + 1 for series, (_, last_step) in totals.items()}
            names = [*marks, *(path.name for path in files)]
            return steps, max(map(_made_at, names), default=0)
        return {}, 0

    def channel(self, set_index: int) -> Channel:
        """Return the channel of the run (`OF_RUN`) or of one of its sets."""
        return self._channels.setdefault(set_index, Channel(self, set_index))

    # Writing

    def after_fork(self) -> None:
        """Start a separate file: a forked child shares its parent's memory map."""
        self._begin_behind_what_is_written()
        if self._is_ended:
            self._following[""] = None

    def number_of(self, series: KeyOf) -> int:
        """Return the number of a series in this process's files."""
        return self._numbers.setdefault(series, next(self._next_number))

    def has_room(self) -> bool:
        """Check whether a point can be written to a disk, as far as that is known before.

        Raises:
            RunFinishedError: The run has ended.
        """
        return not self.held and (self.file or self._file_after(None)) is not None

    def append(self, known: Known, step: int, time: int, value: float) -> None:
        """Write a point, into the next file if this one is full.

        Raises:
            RunFinishedError: The run has ended.
        """
        # Held points were logged earlier, so they come first.
        if self.held or not self._write(known, step, time, value):
            self._hold(known, step, time, value)

    def _write(self, known: Known, step: int, time: int, value: float) -> bool:
        """Write a point; return False if no disk can be written."""
        file = self.file or self._file_after(None)
        try:
            while file is not None and not (
                self._is_said(known, file) and file.write(known.number, step, time, value)
            ):
                file = self._file_after(file)
        except genuine(OSError) as error:
            self._say_held(error)
            return False
        return file is not None

    def append_many(self, known: Known, points: Columns) -> None:
        """Write many points of one series, in as many files as they need.

        Raises:
            RunFinishedError: The run has ended.
        """
        begin, file = 0, None if self.held else self.file or self._file_after(None)
        try:
            while file is not None and begin < len(points.values):
                if self._is_said(known, file):
                    begin += file.write_many(known.number, points, begin)
                if begin < len(points.values):
                    file = self._file_after(file)
        except genuine(OSError) as error:
            self._say_held(error)
        for step, time, value in islice(zip(*points, strict=True), begin, None):
            self._hold(known, step, time, value)

    def _is_said(self, known: Known, file: PointFile) -> bool:
        """Declare a series in a file, unless it is declared; return False if the file is full."""
        if known.said_in is not file:
            if not file.say_series(known.series, known.number):
                return False
            known.said_in = file
            # While points are held, new ones have to queue after them.
            known.quick_file = NOWHERE if file.memory is None or self.held else file
        return True

    def _file_after(self, old: PointFile | None) -> PointFile | None:
        """Return the file that follows a full one; None if no disk can be written.

        Raises:
            RunFinishedError: The run has ended.
        """
        following = self._following if old is None else old.following
        if "" not in following:
            # A handler that logs every millisecond would begin a file whenever it interrupts this.
            with Uninterrupted(patience_s=live_runs.PATIENCE_S):
                made = self._new_file(old)
                if made is None:
                    return None
                if following.setdefault("", made) is made:
                    self.files.add(made)
                else:
                    made.discard()  # another thread was faster
        new = following[""]
        if new is None:
            if self.is_strict or not self.reopen_run():
                raise self._finished()
            self._begin_again()
            return self._file_after(None)
        self.file = new
        if old is not None:
            old.seal()
        self._ticker.start()
        return new

    def _new_file(self, old: PointFile | None) -> PointFile | None:
        self._room = next_room(self._room)
        # The clock may stand still or jump back; files are imported in the order of their names.
        after = self._newest if old is None else _made_at(old.path.name)
        name = f"{self._uid}.{max(clock.time_ns(), after + 1):020d}"

        def made(folder: Path) -> PointFile:
            # The name must be new: imported files are known by their names.
            path = folder / f"{name}-{os.urandom(4).hex()}{POINTS_SUFFIX}"
            return PointFile(path, self._room, mapped=not is_network_disk(folder))

        try:
            return with_room(lambda: self._backend.spool.in_first_place(made))
        except genuine(OSError) as error:
            self._room = 0
            self._say_held(error)
            return None

    def _say_held(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.say(f"Points of {self._reference} are held in memory: {reason}.")

    def _hold(self, known: Known, step: int, time: int, value: float) -> None:
        """Keep a point in memory until a disk can be written."""
        if self._is_ended:
            raise self._finished()
        self.held.add((known, step, time, value))
        if not self._ticker.start():
            self._release_held()

    def _release_held(self) -> None:
        """Write held points, as many as the disk now accepts."""
        self.held.release(lambda point: self._write(*point))

    def _begin_again(self) -> None:
        """Log again after the end, in files that follow the earlier ones."""
        if self._is_ended:
            self._is_ended = False
            self._begin_behind_what_is_written()

    def _begin_behind_what_is_written(self) -> None:
        self._newest = max([self._newest, *(_made_at(path.name) for path in self.files.written)])
        self._begin_in_this_process()

    def _finished(self) -> RunFinishedError:
        return RunFinishedError(
            f"The run {self._reference} has ended; nothing more is logged.",
            kept="Earlier points are kept.",
        )

    def complain(self, troubles: Mapping[str, RunstoreError]) -> None:
        """Warn about values that were not logged, once per kind; raise if the run is strict."""
        if self.is_strict:
            raise next(iter(troubles.values()))
        for about, error in troubles.items():
            self.say(str(error), about)

    def say(self, message: str, about: str | None = None) -> None:
        """Warn once about each problem, as experiments log in loops."""
        about = about or message
        if about not in self._said:
            self._said.add(about)
            warn(message)

    # In the background

    def _tend(self) -> None:
        with suppressed(OSError, RunstoreError):
            if self.run is not None:
                self.run.take_over()
        with suppressed(OSError, ValueError, RunstoreError, StoreWarning):
            self._release_held()
            file = self.file
            if file is not None and is_missing(file.path):
                file = self._file_after(file)  # it was deleted
            if file is not None:
                file.sync()
            with self._backend.database.driver.hurried(PATIENCE_S):
                self.files.absorb_some(file, self._ticker.rests)
                self.held.hand_in()

    def hand_in(self, *, is_last: bool = False) -> None:
        """Import the points logged so far; if that fails, they stay in the spool.

        The last time, its files can be removed.
        """
        if is_last:
            self._end()
        self.files.absorb()
        with suppressed(RunstoreError, OSError):
            self.held.hand_in()

    def rewind(self, step: int) -> int:
        """Delete the points of all series from a step onwards; see `ActiveRun.rewind`."""
        from runstore.config import current_author
        from runstore.storage.metrics.rewinding import remove_points

        if self._is_ended:
            raise self._finished()
        self._release_held()
        with self._backend.database.driver.hurried(END_PATIENCE_S):
            self.held.hand_in()
            # First the points left by a killed process, then those of this one.
            for path in self._backend.spool.point_files(self._uid, is_to_take=True):
                self.files.absorbed(path, is_over=is_abandoned(path))
            removed = remove_points(self._backend.database, self._uid, step, current_author())
        self.first_steps, _ = self._go_on_with()
        for channel in list(self._channels.values()):
            channel.count_from(self.first_steps)
        return removed

    def finish(self, *, with_end: bool = False) -> bool:
        """Import the rest, or warn with its location; no more can be logged.

        Returns whether the database could be written. See `take_in_last` about the end of the run.
        """
        if self.pid != os.getpid():
            return True
        with suppressed(RunstoreError, OSError, ValueError):
            self._release_held()
        self._end()
        self._ticker.stop(_THREAD_PATIENCE_S)
        self.files.absorb_all(with_end=with_end and not self.held)
        with suppressed(RunstoreError, OSError, ValueError):
            self.held.hand_in()
        self.files.close_all()
        lost = len(self.held) + self.held.dropped
        if lost:
            points = f"{lost:,} points of {self._reference} were"
            if lost == 1:
                points = f"1 point of {self._reference} was"
            warn(f"{points} lost: no disk could be written.")
        return not self.files.was_refused

    def _end(self) -> None:
        """Create no more files; later calls report that the run has ended."""
        self._is_ended = True
        file: PointFile | None = None
        following = self._following
        while (new := following.setdefault("", None)) is not None:
            file, following = new, new.following
            file.seal()


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _made_at(name: str) -> int:
    """Return the increasing number in the name of a file of points; 0 for other files."""
    digits = name.partition(".")[2][:20]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
