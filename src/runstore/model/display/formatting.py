"""Readable times, durations, sizes and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_TENTHS_BELOW_S = 10
_DAY_S = 86_400
_DAYS, _WEEKS_BELOW = 14, 60
_CLOCKS_DIFFER_S = 60  # at most, between machines
_DIGITS = 4
_COMMAS_FROM = 10_000
_WHOLE_BELOW, _DECIMAL_FROM = 1e12, 1e-4
_EXACT_UP_TO = 2**53  # larger whole numbers may differ from the nearest float
_KILO = 1000


def duration_text(duration: timedelta) -> str:
    """Return a readable duration: `0.3 s`, `42 s`, `5 min 3 s`, `2 h 10 min`, `3 d 4 h`.

    The page has the same in `formatDuration`.
    """
    seconds = max(0.0, duration.total_seconds())
    if seconds < _TENTHS_BELOW_S:
        return f"{int(seconds * 10 + 0.5) / 10:.1f} s"  # halves up, as in JavaScript
    rest = int(seconds + 0.5)
    parts: list[tuple[int, str]] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in parts[:2] if count)


def local_time(at: datetime) -> str:
    """Return a time in this machine's time zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def ago_text(at: datetime, now: datetime) -> str:
    """Return how long ago a time was: `12 s ago`, `2 h ago`; the date if it was months ago.

    The clock of the machine that recorded it may be a little ahead. The page has the same.
    """
    seconds = (now - at).total_seconds()
    days = int(seconds // _DAY_S)
    if seconds < -_CLOCKS_DIFFER_S or days >= _WEEKS_BELOW:
        return f"{at.astimezone():%Y-%m-%d}"
    if days >= _DAYS:
        return f"{days // 7} weeks ago"
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "0 s ago"


def brief_number(value: float, digits: int = _DIGITS) -> str:
    """Return a number as a person writes it, with so many digits at most: 0.9731, 1.5e-6.

    Whole numbers and digits before the point are kept: 123,457.
    """
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - NaN
        return f"{value}"
    size = abs(value)
    if size >= _WHOLE_BELOW or 0 < size < _DECIMAL_FROM:
        return _exponent(f"{value:.{digits}g}")
    if size >= 10 ** (digits - 1) or value == int(value):
        text = f"{value:,.0f}"
        return text if size >= _COMMAS_FROM else text.replace(",", "")
    return f"{value:.{digits}g}"


def brief_parameter(value: float) -> str:
    """Return a parameter as it was typed, if it is short or whole: 64, 0.001, 1e-5, 20260101."""
    brief = f"{value:.{_DIGITS}g}"
    if is_exact_whole(value) and (abs(value) < _WHOLE_BELOW or float(brief) != value):
        return f"{int(value)}"
    text = repr(float(value))
    return _exponent(text if len(text) <= 2 * _DIGITS else brief)


def setting_text(value: float) -> str:
    """Return a parameter in a setting of repeated runs: all digits of a whole number, or 12."""
    return f"{int(value)}" if is_exact_whole(value) else f"{value:.12g}"


def is_exact_whole(value: float) -> bool:
    """Check whether a number is whole, and no other whole number has the same float."""
    return abs(value) <= _EXACT_UP_TO and value == int(value)


def _exponent(text: str) -> str:
    """Return a number without the padding of its exponent: `1e-05` is `1e-5`."""
    mantissa, sign, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if sign else text


def size_text(size_bytes: int) -> str:
    """Return a readable size: `12 bytes`, `3.4 kB`, `1.2 GB`; a kB is 1000 bytes."""
    if size_bytes < _KILO:
        return counted(size_bytes, "byte")
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= _KILO
        if size < _KILO - 0.05:
            return f"{size:.1f} {unit}"
    return f"{size / _KILO:,.1f} PB"


def cropped(text: str, most: int) -> str:
    """Return a text, or its beginning and an ellipsis, in at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


# The text of a tag without a value, if the key is not in the text.
TAGGED = "✓"


def tags_text(tags: Mapping[str, str]) -> str:
    """Return tags as on the command line: `keep phase=pilot`."""
    return " ".join(f"{key}={value}" if value else key for key, value in tags.items())


def number_text(value: float) -> str:
    """Return the value of a metric for tables."""
    return f"{value:.6g}"


def number_texts(values: Sequence[float]) -> list[str]:
    """Return values of a metric for tables; all digits of those that would look alike."""
    texts = [number_text(one) for one in values]
    alike: dict[str, set[str]] = {}
    for text, one in zip(texts, values, strict=True):
        alike.setdefault(text, set()).add(repr(float(one)))
    return [
        text if len(alike[text]) == 1 else _every_digit(one)
        for text, one in zip(texts, values, strict=True)
    ]


def _every_digit(value: float) -> str:
    return f"{int(value)}" if is_exact_whole(value) else repr(float(value))


def exact_if_alike(texts: Sequence[str], exact: Sequence[str]) -> list[str]:
    """Return the texts of different values; the exact ones of those that look alike."""
    while True:
        times = Counter(texts)
        better = [
            one if times[one] == 1 else other for one, other in zip(texts, exact, strict=True)
        ]
        if better == texts:
            return better
        texts = better  # an exact text may look like that of another value


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number of things: `1 run`, `2,000 runs`; `plural` is any other than with an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
