"""The outline of a series at a given width: the extremes of each section."""

from __future__ import annotations

import math
import operator
from array import array
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from numbers import Integral
from typing import Any, cast

from runstore.errors import UsageError, shown
from runstore.model import arguments
from runstore.model.display.formatting import counted
from runstore.value_classes import NamedTuple, dataclass

STEP, RELATIVE, TIME = AXES = ("step", "relative", "time")
STRETCHES_AT_MOST = 10_000


class OutlinePart(NamedTuple):
    """Consecutive points of a series.

    Attributes:
        x: Position of its first point.
        first: Its first value.
        min: Its smallest value, ignoring NaN; NaN if there is no other.
        max: Its largest value, ignoring NaN like `min`.
        last: Its last value.
        x_last: Position of its last point.
        points: Its number of points.
    """

    x: float
    first: float
    min: float
    max: float
    last: float
    x_last: float
    points: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SeriesOutline:
    """A series reduced for plotting: one entry in each column for each section of points.

    Minimum and maximum cover all points, so that spikes are never lost. If a series is short
    enough, each section is one point. The columns are `array.array`; `numpy.asarray` accepts them
    without copying.

    Attributes:
        key: The metric's key.
        axis: `step`; `relative`, seconds since the start of the run; or `time`, seconds since 1970
            (UTC).
        x: Position of the first point of each section, which is its lowest x.
        first: The value of that point.
        min: The smallest value of each section, ignoring NaN; NaN if there is no other.
        max: The largest value, ignoring NaN like `min`.
        last: The value of its last point.
        x_last: Position of its last point.
        points: Number of points of each section.
    """

    key: str
    axis: str
    x: array[Any]
    first: array[float]
    min: array[float]
    max: array[float]
    last: array[float]
    x_last: array[Any]
    points: array[int]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[OutlinePart]:
        """Yield each section, by x."""
        columns = (self.x, self.first, self.min, self.max, self.last, self.x_last, self.points)
        return map(OutlinePart._make, zip(*columns, strict=True))

    def __repr__(self) -> str:
        stretches = counted(len(self), "stretch", "stretches")
        return f"<Outline of {self.key!r}: {counted(self.count, 'point')} in {stretches}>"

    @property
    def count(self) -> int:
        """Number of points in all sections."""
        return sum(self.points)

    @property
    def values(self) -> list[float]:
        """Values to draw side by side: both extremes of each section, or each point."""
        if self.is_exact:
            return self.last.tolist()
        ends = zip(self.first, self.last, self.min, self.max, strict=True)
        both = ((high, low) if first > last else (low, high) for first, last, low, high in ends)
        return list(chain.from_iterable(both))

    @property
    def is_exact(self) -> bool:
        """Whether each section is one point."""
        return self.count == len(self)


def axis_of(x: object) -> str:
    """Check the name of an axis, and return it.

    Raises:
        UsageError: There is no such axis.
    """
    if x not in AXES:
        raise UsageError(f"Expected x as one of {', '.join(AXES)}, got {shown(x)}.")
    return str(x)


def bound_of(value: object, name: str, axis: str) -> float | None:
    """Return an end of a window along an axis; None for an open end.

    It may be a datetime if the axis is `time`.

    Raises:
        UsageError: It is neither a number nor a time.
    """
    if value is None:
        return None
    if axis == TIME and isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(
                f"Expected {name} as a datetime with a time zone, got {shown(value)}.",
                hint="For the local time zone: .astimezone()",
            )
        return value.timestamp()
    try:
        number = float(cast("float", value))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number) or isinstance(value, (str, bytes)):
        raise arguments.refused(value, name, "a number", 1000)
    # Steps beyond 2**53 are more exact than floats.
    return operator.index(value) if isinstance(value, Integral) else number
