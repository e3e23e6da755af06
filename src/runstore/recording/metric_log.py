"""The points that a run logs: at once into the spool, and from there into the database."""

from __future__ import annotations

import functools
import os
import struct
import time as clock
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runstore.errors import (
    InvalidValueError,
    RunFinishedError,
    RunstoreError,
    StoreError,
    StoreWarning,
)
from runstore.model.logged.calls import (
    Troubles,
    merged,
    no_more_steps,
    noted,
    stepped,
    steps_of,
    taken_apart,
    timed,
    times_of,
    unreadable,
    values_of,
    within_limit,
)
from runstore.model.logged.values import LAST_STEP, column_of, metric_key, metric_value, shown
from runstore.recording.tickers import Ticker
from runstore.storage.database import END_PATIENCE_S, PATIENCE_S
from runstore.storage.files.safe_files import remove_file
from runstore.storage.files.spool import POINTS_SUFFIX
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_files import QUICK_RECORD, KeyOf, PointFile, kind_of, next_room
from runstore.storage.metrics.table import TakenIn, is_abandoned
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.disks import is_network_disk
from runstore.user_warnings import afterwards, warn

if TYPE_CHECKING:
    from runstore.storage.backend import Backend
    from runstore.storage.driver import Connection

OF_RUN = -1
# More parts indicate an object that contains itself.
_DEEPEST = 20
# Found at once by the inner loop.
pack_into, now_ns = QUICK_RECORD.pack_into, clock.time_ns
# Every log of this process: a forked child continues in separate files.
_logs: weakref.WeakSet[PointLog] = weakref.WeakSet()
_TEND_EVERY_S = 1.0
# Pause after each import, relative to its duration, to let other writers in.
_SHARE_OF_OTHERS = 50
# How long the end waits for the thread; work that both do takes effect only once.
_THREAD_PATIENCE_S = 5.0
_HELD_AT_MOST = 1_000_000
_NOTHING: Mapping[str, Any] = {}
_NOWHERE = object()


class Executing(Protocol):
    """A run that can log points."""

    def take_over(self) -> bool:
        """Continue a run whose process has ended; return whether this process executes it."""

    def channel(self, set_index: int) -> Channel:
        """Return the channel of the run (-1) or of one of its parameter sets."""


class PointLog:
    """All points that this process logs for one run.

    A call needs no database lock and waits for no reader: it copies a record into a
    memory-mapped file. A separate thread flushes the file to the disk every second, and gradually
    imports the points into the database; `finish` imports the rest.

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
        self._was_refused = False
        self._is_ended = False
        self._said: set[str] = set()
        self._numbers: dict[KeyOf, int] = {}
        self._next_number = count()
        # A resumed run continues counting steps, in files that follow the earlier ones.
        self.first_steps, self._newest = ({}, 0) if is_new else self._go_on_with()
        # The points imported together with the end of the run.
        self._last: Path | None = None
        self._taken: TakenIn | OSError | None = None
        self._begin_in_this_process()
        _logs.add(self)

    def _begin_in_this_process(self) -> None:
        self.pid = os.getpid()
        self.file: PointFile | None = None
        # The first file, like `PointFile.following` for the others.
        self._following: dict[str, PointFile | None] = {}
        self.held: deque[tuple[Known, int, int, float]] = deque()
        self._written: list[Path] = []
        self._room = 0
        self._dropped = 0
        self._ticker = Ticker(self._tend, lambda: _TEND_EVERY_S)
        self._absorb_at = 0.0

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
        except OSError as error:
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
        except OSError as error:
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
            known.quick_file = _NOWHERE if file.memory is None or self.held else file
        return True

    def _file_after(self, old: PointFile | None) -> PointFile | None:
        """Return the file that follows a full one; None if no disk can be written.

        Raises:
            RunFinishedError: The run has ended.
        """
        following = self._following if old is None else old.following
        if "" not in following:
            made = self._new_file(old)
            if made is None:
                return None
            if following.setdefault("", made) is made:
                self._written.append(made.path)
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
        except OSError as error:
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
        if len(self.held) < _HELD_AT_MOST:
            self.held.append((known, step, time, value))
        else:
            self._dropped += 1
        if not self._ticker.start():
            self._release_held()

    def _release_held(self) -> None:
        """Write held points, as many as the disk now accepts."""
        while self.held:
            try:
                point = self.held.popleft()
            except IndexError:  # another thread did it
                return
            if not self._write(*point):
                self.held.appendleft(point)
                return

    def _begin_again(self) -> None:
        """Log again after the end, in files that follow the earlier ones."""
        if self._is_ended:
            self._is_ended = self._was_refused = False
            self._begin_behind_what_is_written()

    def _begin_behind_what_is_written(self) -> None:
        self._newest = max([self._newest, *(_made_at(path.name) for path in self._written)])
        self._begin_in_this_process()

    def _finished(self) -> RunFinishedError:
        return RunFinishedError(
            f"The run {self._reference} has ended; nothing more is logged.",
            kept="What was logged before is kept.",
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
        with suppress(OSError, RunstoreError):
            if self.run is not None:
                self.run.take_over()
        with suppress(OSError, ValueError, RunstoreError, StoreWarning):
            self._release_held()
            file = self.file
            if file is not None:
                file.sync()
            with self._backend.database.driver.hurried(PATIENCE_S):
                self._absorb_some(file)

    def _absorb_some(self, current: PointFile | None) -> None:
        """Import full files, and the points that the current file has so far."""
        full = takewhile(lambda path: current is None or path != current.path, self._written)
        for path in list(full):
            began = clock.monotonic()
            if not self._absorbed(path):
                return  # later points would come before it
            # Packing takes interpreter time, most of which belongs to the experiment.
            if self._ticker.rests(4 * (clock.monotonic() - began)):
                return
        began = clock.monotonic()
        if current is not None and began >= self._absorb_at:
            self._backend.metrics.absorb(current.path)
            now = clock.monotonic()
            # A single run is imported every second; many runs at once take turns.
            self._absorb_at = now + _SHARE_OF_OTHERS * (now - began)

    def _absorbed(self, path: Path, *, is_over: bool = False) -> bool:
        """Import a file; return whether it is now imported, by this process or another."""
        table = self._backend.metrics
        if path.exists():
            table.absorb(path, is_over=is_over)
        elif not table.has_seen(path):
            return False
        if not path.exists():
            with suppress(ValueError):  # another thread was faster
                self._written.remove(path)
        return True

    def hand_in(self, *, is_last: bool = False) -> None:
        """Import the points logged so far; if that fails, they stay in the spool.

        Args:
            is_last: Whether this process will log no more to the run, so that its files can be
                removed.
        """
        if is_last:
            self._end()
        with suppress(StoreError, OSError):
            for path in tuple(self._written):
                self._absorbed(path)

    def rewind(self, step: int) -> int:
        """Delete the points of all series from a step onwards; see `ActiveRun.rewind`."""
        from runstore.config import current_author
        from runstore.storage.metrics.rewinding import remove_points

        if self._is_ended:
            raise self._finished()
        self._release_held()
        if self.held:
            raise StoreError(
                f"The points of {self._reference} could not be written to the disk.",
                kept="They are held in memory, and nothing was removed.",
            )
        with self._backend.database.driver.hurried(END_PATIENCE_S):
            # First the points left by a killed process, then those of this one.
            for path in self._backend.spool.point_files(self._uid, is_to_take=True):
                self._absorbed(path, is_over=is_abandoned(path))
            removed = remove_points(self._backend.database, self._uid, step, current_author())
        self.first_steps, _ = self._go_on_with()
        for channel in list(self._channels.values()):
            channel.count_from(self.first_steps)
        return removed

    def finish(self, *, with_end: bool = False) -> bool:
        """Import the rest; if that fails, warn with its location. No more can be logged.

        Args:
            with_end: Whether the end of the run is written next, together with the last file; see
                `take_in_last`.

        Returns:
            Whether the database could be written.
        """
        if self.pid != os.getpid():
            return True
        with suppress(RunstoreError, OSError, ValueError):
            self._release_held()
        self._end()
        self._ticker.stop(_THREAD_PATIENCE_S)
        self._absorb_all(with_end=with_end)
        lost = len(self.held) + self._dropped
        if lost:
            warn(f"{lost:,} points of {self._reference} were lost: no disk could be written.")
        return not self._was_refused

    def _end(self) -> None:
        """Create no more files; later calls report that the run has ended."""
        self._is_ended = True
        file: PointFile | None = None
        following = self._following
        while (new := following.setdefault("", None)) is not None:
            file, following = new, new.following
            file.seal()

    def _absorb_quietly(self) -> None:
        with suppress(RunstoreError, OSError, StoreWarning):
            self._absorb_all()

    def take_in_last(self, connection: Connection) -> None:
        """Import the last file, in the transaction that writes the end of the run."""
        path, self._taken = self._last, None
        if path is None:
            return
        try:
            self._taken = self._backend.metrics.take_in(connection, path, is_over=True)
        except StoreError:
            raise
        except OSError as error:  # the end is written anyway
            self._taken = error

    def has_taken_last(self) -> None:
        """Discard the last file, as the import of `take_in_last` is durable now."""
        path, self._last = self._last, None
        if path is None or self._taken is None:
            return
        if isinstance(self._taken, OSError):
            self._refuse(self._taken)
        elif self._taken.is_done:
            with suppress(OSError):  # it was imported; the next reader removes it
                remove_file(path)
            with suppress(ValueError):
                self._written.remove(path)
        elif not self._taken.is_there and path in self._written:  # else created needlessly
            self._refuse(FileNotFoundError(f"{path} was moved."))

    def take_in_rest(self) -> None:
        """Import the last file separately, as the end was not written."""
        if self._last is not None:
            self._last = None
            self._absorb_all()

    def leave_last(self, error: Exception) -> bool:
        """Leave the last file in the spool, as its import failed; return False if there is none.

        Args:
            error: The reason.
        """
        is_one = self._last is not None
        self._last = None
        if is_one:
            self._refuse(error)
        return is_one

    def drop_last(self) -> None:
        """Remove the last file, as its run was permanently deleted."""
        path, self._last = self._last, None
        if path is not None:
            with suppress(OSError):
                remove_file(path)

    def _refuse(self, error: Exception) -> None:
        self._was_refused = True
        is_kept = any(path.exists() for path in self._written)
        warn(
            f"{getattr(error, 'what', error)} The last points of {self._reference} "
            + (
                "are kept in the spool; they are imported when the store is next opened."
                if is_kept
                else "were in its spool, which no longer exists."
            )
        )

    def _absorb_all(self, *, with_end: bool = False) -> None:
        """Import every file, including those of forked children, in order of creation."""
        files = {*self._written, *self._backend.spool.point_files(self._uid, is_to_take=True)}
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
                    is_in = with_room(functools.partial(self._absorbed, path, is_over=True))
                    if not is_in and path in self._written:
                        raise FileNotFoundError(f"{path} was moved.")
        except OSError as error:  # every StoreError is one
            self._last = None  # it would come before the rejected ones
            self._refuse(error)


class Known:
    """A series of this process, with its step counter.

    Attributes:
        series: The series.
        number: Its number in the files.
        kind: The last eight bytes of its points, as one number.
        said_in: The last file that declares the series.
        quick_file: The same file, if points can be copied directly into its memory.
        steps: Counter of steps, each used once across threads.
        given: The last explicit step, if counting continues after it.
    """

    __slots__ = ("given", "kind", "number", "quick_file", "said_in", "series", "steps")

    def __init__(self, series: KeyOf, number: int, first_step: int) -> None:
        self.series = series
        self.number = number
        self.kind = kind_of(number)
        self.said_in: PointFile | None = None
        self.quick_file: Any = _NOWHERE
        self.steps: Iterator[int] = count(first_step)
        self.given: int | None = None

    def next_step(self) -> int:
        """Return the next step."""
        given, self.given = self.given, None
        if given is not None:
            self.steps = count(given + 1)
        return next(self.steps)


class Channel:
    """Logs for a run, or for one of its parameter sets."""

    def __init__(self, log: PointLog, set_index: int) -> None:
        self._log = log
        self._set_index = set_index
        self._series: dict[str, Known] = {}

    def __reduce__(self) -> tuple[Callable[[Executing, int], Channel], tuple[Any, int]]:
        return _channel_of, (self._log.run, self._set_index)

    def log(  # noqa: C901, PLR0912 - an experiment's inner loop, without calls
        self,
        metrics: Mapping[str, Any] | None = _NOTHING,
        /,
        *others: Any,
        step: int | None = None,
        time: Any = None,
        **more: Any,
    ) -> None:
        """Log one value of each of these metrics; safe from `kill -9` on return.

        Args:
            metrics: Values by key.
            others: Unused, so that a call such as `log("loss", 0.3)` is only a warning.
            step: The step; by default counted from 0 for each key.
            time: Seconds since 1970, or an aware datetime; by default now.
            more: Values as keyword arguments.

        If a value cannot be logged, a `StoreWarning` is shown, the others are logged, and the
        program continues; if the run is strict, an `InvalidValueError` is raised, or a
        `RunFinishedError` after the end.
        """
        log, series = self._log, self._series
        troubles: Troubles | None = None
        try:
            if metrics is _NOTHING:
                metrics = more
            elif more or others or type(metrics) is not dict:
                metrics, troubles = merged(metrics, others, more)
            at = now_ns() // 1000
            if time is not None:
                at, metrics, troubles = timed(time, at, metrics, troubles)
            if step is not None and type(step) is not int:
                step, troubles = stepped(step, troubles)
            for key, value in metrics.items():
                if type(value) is float:
                    number = value
                else:
                    try:
                        number = metric_value(value, key)
                    except InvalidValueError as error:
                        troubles = self._log_odd(key, value, step, at, error, troubles)
                        continue
                known = series.get(key)
                file: Any = log.file
                if known is None or known.quick_file is not file:
                    troubles = self._log_one(key, step, at, number, troubles)
                    continue
                # `_log_one`, inlined: each place and each step is used once, and a
                # file that is full or released is noticed.
                if step is not None:
                    at_step = known.given = step
                elif known.given is None:
                    at_step = next(known.steps)
                else:
                    at_step = known.next_step()
                place = next(file.places, 0)
                try:
                    if place:
                        pack_into(file.memory, place, at_step, at, number, known.kind)
                        continue
                except (TypeError, struct.error):  # it was released, or the step is too large
                    pass
                troubles = self._log_one(key, at_step, at, number, troubles, is_counted=True)
            if step is not None and not metrics and metrics is more:
                troubles = noted(troubles, "no metric", InvalidValueError("No metric was given."))
        except (InvalidValueError, StoreWarning):  # of a strict run, or under `python -W error`
            raise
        except Exception as error:  # noqa: BLE001 - what is logged may be anybody's code
            troubles = noted(troubles, f"error {type(error)}", unreadable(error))
        if troubles:
            with afterwards():
                log.complain(troubles)

    def log_sample(self, values: Mapping[str, float]) -> None:
        """Log a sample of system metrics; silently ignored once the run has ended."""
        at = clock.time_ns() // 1000
        for key, value in values.items():
            self._log_one(key, None, at, value, None)

    def _log_one(
        self,
        key: str,
        step: int | None,
        at: int,
        value: float,
        troubles: Troubles | None,
        *,
        is_counted: bool = False,
    ) -> Troubles | None:
        """Log a point; return the problem so far, if any."""
        with afterwards():
            try:
                known = self._series.get(key) or self._numbered(key)
                if step is None:
                    step = known.next_step()
                elif not is_counted:
                    known.given = step
                if not -LAST_STEP <= step <= LAST_STEP:
                    step = known.given = max(-LAST_STEP, min(step, LAST_STEP))
                    troubles = noted(troubles, f"last step of {key}", no_more_steps(key))
                self._log.append(known, step, at, value)
            except (InvalidValueError, RunFinishedError) as error:
                troubles = noted(troubles, f"{type(error)} {error.what}", error)
        return troubles

    def _log_odd(
        self,
        key: str,
        value: Any,
        step: int | None,
        at: int,
        error: InvalidValueError,
        troubles: Troubles | None,
    ) -> Troubles | None:
        """Log the numbers in a mapping as `key/name`; reject other values."""
        if not isinstance(value, Mapping) or str(key).count("/") > _DEEPEST:
            self._log.complain({f"value of {shown(key)}": error})
            return troubles
        if value:
            troubles = noted(troubles, f"mapping {shown(key)}", taken_apart(key, value))
        for name, inner in value.items():
            within = f"{key}/{name}"
            try:
                number = metric_value(inner, within)
            except InvalidValueError as inner_error:
                troubles = self._log_odd(within, inner, step, at, inner_error, troubles)
            else:
                troubles = self._log_one(within, step, at, number, troubles)
        return troubles

    def _numbered(self, key: str) -> Known:
        series = KeyOf(self._set_index, metric_key(key))
        first_step = self._log.first_steps.get(series, 0)
        known = Known(series, self._log.number_of(series), first_step)
        return self._series.setdefault(series.key, known)

    def count_from(self, first_steps: Mapping[KeyOf, int]) -> None:
        """Set the next step of each series; 0 for series not listed."""
        for known in list(self._series.values()):
            known.given = first_steps.get(known.series, 0) - 1

    def log_points(
        self,
        key: str,
        values: Iterable[Any],
        *,
        steps: Iterable[int] | None = None,
        times: Iterable[Any] | None = None,
    ) -> None:
        """Log many points of one metric at once; see `ActiveRun.log_points`."""
        troubles: Troubles | None = None
        with afterwards():
            try:
                troubles = self._log_columns(key, values, steps, times)
            except (InvalidValueError, RunFinishedError) as error:
                troubles = {f"{type(error)} {error.what}": error}
            except Exception as error:  # noqa: BLE001 - columns may be anybody's code
                troubles = {f"error {type(error)}": unreadable(error)}
            if troubles:
                self._log.complain(troubles)

    def _log_columns(
        self,
        key: str,
        values: Iterable[Any],
        steps: Iterable[int] | None,
        times: Iterable[Any] | None,
    ) -> Troubles:
        troubles: Troubles = {}
        numbers = values_of(column_of(values, f"the values of {key!r}"), key, troubles)
        length, now = len(numbers), clock.time_ns() // 1000
        at = [now] * length if times is None else times_of(times, key, now, troubles)
        given = None if steps is None else column_of(steps, f"the steps of {key!r}")
        if len(at) != length or (given is not None and len(given) != length):
            raise InvalidValueError(
                f"The metric {key!r} got {length} values, {len(at)} times and"
                f" {length if given is None else len(given)} steps.",
                kept="Nothing was logged.",
                hint="Pass as many steps and times as values.",
            )
        known = self._series.get(key) or self._numbered(key)
        if given is None:
            first = [known.next_step()] if length else []
            at_steps = [*first, *islice(known.steps, length - len(first))]
        else:
            at_steps = steps_of(given, known.next_step, troubles)
            known.given = at_steps[-1] if at_steps else known.given
        at_steps = within_limit(at_steps, key, troubles)
        values_kept = [number for number in numbers if number is not None]
        if len(values_kept) < length:
            places = [place for place, number in enumerate(numbers) if number is not None]
            at_steps, at = [at_steps[one] for one in places], [at[one] for one in places]
        self._log.append_many(known, Columns(at_steps, at, values_kept))
        return troubles


def _channel_of(run: Executing, set_index: int) -> Channel:
    """Return a copy of a channel: `run.log` can be sent to other processes, like the run."""
    return run.channel(set_index)


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _made_at(name: str) -> int:
    """Return the increasing number in the name of a file of points; 0 for other files."""
    digits = name.partition(".")[2][:20]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
