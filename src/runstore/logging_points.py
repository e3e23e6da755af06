"""What a run logs: each point into the spool at once, and from there into the database."""

from __future__ import annotations

import os
import threading
import time as clock
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstore.errors import InvalidValueError, RunFinishedError, RunstoreError, StoreError
from runstore.model.numbers import metric_key, metric_step, metric_time, metric_value
from runstore.storage.database import END_PATIENCE_S, PATIENCE_S
from runstore.storage.drivers.disks import is_network_disk
from runstore.storage.points import (
    MARK,
    POINT,
    RECORD,
    KeyOf,
    PointFile,
    next_room,
)
from runstore.storage.spool import POINTS_SUFFIX
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.active import ActiveRun
    from runstore.store import Store

OF_RUN = -1
pack_into = RECORD.pack_into
# Every log of this process: a forked child goes on in files of its own.
_logs: weakref.WeakSet[PointLog] = weakref.WeakSet()
_TEND_EVERY_S = 1.0
# Points that arrive slowly wait in the spool, so that the database is not written every second.
_ABSORB_EVERY_S = 10.0
_HELD_AT_MOST = 1_000_000


class PointLog:
    """Every point that this process logs for one run.

    A call takes no lock of the database and waits for no reader: it copies a record into a file
    that is mapped into memory. A thread of its own brings the file to the disk every second, and
    the points into the database by and by; `finish` does the rest.

    Args:
        store: Where the run is kept.
        uid: The run.
        reference: Its name, for messages.
    """

    def __init__(self, store: Store, uid: str, reference: str) -> None:
        self.lock = threading.Lock()
        self.is_strict = False
        self._store = store
        self._uid = uid
        self._reference = reference
        self._channels: dict[int, Channel] = {}
        self.run: ActiveRun | None = None  # whose it is, for copies in other processes
        self._ended = threading.Event()
        self._was_refused = False
        self._said: set[str] = set()
        # A run that was resumed counts its steps on.
        self.first_steps = self._steps_to_go_on_with()
        self._begin_in_this_process()
        _logs.add(self)

    def _begin_in_this_process(self) -> None:
        self.pid = os.getpid()
        self.file: PointFile | None = None
        self.held: list[tuple[KeyOf, int, int, float]] = []
        self._numbers: dict[KeyOf, int] = {}
        self._written: list[Path] = []
        self._room = 0
        self._dropped = 0
        self._thread: threading.Thread | None = None
        self._absorbed_at = clock.monotonic()

    def _steps_to_go_on_with(self) -> dict[KeyOf, int]:
        with suppress(StoreError):
            totals, _ = self._store.metrics_table.totals(self._uid)
            return {series: last_step + 1 for series, (_, last_step) in totals.items()}
        return {}

    def channel(self, set_index: int) -> Channel:
        """Return what logs for the run (`OF_RUN`) or for one of its sets."""
        return self._channels.setdefault(set_index, Channel(self, set_index))

    # Writing; the lock is held

    def after_fork(self) -> None:
        """Begin a file of this process's own: a forked child shares its parent's memory map."""
        self.lock = threading.Lock()
        self._begin_in_this_process()
        for channel in self._channels.values():
            channel.forget_numbers()

    def number_of(self, series: KeyOf) -> int:
        """Return the number that stands for a series in this process's files."""
        number = self._numbers.get(series)
        if number is None:
            number = self._numbers[series] = len(self._numbers)
            if self.file is not None and not self.file.say_series(series, number):
                self.next_file()  # says every series that has a number
        return number

    def append(self, number: int, series: KeyOf, step: int, time: int, value: float) -> None:
        """Write a point, into the next file where this one is full."""
        file = self.file or self.next_file()
        place = None if file is None else next(file.places, None)
        if file is not None and place is None:
            file = self.next_file()
            place = None if file is None else next(file.places, None)
        if file is None or place is None:
            self._hold(series, step, time, value)
        else:
            file.write(place, step, time, value, number)

    def append_many(
        self, series: KeyOf, steps: Sequence[int], times: Sequence[int], values: Sequence[float]
    ) -> None:
        """Write many points of one series, in as many files as they need."""
        number, begin = self.number_of(series), 0
        while begin < len(values):
            file = self.file or self.next_file()
            places = [] if file is None else list(islice(file.places, len(values) - begin))
            if file is not None and not places:
                file = self.next_file()
                places = [] if file is None else list(islice(file.places, len(values) - begin))
            if file is None:
                for step, time, value in zip(steps[begin:], times[begin:], values[begin:]):  # noqa: B905 - checked before
                    self._hold(series, step, time, value)
                return
            end = begin + len(places)
            file.write_many(places, number, steps[begin:end], times[begin:end], values[begin:end])
            begin = end

    def next_file(self) -> PointFile | None:
        """Go on in a new file; None, with the points held in memory, where no disk takes one."""
        if self._ended.is_set():
            raise RunFinishedError(
                f"The run {self._reference} has ended; nothing more is logged.",
                kept="What was logged before is kept.",
            )
        old, self.file = self.file, None
        if old is not None:
            old.seal()
        self._room = next_room(self._room)
        try:
            folder = self._store.spool.usable_place()
            path = folder / f"{self._uid}.{clock.time_ns():020d}{POINTS_SUFFIX}"
            mapped = not is_network_disk(folder)
            self.file = PointFile(path, self._numbers, self._room, mapped=mapped)
        except OSError as error:
            self._room = 0
            self.say(f"Points of {self._reference} are held in memory: {error.strerror}.")
        else:
            self._written.append(path)
        self._begin_thread()
        return self.file

    def _hold(self, series: KeyOf, step: int, time: int, value: float) -> None:
        """Keep a point in memory until a disk takes it."""
        if len(self.held) < _HELD_AT_MOST:
            self.held.append((series, step, time, value))
        else:
            self._dropped += 1
        self._begin_thread()

    def complain(self, error: RunstoreError) -> None:
        """Raise or tell what could not be logged."""
        if self.is_strict:
            raise error
        self.say(str(error))

    def number(self, value: Any, key: str) -> float | None:
        """Return a value as a number; None for one that was complained of."""
        try:
            return metric_value(value, key)
        except InvalidValueError as error:
            self.complain(error)
            return None

    def say(self, message: str) -> None:
        """Warn once of each trouble; an experiment logs in a loop."""
        if message not in self._said:
            self._said.add(message)
            warn(message)

    def _begin_thread(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._tend, name="runstore-points", daemon=True)
            with suppress(RuntimeError):  # no more threads: `finish` takes the points in
                thread.start()
                self._thread = thread

    # In the background

    def _tend(self) -> None:
        while not self._ended.wait(_TEND_EVERY_S):
            if self.pid != os.getpid():
                return
            with suppress(OSError, ValueError, RunstoreError):
                self._release_held()
                with self.lock:
                    file = self.file
                if file is not None:
                    file.sync()
                with self._store.database.driver.hurried(PATIENCE_S):
                    self._absorb_some(file)

    def _release_held(self) -> None:
        with self.lock:
            held, self.held = self.held, []
            for series, step, time, value in held:
                self.append(self.number_of(series), series, step, time, value)

    def _absorb_some(self, current: PointFile | None) -> None:
        """Take in files that are full, and the current one where its points come slowly."""
        for path in [one for one in self._written if current is None or one != current.path]:
            began = clock.monotonic()
            if not self._absorbed(path):
                return  # what comes after it would stand before it
            # Packing takes the interpreter's time; the experiment gets the larger part of it.
            if self._ended.wait(4 * (clock.monotonic() - began)):
                return
        if current is not None and clock.monotonic() - self._absorbed_at > _ABSORB_EVERY_S:
            self._absorbed_at = clock.monotonic()
            self._store.metrics_table.absorb(current.path)

    def _absorbed(self, path: Path, *, is_over: bool = False) -> bool:
        """Take a file in; tell whether it is in by now, whoever did it."""
        table = self._store.metrics_table
        if path.exists():
            table.absorb(path, is_over=is_over)
        elif not table.has_seen(path):
            return False
        if not path.exists() and path in self._written:
            self._written.remove(path)
        return True

    def finish(self) -> bool:
        """Take the rest in; where that fails, say where it is kept. Nothing is logged after.

        Returns:
            Whether the database took it.
        """
        if self.pid != os.getpid():
            return True
        with suppress(RunstoreError, OSError, ValueError):
            self._release_held()
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with self.lock:
            if self.file is not None:
                self.file.seal()
                self.file = None
        self._absorb_all()
        lost = len(self.held) + self._dropped
        if lost:
            warn(f"{lost:,} points of {self._reference} could not be kept: no disk took them.")
        return not self._was_refused

    def _absorb_all(self) -> None:
        """Take every file in, forked children's too, in the order of their making."""
        files = {*self._written, *self._store.spool.point_files(self._uid)}
        if not files:
            return
        try:
            with self._store.database.driver.hurried(END_PATIENCE_S):
                for path in sorted(files, key=lambda one: one.name):
                    if not self._absorbed(path, is_over=True):
                        raise FileNotFoundError(f"{path} was moved away.")
        except OSError as error:  # every StoreError is one
            self._was_refused = True
            warn(
                f"{getattr(error, 'what', error)} The last points of {self._reference} are kept in"
                " the spool of the store; they are taken in when it is opened next."
            )


class _Known:
    """A series of this process: its number in the files, and what counts its steps.

    Attributes:
        number: Its number.
        steps: Gives the next step; each is given once, whatever thread asks.
        given: The step that was given last, where counting is to go on behind it.
    """

    __slots__ = ("given", "number", "steps")

    def __init__(self, number: int, steps: Iterator[int]) -> None:
        self.number = number
        self.steps = steps
        self.given: int | None = None

    def next_step(self) -> int:
        """Return the next step."""
        if self.given is not None:
            self.steps, self.given = count(self.given + 1), None
        return next(self.steps)


class Channel:
    """Logs for a run, or for one of its parameter sets."""

    def __init__(self, log: PointLog, set_index: int) -> None:
        self._log = log
        self._set_index = set_index
        self._series: dict[str, _Known] = {}
        self._before: dict[str, _Known] = {}

    def __reduce__(self) -> tuple[Callable[[ActiveRun, int], Channel], tuple[Any, int]]:
        return _channel_of, (self._log.run, self._set_index)

    def forget_numbers(self) -> None:
        """Number the series anew, as a forked child does; their steps go on."""
        self._before, self._series = {**self._before, **self._series}, {}

    def log(  # noqa: C901 - an experiment's inner loop, without calls
        self,
        metrics: Mapping[str, Any] | None = None,
        /,
        *,
        step: int | None = None,
        time: Any = None,
        **more: Any,
    ) -> None:
        """Log one value of each of these metrics; safe from `kill -9` on return.

        Args:
            metrics: Values by key.
            step: The step; by default each key counts its own, from 0.
            time: Seconds since 1970, or an aware datetime; by default now.
            more: Values whose keys are names.

        What cannot be logged is a `StoreWarning`, and the program goes on; with `strict=True`
        it is an `InvalidValueError`, or a `RunFinishedError` after the end.
        """
        log, series = self._log, self._series
        if metrics is None:
            metrics = more
        elif more:
            metrics = {**metrics, **more}
        try:
            at = clock.time_ns() // 1000 if time is None else metric_time(time)
            if step is not None:
                step = metric_step(step)
            for key, value in metrics.items():
                number = value if type(value) is float else log.number(value, key)
                if number is None:
                    continue
                known, file = series.get(key), log.file
                if known is None or file is None or file.memory is None:
                    self._log_one(key, step, at, number)
                    continue
                # What `_log_one` does, without its lock: each place and each step is given once,
                # and a file that is full or was let go of is noticed.
                if step is not None:
                    at_step = known.given = step
                elif known.given is None:
                    at_step = next(known.steps)
                else:
                    at_step = known.next_step()
                place = next(file.places, 0)
                try:
                    if place:
                        pack_into(
                            file.memory, place, at_step, at, number, known.number, POINT, MARK
                        )
                        continue
                except ValueError:
                    pass
                self._log_one(key, at_step, at, number, is_counted=True)
        except (InvalidValueError, RunFinishedError) as error:
            log.complain(error)

    def _log_one(
        self, key: str, step: int | None, at: int, value: float, *, is_counted: bool = False
    ) -> None:
        with self._log.lock:
            known = self._series.get(key)
            if known is None:
                try:
                    known = self._numbered(key)
                except InvalidValueError as error:
                    self._log.complain(error)
                    return
            if step is None:
                step = known.next_step()
            elif not is_counted:
                known.given = step
            series = KeyOf(self._set_index, key)
            self._log.append(known.number, series, step, at, value)

    def _numbered(self, key: str) -> _Known:
        series = KeyOf(self._set_index, metric_key(key))
        known = self._before.get(key) or _Known(0, count(self._log.first_steps.get(series, 0)))
        known.number = self._log.number_of(series)
        self._series[key] = known
        return known

    def log_points(
        self,
        key: str,
        values: Iterable[Any],
        *,
        steps: Iterable[int] | None = None,
        times: Iterable[Any] | None = None,
    ) -> None:
        """Log many points of one metric at once; see `ActiveRun.log_points`.

        Raises:
            InvalidValueError: The columns differ in length; nothing was logged.
        """
        column = [one if type(one) is float else metric_value(one, key) for one in _listed(values)]
        length = len(column)
        now = clock.time_ns() // 1000
        at = [now] * length if times is None else [metric_time(one) for one in _listed(times)]
        given = None if steps is None else [metric_step(one) for one in _listed(steps)]
        if len(at) != length or (given is not None and len(given) != length):
            raise InvalidValueError(
                f"The metric {key!r} got {length} values, {len(at)} times and"
                f" {length if given is None else len(given)} steps.",
                kept="Nothing was logged.",
            )
        log = self._log
        try:
            with log.lock:
                known = self._series.get(key) or self._numbered(key)
                if given is None:
                    given = [known.next_step() for _ in range(length)]
                elif given:
                    known.given = given[-1]
                log.append_many(KeyOf(self._set_index, key), given, at, column)
        except (InvalidValueError, RunFinishedError) as error:
            log.complain(error)


def _channel_of(run: ActiveRun, set_index: int) -> Channel:
    """Return a copy of a channel: `run.log` travels to other processes as the run does."""
    return run.channel(set_index)


def _after_fork_in_child() -> None:
    for log in list(_logs):
        log.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _listed(values: Iterable[Any]) -> list[Any]:
    """Return a column as a list of Python's own numbers, which numpy gives all at once."""
    whole = getattr(values, "tolist", None)
    return list(values) if whole is None else list(whole())
