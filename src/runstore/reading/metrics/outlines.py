"""Outlines of series: what a plot of some width shows of them, read from levels of detail."""

from __future__ import annotations

import functools
import math
import time
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, chain
from operator import le
from typing import TYPE_CHECKING, Any, NamedTuple

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
    candidates,
    damaged_series,
    in_flight,
    named,
    no_such_metric,
    restless,
)
from runstore.storage.metrics.outlining import Outlined, Window
from runstore.storage.rows import to_micros

if TYPE_CHECKING:
    from runstore.storage.backend import Backend
    from runstore.storage.metrics.point_files import KeyOf

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
# Others wait no longer for what is added behind their backs.
_PATIENCE_S = 0.5
_SECONDS_AT_ONCE = 1.0
_ROWS_AT_ONCE = 8


class Scope(NamedTuple):
    """What of a series an outline shows.

    Attributes:
        axis: One of `model.outline.AXES`.
        begin: Where it begins along the axis; None for the first point.
        end: Where it ends; None for the last point.
        stretches: No stretch is wider than the so-manieth part of the window.
    """

    axis: str
    begin: float | None
    end: float | None
    stretches: int


def scope_of(stretches: object, x: object, begin: object, end: object) -> Scope:
    """Return the scope that arguments ask for; see `Run.outline`.

    Raises:
        UsageError: One of them is out of range.
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


def outlines(
    backend: Backend, run: Run, series: Sequence[KeyOf], scope: Scope
) -> list[SeriesOutline | None]:
    """Return the outline of each of these series of a run; None for one that it does not have."""
    origin = to_micros(run.started_at) if scope.axis == RELATIVE else 0
    found = _read(backend, run, series, _window(scope, origin))
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


def _read(backend: Backend, run: Run, series: Sequence[KeyOf], window: Window) -> list[Outlined]:
    for _ in range(LOOKS):
        files = backend.spool.point_files(run.uid)
        waiting = functools.partial(in_flight, files)
        try:
            return backend.metrics.outlined(run.uid, series, window, waiting)
        except FileNotFoundError:  # taken in meanwhile
            continue
        except StoreCorruptError as error:
            raise damaged_series(run.reference, series[0].key, error) from error
    raise restless(run)


# Blocks side by side


def _drawn(key: str, scope: Scope, origin: int, found: Outlined) -> SeriesOutline:
    _sort(found)
    if sum(found.counts) > len(found.counts) or len(found.counts) > 2 * scope.stretches:
        _join(found)
    columns: dict[str, array[Any]] = {
        "x": found.low, "x_last": found.high, "min": found.min, "max": found.max
    }  # fmt: skip
    if scope.axis != STEP:
        for name in ("x", "x_last"):
            columns[name] = array("d", [(at - origin) / 1e6 for at in columns[name]])
    if any(map(math.isinf, found.min)):
        nothing = [low > high for low, high in zip(found.min, found.max, strict=True)]
        for name in ("min", "max"):
            column = zip(columns[name], nothing, strict=True)
            columns[name] = array("d", [math.nan if none else one for one, none in column])
    return SeriesOutline(
        key=key,
        axis=scope.axis,
        first=found.first,
        last=found.last,
        points=found.counts,
        **columns,
    )


def _columns(found: Outlined) -> dict[str, array[Any]]:
    names = ("low", "high", "first", "last", "min", "max", "counts")
    return {name: getattr(found, name) for name in names}


def _sort(found: Outlined) -> None:
    """Bring blocks that go back, as after a resumption, into the order of their x."""
    if all(map(le, found.high, found.low[1:])):
        return
    places = sorted(range(len(found.low)), key=found.low.__getitem__)
    for name, column in _columns(found).items():
        setattr(found, name, array(column.typecode, [column[place] for place in places]))


def _join(found: Outlined) -> None:
    """Join blocks side by side while they are not too wide together."""
    low, high, width = found.low, found.high, found.width
    reached = array("q", accumulate(high, max))
    begins, at = [], 0
    while at < len(low):
        begins.append(at)
        at = bisect_right(reached, low[at] + width, at + 1)
    ends = [*begins[1:], len(low)]
    parts = [slice(begin, end) for begin, end in zip(begins, ends, strict=True)]
    # The last point is in the block that reaches farthest, the later of two.
    lasts = [
        max(range(begin, end), key=lambda place: (high[place], place))
        for begin, end in zip(begins, ends, strict=True)
    ]
    found.low = array("q", [low[at] for at in begins])
    found.high = array("q", [high[at] for at in lasts])
    found.first = array("d", [found.first[at] for at in begins])
    found.last = array("d", [found.last[at] for at in lasts])
    found.min = array("d", [min(found.min[part]) for part in parts])
    found.max = array("d", [max(found.max[part]) for part in parts])
    found.counts = array("q", [sum(found.counts[part]) for part in parts])


class _AddLevels:
    """Adds levels of detail that a series lacks, as one of an older store does."""

    def __init__(
        self, backend: Backend, uid: str, series: KeyOf, missing: list[tuple[int, int]]
    ) -> None:
        self._backend, self._missing = backend, missing
        self.about = (uid, series)

    def is_like(self, other: Any) -> bool:
        """Tell whether another job is about the same series."""
        return bool(self.about == other.about)

    def do_with(self, alike: Sequence[Any]) -> None:  # noqa: ARG002 - done by this one
        """Add them, in short transactions; what is left is left to the next reader."""
        table, until = self._backend.metrics, time.monotonic() + _SECONDS_AT_ONCE
        with suppress(StoreError), table.hurried(_PATIENCE_S):
            for begin in range(0, len(self._missing), _ROWS_AT_ONCE):
                if time.monotonic() > until or not table.is_writable:
                    return
                table.add_levels(*self.about, self._missing[begin : begin + _ROWS_AT_ONCE])
