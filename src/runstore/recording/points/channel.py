"""Channels: the functions that log the metrics of a run or of a parameter set."""

from __future__ import annotations

import struct
import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, islice

from runstore.errors import (
    InvalidValueError,
    RunFinishedError,
    RunstoreError,
    StoreWarning,
    attempt,
    genuine,
    shown,
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
from runstore.model.logged.values import LAST_STEP, column_of, metric_key, metric_value
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_files import PointFile
from runstore.storage.metrics.point_records import QUICK_RECORD, KeyOf, kind_of
from runstore.user_warnings import afterwards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

# More parts indicate an object that contains itself.
_DEEPEST = 20
# Found at once by the inner loop.
pack_into, now_ns = QUICK_RECORD.pack_into, clock.time_ns
_NOTHING: Mapping[str, Any] = {}
NOWHERE = object()


class Executing(Protocol):
    """A run that can log points."""

    def take_over(self) -> bool:
        """Continue a run whose process has ended; return whether this process executes it."""

    def channel(self, set_index: int) -> Channel:
        """Return the channel of the run (-1) or of one of its parameter sets."""


class PointSink(Protocol):
    """The files of a run that its channels write to; see `PointLog`.

    `first_steps` are those of series that do not begin at 0.
    """

    run: Executing | None
    file: PointFile | None
    first_steps: dict[KeyOf, int]

    def number_of(self, series: KeyOf) -> int:
        """Return the number of a series in this process's files."""

    def append(self, known: Known, step: int, time: int, value: float) -> None:
        """Write a point."""

    def append_many(self, known: Known, points: Columns) -> None:
        """Write many points of one series."""

    def complain(self, troubles: Mapping[str, RunstoreError]) -> None:
        """Warn about values that were not logged."""


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
        self.quick_file: Any = NOWHERE
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

    def __init__(self, log: PointSink, set_index: int) -> None:
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
                metrics, step, troubles = merged(metrics, others, more, step)
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
        except genuine(Exception) as error:  # what is logged may be anybody's code
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
        with afterwards():
            troubles = attempt(lambda: self._log_columns(key, values, steps, times), _trouble)
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
            from runstore.model.display.formatting import counted

            lengths = counted(length, "value"), counted(len(at), "time")
            steps_given = counted(length if given is None else len(given), "step")
            raise InvalidValueError(
                f"The metric {key!r} got {', '.join(lengths)} and {steps_given}.",
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


def _trouble(error: Exception) -> Troubles:
    """Return the problem with columns: our own error, or one that the program's objects raised."""
    if isinstance(error, (InvalidValueError, RunFinishedError)):
        return {f"{type(error)} {error.what}": error}
    return {f"error {type(error)}": unreadable(error)}


def _channel_of(run: Executing, set_index: int) -> Channel:
    """Return a copy of a channel: `run.log` can be sent to other processes, like the run."""
    return run.channel(set_index)
