"""Outlines of series for plots of some width, read from levels of detail."""

from __future__ import annotations

import functools
import math
import time
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, chain
from operator import le
from typing import TYPE_CHECKING, Any, TypeVar

from runstore import background
from runstore.errors import StoreCorruptError, StoreError
from runstore.model import arguments
from runstore.model.outline import (
    RELATIVE,
    STEP,
    STRETCHES_AT_MOST,
    SeriesOutline,
    axis_of,
    bound_of,
)
from runstore.model.run import Run
from runstore.reading.metrics.summaries import (
    LOOKS,
    OF_RUN,
    candidates,
    damaged_series,
    in_flight,
    named,
    no_such_metric,
    restless,
)
from runstore.storage.files.spool import uid_of
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.outlining import Outlined, Window
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.rows import to_micros
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from runstore.storage.backend import Backend

T = TypeVar("T")
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
# The longest time that others wait for this background work.
_PATIENCE_S = 0.5
_SECONDS_AT_ONCE = 1.0
_ROWS_AT_ONCE = 8


class Scope(NamedTuple):
    """The scope of an outline.

    Attributes:
        axis: One of `model.outline.AXES`.
        begin: Start on the axis; None for the first point.
        end: End on the axis; None for the last point.
        stretches: Each stretch is at most 1/stretches of the window wide.
    """

    axis: str
    begin: float | None
    end: float | None
    stretches: int


def scope_of(stretches: object, x: object, begin: object, end: object) -> Scope:
    """Return the scope for arguments; see `Run.outline`.

    Raises:
        UsageError: An argument is out of range.
    """
    axis = axis_of(x)
    return Scope(
        axis,
        bound_of(begin, "begin", axis),
        bound_of(end, "end", axis),
        arguments.count(stretches, "stretches", 1, STRETCHES_AT_MOST),
    )


def outline(
    backend: Backend, run: Run, key: str, set_name: str | None, scope: Scope
) -> SeriesOutline:
    """Return the outline of one metric of a run; see `Run.outline`.

    Raises:
        NotFoundError: The run has no such metric.
    """
    table, spool = backend.metrics, backend.spool
    for wanted in chain(candidates(run, key, set_name), named(table, spool, run, key, set_name)):
        (found,) = outlines(backend, run, [wanted], scope)
        if found is not None:
            return found
    raise no_such_metric(run, key)


def outlines_of(
    backend: Backend,
    run: Run,
    keys: Sequence[str],
    scope: Scope,
    files: Mapping[str, list[Path]] | None = None,
) -> list[tuple[str, str | None, SeriesOutline]]:
    """Return the outlines of some metrics of a run, for a chart.

    Args:
        backend: The store.
        run: The run.
        keys: Keys; each matches the metric of the run and of its parameter sets, and
            `<set>/<key>` that of one set.
        scope: The scope.
        files: Files of points in flight by run, if they were listed for many runs.

    Returns:
        The requested key, the parameter set (None for the run itself) and the outline of each
        existing series.
    """
    names = [one.name for one in run.parameter_sets]
    asked: dict[KeyOf, str] = {}
    for key in keys:
        asked.setdefault(KeyOf(OF_RUN, key), key)
        for index, name in enumerate(names):
            asked.setdefault(KeyOf(index, key), key)
            if key.startswith(f"{name}/"):
                asked.setdefault(KeyOf(index, key[len(name) + 1 :]), key)
    found = outlines(backend, run, list(asked), scope, files)
    return [
        (key, names[one.set_index] if one.set_index >= 0 else None, read)
        for (one, key), read in zip(asked.items(), found, strict=True)
        if read is not None
    ]


def files_by_run(backend: Backend) -> dict[str, list[Path]]:
    """Return the files of points in flight by the uid of their run."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in backend.spool.point_files():
        found[uid_of(path)].append(path)
    return found


def values_at(
    backend: Backend, run: Run, series: KeyOf, axis: str, xs: Sequence[int]
) -> list[float | None]:
    """Return the value of a series of a run at each of these positions.

    Args:
        backend: The store.
        run: The run.
        series: The series.
        axis: One of `model.outline.AXES`.
        xs: Steps, or microseconds, in their order.

    Returns:
        The last value logged until then; None before the first point and after the last.
    """
    origin = to_micros(run.started_at) if axis == RELATIVE else 0

    def read(waiting: Callable[[dict[str, int]], Mapping[KeyOf, Columns]]) -> list[float | None]:
        at = [x + origin for x in xs]
        table = backend.metrics
        return table.values_at(run.uid, series, at, waiting, over_times=axis != STEP)

    return _with_in_flight(backend, run, series.key, read)


def outlines(
    backend: Backend,
    run: Run,
    series: Sequence[KeyOf],
    scope: Scope,
    files: Mapping[str, list[Path]] | None = None,
) -> list[SeriesOutline | None]:
    """Return the outline of each of these series of a run; None if it does not exist."""
    origin = to_micros(run.started_at) if scope.axis == RELATIVE else 0
    look = functools.partial(backend.metrics.outlined, run.uid, series, _window(scope, origin))
    found = _with_in_flight(backend, run, series[0].key, look, files)
    for one, read in zip(series, found, strict=True):
        if read.missing and backend.metrics.is_writable:
            background.do_later(_AddLevels(backend, run.uid, one, read.missing))
    return [
        _drawn(one.key, scope, origin, read) if read.is_there else None
        for one, read in zip(series, found, strict=True)
    ]


def _window(scope: Scope, origin: int) -> Window:
    def whole(bound: float | None, rounded: Any) -> int | None:
        if bound is None:
            return None
        if math.isinf(bound):
            return _HIGHEST if bound > 0 else _LOWEST
        at = rounded(bound) if scope.axis == STEP else round(bound * 1e6) + origin
        return min(max(at, _LOWEST), _HIGHEST)

    begin, end = whole(scope.begin, math.ceil), whole(scope.end, math.floor)
    return Window(scope.axis != STEP, begin, end, scope.stretches)


def _with_in_flight(
    backend: Backend,
    run: Run,
    key: str,
    read: Callable[[Callable[[dict[str, int]], Mapping[KeyOf, Columns]]], T],
    files: Mapping[str, list[Path]] | None = None,
) -> T:
    """Return the result of reading a run, repeated if points in flight are imported meanwhile."""
    listed = None if files is None else files.get(run.uid, [])
    for _ in range(LOOKS):
        some, listed = backend.spool.point_files(run.uid) if listed is None else listed, None
        try:
            return read(functools.partial(in_flight, some))
        except FileNotFoundError:  # imported meanwhile
            continue
        except StoreCorruptError as error:
            raise damaged_series(run.reference, key, error) from error
    raise restless(run)


# Adjacent blocks


def _drawn(key: str, scope: Scope, origin: int, found: Outlined) -> SeriesOutline:
    is_sorted = all(map(le, found.high, found.low[1:]))
    if not is_sorted:
        _sort(found)
    if sum(found.counts) > len(found.counts) or len(found.counts) > 2 * scope.stretches:
        _join(found, is_sorted=is_sorted)
    x, x_last = found.low, found.high
    lowest, highest = found.min, found.max
    if math.inf in lowest:
        nothing = [low > high for low, high in zip(lowest, highest, strict=True)]
        lowest, highest = _without(lowest, nothing), _without(highest, nothing)
    return SeriesOutline(
        key=key,
        axis=scope.axis,
        x=x if scope.axis == STEP else _seconds(x, origin),
        first=found.first,
        min=lowest,
        max=highest,
        last=found.last,
        x_last=x_last if scope.axis == STEP else _seconds(x_last, origin),
        points=found.counts,
    )


def _seconds(times: array[int], origin: int) -> array[float]:
    return array("d", [(at - origin) / 1e6 for at in times])


def _without(values: array[float], nothing: Sequence[bool]) -> array[float]:
    """Return extremes, or NaN if there are none."""
    both = zip(values, nothing, strict=True)
    return array("d", [math.nan if is_none else one for one, is_none in both])


def _sort(found: Outlined) -> None:
    """Sort blocks by x, if they go back, for example after a resumption."""
    places = sorted(range(len(found.low)), key=found.low.__getitem__)
    for name in ("low", "high", "first", "last", "min", "max", "counts"):
        column = getattr(found, name)
        setattr(found, name, array(column.typecode, [column[place] for place in places]))


def _join(found: Outlined, *, is_sorted: bool) -> None:
    """Join adjacent blocks while the result is not too wide."""
    low, high, width = found.low, found.high, found.width
    reached = high if is_sorted else array("q", accumulate(high, max))
    begins, at = [], 0
    while at < len(low):
        begins.append(at)
        at = bisect_right(reached, low[at] + width, at + 1)
    ends = [*begins[1:], len(low)]
    spans = list(zip(begins, ends, strict=True))
    if is_sorted:
        lasts = [end - 1 for end in ends]
    else:  # the last point is in the block with the largest end, or the later of two
        lasts = [max(range(*span), key=lambda place: (high[place], place)) for span in spans]
    lowest, highest, counts = found.min.tolist(), found.max.tolist(), found.counts.tolist()
    found.low = array("q", [low[at] for at in begins])
    found.high = array("q", [high[at] for at in lasts])
    found.first = array("d", [found.first[at] for at in begins])
    found.last = array("d", [found.last[at] for at in lasts])
    found.min = array("d", [min(lowest[begin:end]) for begin, end in spans])
    found.max = array("d", [max(highest[begin:end]) for begin, end in spans])
    found.counts = array("q", [sum(counts[begin:end]) for begin, end in spans])


class _AddLevels:
    """Adds missing levels of detail to a series, for example in an older store."""

    def __init__(
        self, backend: Backend, uid: str, series: KeyOf, missing: list[tuple[int, int]]
    ) -> None:
        self._backend, self._missing = backend, missing
        self.about = (uid, series)

    def is_like(self, other: Any) -> bool:
        """Check whether another job is about the same series."""
        return bool(self.about == other.about)

    def do_with(self, alike: Sequence[Any]) -> None:  # noqa: ARG002 - done by this one
        """Add them, in short transactions; the next reader adds the rest."""
        table, until = self._backend.metrics, time.monotonic() + _SECONDS_AT_ONCE
        with suppress(StoreError), table.hurried(_PATIENCE_S):
            for begin in range(0, len(self._missing), _ROWS_AT_ONCE):
                if time.monotonic() > until or not table.is_writable:
                    return
                table.add_levels(*self.about, self._missing[begin : begin + _ROWS_AT_ONCE])
