"""Metrics for readers: summaries and series."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union

from runstore.errors import NotFoundError, visible
from runstore.extras import library
from runstore.model import arguments
from runstore.model.display.formatting import counted, number_text
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Column = Union["np.ndarray[Any, Any]", array[Any]]

XAxis = Literal["step", "time"]
# Both ends, and both extremes of one section.
FEWEST_SAMPLED = 4
_PLOTTED = 2000
_MICROS = 1_000_000


class _OfRun:
    """Where the points of a summary are read from; copies lack it."""

    __slots__ = ("_read",)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MetricSummary(_OfRun):
    """Statistics of a series, available without reading its points.

    In a notebook, it is shown as numbers and a small chart.

    Attributes:
        key: The metric's key.
        set_name: The parameter set it belongs to; None for the run itself.
        count: Number of points.
        first: The first value logged.
        last: The last value logged.
        min: The smallest value, ignoring NaN; NaN if there is no other.
        max: The largest value, as `min`.
        mean: Mean of all values, ignoring NaN.
        last_step: The last step logged.
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

    def series(self) -> Series:
        """Return its points.

        Raises:
            NotFoundError: It is a copy without a connection to its run.
        """
        read = getattr(self, "_read", None)
        if read is None:
            raise NotFoundError(
                f"This summary of {self.key!r} is not connected to its run.",
                hint="Read the points from the run: run.metric(key).",
            )
        found: Series = read()
        return found

    def plot(
        self, *, x: XAxis = "step", log: bool = False, smooth: float = 0.0, ax: Any = None
    ) -> Any:
        """Plot its points; see `Series.plot`."""
        return self.series().plot(x=x, log=log, smooth=smooth, ax=ax)

    def __repr__(self) -> str:
        name = self.key if self.set_name is None else f"{self.set_name}/{self.key}"
        return f"<MetricSummary {visible(repr(name))}: {self._numbers()}>"

    def _numbers(self) -> str:
        last, low, high, mean = map(number_text, (self.last, self.min, self.max, self.mean))
        return f"{last} (min {low}, max {high}, mean {mean}; {counted(self.count, 'point')})"

    def _repr_html_(self) -> str:
        """Return the HTML for notebooks, which call this method."""
        from runstore.model.display.series_html import series_html

        read = getattr(self, "_read", None)
        return series_html(self.key, self._numbers(), read)


def summary_with(one: MetricSummary, read: Callable[[], Series]) -> MetricSummary:
    """Connect a new summary to its points, and return it."""
    object.__setattr__(one, "_read", read)
    return one


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The points of one metric, in logging order.

    Attributes:
        key: The metric's key.
        steps: Steps (integers), one per point.
        times: Times of logging, in seconds since 1970 (UTC).
        values: Values, one per point.

    The columns are numpy arrays if numpy is installed, `array.array` otherwise.
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

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        """Return the values; numpy and libraries for plots call this."""
        made: np.ndarray[Any, Any] = library("numpy", "numpy").array(
            self.values, dtype=dtype, copy=copy
        )
        return made

    def __repr__(self) -> str:
        return f"<Series {visible(repr(self.key))} of {self._numbers()}>"

    def _numbers(self) -> str:
        points = counted(len(self), "point")
        if not len(self):
            return points
        low, high = _ends(self.values)
        first, last, least, most = map(
            number_text, (self.values[0], self.values[-1], self.values[low], self.values[high])
        )
        return f"{points}: {first} to {last} (min {least}, max {most})"

    def _repr_html_(self) -> str:
        """Return the HTML for notebooks, which call this method."""
        from runstore.model.display.series_html import series_html

        return series_html(self.key, self._numbers(), lambda: self)

    def plot(
        self, *, x: XAxis = "step", log: bool = False, smooth: float = 0.0, ax: Any = None
    ) -> Any:
        """Plot the points with matplotlib, or with plotly if only that is installed.

        As with pandas, series plotted one after the other in a cell are lines of one plot. NaN and
        infinite points are left out.

        Args:
            x: Quantity on the x axis: `step`, or `time`, which is local.
            log: Whether the y axis is logarithmic.
            smooth: Weight of the past in an additional moving average, 0 to 1.
            ax: The matplotlib `Axes` to plot on; None for the current ones.

        Returns:
            The matplotlib `Axes`, or the plotly `Figure`.

        Raises:
            MissingExtraError: Neither of them is installed.
            UsageError: There is no such axis, or the weight is out of range.
        """
        from runstore.model.display.drawable import checked_view, drawable, local_times
        from runstore.plotting.one_series import Curve, plot_series

        checked_view(x, smooth)
        by_step = x == "step"
        columns = (self.steps, self.times, self.values)
        found = drawable(*columns, by_step=by_step, is_log=log, smoothing=smooth)

        def curve(values: Sequence[float]) -> Curve:
            steps, times = array("q", found.steps), array("d", found.times)
            some = Series(self.key, steps, times, array("d", values)).sampled(_PLOTTED)
            xs = some.steps if by_step else local_times(some.times)
            return Curve(list(xs), list(some.values))

        smoothed = None if found.smooth is None else curve(found.smooth)
        return plot_series(
            self.key,
            "step" if by_step else "local time",
            curve(found.values),
            smoothed,
            is_log=log,
            ax=ax,
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return a `pandas.DataFrame` with the columns `step`, `time` (UTC) and `value`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = library("pandas", "pandas")
        micros = [round(time * _MICROS) for time in self.times]
        times = pandas.to_datetime(micros, unit="us", utc=True)
        frame: pd.DataFrame = pandas.DataFrame(
            {"step": list(self.steps), "time": times, "value": list(self.values)}
        )
        return frame

    def sampled(self, limit: int) -> Series:
        """Return at most `limit` points that look the same on a plot, including extremes.

        Each section of points contributes its smallest and its largest value, in their order; the
        first and the last point are kept.

        Args:
            limit: At least 4.

        Raises:
            UsageError: The limit is no such number.
        """
        limit = arguments.count(limit, "limit", FEWEST_SAMPLED)
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
    """Return the indices that `Series.sampled` keeps of these values."""
    count, stretches = len(values), (limit - 2) // 2
    chosen = {0, count - 1}
    for stretch in range(stretches):
        begin, end = stretch * count // stretches, (stretch + 1) * count // stretches
        chosen.update(begin + place for place in _ends(values[begin:end]))
    return sorted(chosen)


def _ends(values: Any) -> tuple[int, int]:
    """Return the indices of the smallest and the largest value, the first ones if equal."""
    found = _ends_of_array(values) if isinstance(values, array) else _ends_with_numpy(values)
    return found[0], found[-1]


def _ends_of_array(values: Any) -> tuple[int, ...]:
    known = [place for place, value in enumerate(values) if not math.isnan(value)]
    if not known:
        return (0,)
    return min(known, key=values.__getitem__), max(known, key=values.__getitem__)


def _ends_with_numpy(values: Any) -> tuple[int, ...]:
    """Return the same for a numpy array, in a fraction of the time."""
    low, high = int(values.argmin()), int(values.argmax())
    if not math.isnan(values[low]):
        return low, high
    known = (values == values).nonzero()[0]  # noqa: PLR0124 - all but NaN
    if not len(known):
        return (0,)
    return int(known[values[known].argmin()]), int(known[values[known].argmax()])
