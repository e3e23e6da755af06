"""The points of a series that can be plotted, sorted along the x axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

from runstore.errors import UsageError, shown
from runstore.value_classes import NamedTuple

# Beyond this, the distance of two values may be infinite, which no library supports.
_LARGEST = 1e300
# The range of calendars: the years 1 to 9999, less a day for time zones.
_EARLIEST_S, _LATEST_S = -62_135_510_400, 253_402_214_400


class Drawable(NamedTuple):
    """Points sorted by x.

    Attributes:
        steps: Steps.
        times: Seconds since 1970.
        values: Values, all finite.
        smooth: The smoothed values; None unless requested.
        left_out: Number of points that cannot be plotted: NaN, infinite, without a logarithm.
    """

    steps: list[int]
    times: list[float]
    values: list[float]
    smooth: list[float] | None
    left_out: int


def drawable(
    steps: Any, times: Any, values: Any, *, by_step: bool, is_log: bool, smoothing: float
) -> Drawable:
    """Return the points that can be plotted.

    Args:
        steps: Column of a series, a numpy array or `array.array`.
        times: Column of a series.
        values: Column of a series.
        by_step: Whether the x axis shows steps, rather than times.
        is_log: Whether the y axis is logarithmic.
        smoothing: Weight of the past in an exponential moving average, 0 to 1; 0 for none.
    """
    # Plain lists, because accessing elements of numpy arrays is several times slower.
    columns = [column.tolist() for column in (steps, times, values)]
    by_x = columns[0] if by_step else columns[1]
    accepts = _accepts(by_step=by_step, is_log=is_log)
    places = [at for at, (x, y) in enumerate(zip(by_x, columns[2], strict=True)) if accepts(x, y)]
    places.sort(key=by_x.__getitem__)
    taken = [[column[at] for at in places] for column in columns]
    smooth = _averages(taken[2], smoothing) if smoothing else None
    return Drawable(taken[0], taken[1], taken[2], smooth, len(by_x) - len(places))


def _accepts(*, by_step: bool, is_log: bool) -> Callable[[float, float], bool]:
    low = 0.0 if is_log else -_LARGEST
    if by_step:
        return lambda _, y: low < y < _LARGEST
    return lambda x, y: low < y < _LARGEST and _EARLIEST_S < x < _LATEST_S


def _averages(values: Sequence[float], weight: float) -> list[float]:
    """Return the exponential moving average, with a bias correction at the beginning.

    Source: Kingma and Ba, Adam, 2015, section 3: correction of the initialization bias.
    """
    found, total, share = [], 0.0, 0.0
    for value in values:
        total = weight * total + (1 - weight) * value
        share = weight * share + (1 - weight)
        found.append(total / share)
    return found


def checked_view(x: object, smooth: object) -> None:
    """Check the axis and the weight of a plot.

    Raises:
        UsageError: `x` is neither step nor time, or `smooth` is not a number from 0 to below 1.
    """
    if x not in ("step", "time"):
        raise UsageError(f"Expected x as 'step' or 'time', got {shown(x)}.")
    if not isinstance(smooth, (int, float)) or not 0 <= smooth < 1:
        raise UsageError(f"Expected smooth as a number from 0 to below 1, got {shown(smooth)}.")


def local_times(times: Iterable[float]) -> list[datetime]:
    """Return seconds since 1970 as naive local times, because libraries would show UTC."""
    aware = (datetime.fromtimestamp(time, timezone.utc).astimezone() for time in times)
    return [one.replace(tzinfo=None) for one in aware]
