"""Ticks of an axis and their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

Ticks = Sequence[tuple[float, str]]

_SAME = 1e-12  # a smaller range, relative to its numbers, is a single value
_DECIMALS = 6
_PLAIN_BELOW = 1e7
# Steps within smaller ranges would be denormal numbers, or nothing at all.
_SMALLEST = 1e-280
_MINUTE_S, _DAY_S = 60, 86_400
_TIME_STEPS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200),
    *(days * _DAY_S for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 20_000, 10**6)),
)


def spread(low: float, high: float) -> tuple[float, float]:
    """Return a range of positive width, even for a single value."""
    if high - low > _SAME * max(abs(low), abs(high)) and high - low > _SMALLEST:
        return low, high
    half = max(abs(low) / 2, 10 * _SMALLEST) if low else 1.0
    return low - half, high + half


def linear(low: float, high: float, count: int) -> Ticks:
    """Return about `count` different round numbers between low and high."""
    step = _round_step((high - low) / max(1, count))
    first, last = math.ceil(low / step - _SAME), math.floor(high / step + _SAME)
    values = [place * step for place in range(first, last + 1)]
    return [(value, number_text(value, step)) for value in values]


def _round_step(rough: float) -> float:
    size = 10.0 ** math.floor(math.log10(rough))
    return next(times * size for times in (1, 2, 5, 10) if times * size >= rough * (1 - _SAME))


def number_text(value: float, step: float) -> str:
    """Return a tick's number with enough digits to differ from the next one."""
    decimals = max(0, -math.floor(math.log10(step) + _SAME))
    if abs(value) < _PLAIN_BELOW and decimals <= _DECIMALS:
        return f"{value:.{decimals}f}" if value else "0"
    digits = math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(1, min(15, digits + decimals + 1))}g}" if decimals else f"{value:.4g}"


def logarithmic(low: float, high: float, count: int) -> Ticks:
    """Return ticks between two exponents of ten, as exponents."""
    first, last = math.ceil(low - _SAME), math.floor(high + _SAME)
    if last - first >= 2:  # noqa: PLR2004 - three powers of ten suffice
        stride = math.ceil((last - first) / max(1, count))
        return [(float(power), f"1e{power}") for power in range(first, last + 1, stride)]
    is_tiny = low < math.log10(_SMALLEST)
    found = [
        (math.log10(times) + power, f"{times}e{power}" if is_tiny else f"{times * 10.0**power:g}")
        for power in range(first - 1, last + 2)
        for times in (1, 2, 5)
        if low <= math.log10(times) + power <= high
    ]
    if len(found) > 1:
        return found
    if is_tiny:
        return [(power, f"1e{text}") for power, text in linear(low, high, count)]
    return [(math.log10(value), text) for value, text in linear(10**low, 10**high, count)]


def moments(low: float, high: float, count: int) -> Ticks:
    """Return about `count` round local times in a range, in seconds since 1970."""
    rough = (high - low) / max(1, count)
    step = next((one for one in _TIME_STEPS_S if one >= rough), _TIME_STEPS_S[-1])
    offset = datetime.fromtimestamp(low).astimezone().utcoffset()
    shift = offset.total_seconds() if offset is not None else 0.0
    first, last = math.ceil((low + shift) / step), math.floor((high + shift) / step)
    at = [place * step - shift for place in range(first, last + 1)]
    return [(one, _moment_text(one, step)) for one in at]


def _moment_text(at: float, step: float) -> str:
    moment = datetime.fromtimestamp(at).astimezone()
    if step >= _DAY_S:
        return f"{moment:%Y-%m-%d}"
    if step >= _MINUTE_S:
        is_midnight = not (moment.hour or moment.minute)
        return f"{moment:%m-%d}" if is_midnight else f"{moment:%H:%M}"
    fraction = "" if step >= 1 else f".{round(moment.microsecond / 1000):03d}"
    return f"{moment:%H:%M:%S}{fraction}"
