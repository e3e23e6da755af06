"""Times and durations as a filter writes them: `3 days ago`, `2026-11-01`, `2 h 30 min`."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import NamedTuple

_UNITS_S = {
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "m": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
    "w": 604800.0,
    "week": 604800.0,
}
_MONTH_S, _YEAR_S = 30 * 86400.0, 365 * 86400.0
_PART = re.compile(r"\s*(\d+(?:\.\d+)?|an?)\s*([a-z]+)\s*(?:,|and\b)?", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_LONGEST_S = 1e11  # three thousand years


class Span(NamedTuple):
    """What a time text means: all moments from `begin` until before `end`."""

    begin: datetime
    end: datetime


def moment(text: str, now: datetime) -> Span:
    """Return what a time text means, in the local time zone where it says no other.

    ISO dates and times, with less than a day left out where one likes; `today`, `yesterday`,
    `now`, `10:30` (of today), and `3 days ago` in minutes, hours, days, weeks, months or years.

    Args:
        text: The text.
        now: The present, aware.

    Raises:
        ValueError: It is none of these.
    """
    words = text.strip().lower()
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if words in {"today", "yesterday"}:
        return _days(midnight - timedelta(days=words == "yesterday"), 1)
    if words == "now" or words.endswith(" ago"):
        past_s = 0.0 if words == "now" else duration_s(words[: -len(" ago")], long_units=True)
        then = now - timedelta(seconds=past_s)
        return Span(then, then + timedelta(microseconds=1))
    return _by_calendar(words, midnight)


def _by_calendar(words: str, midnight: datetime) -> Span:
    if found := _CLOCK.fullmatch(words):
        begin = midnight.replace(hour=int(found[1]), minute=int(found[2])).astimezone()
        return Span(begin, begin + timedelta(minutes=1))
    if found := _MONTH.fullmatch(words):
        begin = datetime(int(found[1]), int(found[2]), 1)  # noqa: DTZ001 - local, made so below
        after = datetime(begin.year + begin.month // 12, begin.month % 12 + 1, 1)  # noqa: DTZ001
        return Span(begin.astimezone(), after.astimezone())
    if _DAY.fullmatch(words):
        return _days(datetime.fromisoformat(words), 1)
    # Python 3.10 reads neither a Z nor a T in every place that ISO 8601 allows.
    begin = datetime.fromisoformat(re.sub(r"z$", "+00:00", words).upper()).astimezone()
    has_seconds = words[11:19].count(":") > 1
    return Span(begin, begin + timedelta(seconds=1 if has_seconds else 60))


def _days(begin: datetime, count: int) -> Span:
    return Span(begin.astimezone(), (begin + timedelta(days=count)).astimezone())


def duration_s(text: str, *, long_units: bool = False) -> float:
    """Return a duration in seconds: `90`, `2h`, `2 h 30 min`, `1.5 days`, `00:05:00`.

    Args:
        text: The text.
        long_units: Whether months (30 days) and years (365 days) are understood.

    Raises:
        ValueError: It is none.
    """
    words = text.strip()
    try:
        return _checked(float(words))
    except ValueError:
        pass
    if re.fullmatch(r"\d+:\d{2}(:\d{2})?(\.\d+)?", words):
        total = 0.0
        for part in words.split(":"):
            total = total * 60 + float(part)
        return _checked(total if words.count(":") > 1 else total * 60)
    at, total = 0, 0.0
    while at < len(words):
        found = _PART.match(words, at)
        if found is None:
            raise ValueError(f"{text!r} is no duration")
        total += _number(found[1]) * _unit_s(found[2].lower(), text, long_units=long_units)
        at = found.end()
    if not words:
        raise ValueError("an empty text is no duration")
    return _checked(total)


def _number(text: str) -> float:
    return 1.0 if text.lower().startswith("a") else float(text)


def _unit_s(unit: str, text: str, *, long_units: bool) -> float:
    for name in (unit, unit.removesuffix("s")):
        if name in _UNITS_S:
            return _UNITS_S[name]
    if long_units and unit.removesuffix("s") in {"month", "year"}:
        return _MONTH_S if unit.startswith("month") else _YEAR_S
    raise ValueError(f"{text!r} is no duration")


def _checked(seconds: float) -> float:
    if not math.isfinite(seconds) or abs(seconds) > _LONGEST_S:
        raise ValueError("too long for a duration")
    return seconds
