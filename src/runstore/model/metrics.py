"""What metrics are to those who read them: summaries and series."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    import numpy as np

    Column = Union["np.ndarray[Any, Any]", array[Any]]

# Both ends, and both extremes of a stretch.
FEWEST_SAMPLED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """What is known of a series without touching its points.

    Attributes:
        key: The metric's key.
        set_name: The parameter set it belongs to; None for the run itself.
        count: Points logged.
        first: The value logged first.
        last: The value logged last.
        min: The smallest value, NaN left out; NaN when there is no other.
        max: The largest value, as `min`.
        mean: Mean of all values that are not NaN.
        last_step: The step logged last.
    """

    key: str
    set_name: str | None
    count: int
    first: float
    last: float
    min: float
    max: float
    mean: float
    last_step: int


def names_of(series: Sequence[tuple[str | None, str]]) -> list[str]:
    """Return a name for each series of a run, no two the same.

    A metric of the run has its key, one of a set `<set>/<key>`; if the run or another set has
    that name already, `<set>/<key> (set <set>)`.

    Args:
        series: The set's name, None for the run itself, and the key of each.
    """
    taken = {key for set_name, key in series if set_name is None}
    names: list[str] = []
    for set_name, key in series:
        if set_name is None:
            names.append(key)
            continue
        plain = f"{set_name}/{key}"
        numbered = (f"{plain} (set {set_name}, {number})" for number in count(2))
        offered = chain((plain, f"{plain} (set {set_name})"), numbered)
        names.append(next(name for name in offered if name not in taken))
        taken.add(names[-1])
    return names


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The points of one metric, in the order of their logging.

    Attributes:
        key: The metric's key.
        steps: Steps (whole numbers), one per point.
        times: Times of logging, in seconds since 1970 (UTC).
        values: Values, one per point.

    The columns are numpy arrays where numpy is installed, `array.array` otherwise.
    """

    key: str
    steps: Column
    times: Column
    values: Column

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[int, float, float]]:
        """Yield step, time and value of each point."""
        for step, time, value in zip(self.steps, self.times, self.values, strict=True):
            yield int(step), float(time), float(value)

    def __repr__(self) -> str:
        return f"<Series {self.key!r} of {len(self)} points>"

    def sampled(self, limit: int) -> Series:
        """Return at most `limit` points that look the same on a plot: extremes are kept.

        Each stretch of points gives its smallest and its largest value, in their order; the first
        and the last point stay.

        Args:
            limit: At least 4.
        """
        if limit < FEWEST_SAMPLED:
            raise ValueError(f"a sample has at least {FEWEST_SAMPLED} points")
        if len(self) <= limit:
            return self
        places = extremes(self.values, limit)
        columns = (self.steps, self.times, self.values)
        return Series(self.key, *(_taken(column, places) for column in columns))


def _taken(column: Column, places: list[int]) -> Column:
    if isinstance(column, array):
        return array(column.typecode, [column[place] for place in places])
    return column[places]


def extremes(values: Column, limit: int) -> list[int]:
    """Return the places of what `Series.sampled` keeps of these values."""
    count, stretches = len(values), (limit - 2) // 2
    ends_of_stretch = _ends_of_array if isinstance(values, array) else _ends_with_numpy
    chosen = {0, count - 1}
    for stretch in range(stretches):
        begin, end = stretch * count // stretches, (stretch + 1) * count // stretches
        chosen.update(begin + place for place in ends_of_stretch(values[begin:end]))
    return sorted(chosen)


def _ends_of_array(values: Any) -> tuple[int, ...]:
    """Return where the smallest and the largest value are, the first of equal ones."""
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    if not known:
        return (0,)
    return min(known, key=values.__getitem__), max(known, key=values.__getitem__)


def _ends_with_numpy(values: Any) -> tuple[int, ...]:
    """Do the same in a fraction of the time."""
    low, high = int(values.argmin()), int(values.argmax())
    if not math.isnan(values[low]):
        return low, high
    known = (values == values).nonzero()[0]  # noqa: PLR0124 - all but NaN
    if not len(known):
        return (0,)
    return int(known[values[known].argmin()]), int(known[values[known].argmax()])
