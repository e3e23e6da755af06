"""A series as a line of small bars: ▁▃▅▇."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-=+*#@"
_GAP = " "


def sparkline(values: Iterable[float], width: int = 20) -> str:
    """Return at most `width` bars; NaN is a gap, and infinities are the extremes.

    Each bar shows the mean of several consecutive values.

    Args:
        values: Numbers, from left to right.
        width: Maximum number of bars.
    """
    numbers = [float(value) for value in values]
    count = min(width, len(numbers))
    stretches = [
        numbers[place * len(numbers) // count : (place + 1) * len(numbers) // count]
        for place in range(count)
    ]
    means = [_mean(stretch) for stretch in stretches]
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    bars = _bars()
    return "".join(_GAP if math.isnan(mean) else bars[_level(mean, low, high)] for mean in means)


def _mean(stretch: list[float]) -> float:
    known = [value for value in stretch if not math.isnan(value)]
    if not known:
        return math.nan
    # Divided first: the sum of the largest floats would be infinite.
    mean = sum(value / len(known) for value in known)
    return min(max(mean, min(known)), max(known))  # a constant series stays one when rounded


def _level(mean: float, low: float, high: float) -> int:
    top = len(_BARS) - 1
    if math.isinf(mean):
        return top if mean > 0 else 0
    if high <= low:
        return top // 2
    spread = high / 2 - low / 2  # never infinite
    return min(top, max(0, int((mean / 2 - low / 2) / spread * (top + 1))))


def _bars() -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        _BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return _ASCII_BARS
    return _BARS
