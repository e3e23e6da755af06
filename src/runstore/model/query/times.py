"""Parsing of times and durations in filters: `3 days ago`, `2026-11-01`, `2 h 30 min`."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import datetime, timedelta, timezone

from runstore.value_classes import NamedTuple

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
_CLOCK = (
    r"(?P<hour>\d{1,2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?)?"
)
_ZONE = r"(?:\s?(?P<zone>z|[+-]\d{2}(?::?\d{2})?))?"
_DATE = (
    r"(?P<year>\d{4})"
    r"(?:(?P<dash>-)?(?P<month>\d{2})(?(dash)(?:-(?P<day>\d{2}))?|(?P<day_>\d{2})))?"
)
_CALENDAR = re.compile(rf"{_DATE}(?:(?:[t ]\s*|(?<=\d{{8}})(?=\d{{6}}$)){_CLOCK}{_ZONE})?")
_TODAY_AT = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?P<part>)?)?")
_LONGEST_S = 1e11  # three thousand years


class Span(NamedTuple):
    """The meaning of a time text: all moments from `begin` until before `end`."""

    begin: datetime
    end: datetime


def moment(text: str, now: datetime) -> Span:
    """Return the span of a time text, in the local time zone unless it has another.

    ISO dates and times, with or without dashes: the span is the last given unit: year, month, day,
    hour, minute, second or fraction. Also `today`, `yesterday`, `now`, `10:30` (today), and `3
    days ago` in minutes, hours, days, weeks, months or years. `now` is aware.

    Raises:
        ValueError: It is not a time.
    """
    words = text.strip().lower()
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    if words in {"today", "yesterday"}:
        return _local(midnight - timedelta(days=words == "yesterday"), timedelta(days=1))
    past_s = _past_s(words)
    if past_s is not None:
        then = now - timedelta(seconds=past_s)
        return Span(then, then + timedelta(microseconds=1))
    return _by_calendar(words, midnight)


def _past_s(words: str) -> float | None:
    """Return the seconds since `3 days ago`, `3 days`, `-3d` or `last week`; None for others."""
    if words == "now":
        return 0.0
    if words.endswith(" ago"):
        return duration_s(words[: -len(" ago")], long_units=True)
    past = re.sub(r"^(-|last (?=[a-z]))", lambda found: "" if found[0] == "-" else "1 ", words)
    # A number alone has no unit, and a date is not a duration.
    if re.match(r"\d[\d.]*\s*[a-z]", past):
        with suppress(ValueError):
            return duration_s(past, long_units=True)
    return None


def _by_calendar(words: str, midnight: datetime) -> Span:
    if found := _TODAY_AT.fullmatch(words):
        return _within_day(midnight, found, "")
    found = _CALENDAR.fullmatch(words)
    if found is None:
        raise ValueError(f"{words!r} is not a time")
    year, month = int(found["year"]), int(found["month"] or 1)
    day = found["day"] or found["day_"]
    begin = datetime(year, month, int(day or 1))  # noqa: DTZ001 - local, made so below
    if found["hour"] is not None:
        if day is None:
            raise ValueError(f"{words!r} has a time but no day")
        return _within_day(begin, found, found["zone"] or "")
    if day is not None:
        return _local(begin, timedelta(days=1))
    months = 12 if found["month"] is None else 1
    after = datetime(year + (month + months - 1) // 12, (month + months - 1) % 12 + 1, 1)  # noqa: DTZ001
    return Span(_at(begin), _at(after))


def _within_day(day: datetime, found: re.Match[str], zone: str) -> Span:
    """Return the hour, minute, second or fraction of a second of a clock time."""
    minute, second, part = found["minute"], found["second"], found["part"] or ""
    begin = day.replace(
        hour=int(found["hour"]),
        minute=int(minute or 0),
        second=int(second or 0),
        microsecond=int(part[:6].ljust(6, "0")),
    )
    if zone == "z":
        begin = begin.replace(tzinfo=timezone.utc)
    elif zone:
        sign = -1 if zone[0] == "-" else 1
        digits = zone[1:].replace(":", "")
        away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
        begin = begin.replace(tzinfo=timezone(sign * away))
    if minute is None:
        return _local(begin, timedelta(hours=1))
    begin = _at(begin)
    if second is None:
        return Span(begin, begin + timedelta(minutes=1))
    return Span(begin, begin + timedelta(microseconds=10 ** max(0, 6 - len(part))))


def _local(begin: datetime, length: timedelta) -> Span:
    """Return the span between two local times, with both hours if summer time ends in it."""
    return Span(_at(begin), _at(begin + length))


def _at(time: datetime) -> datetime:
    """Return the moment of a local time; of a skipped one, as if the clock had not been changed.

    `astimezone` would return a moment an hour before.
    """
    return datetime.fromtimestamp(time.timestamp(), timezone.utc)


def duration_s(text: str, *, long_units: bool = False) -> float:
    """Return a duration in seconds: `90`, `2h`, `2 h 30 min`, `1.5 days`, `00:05:00`.

    Args:
        text: The text.
        long_units: Whether to accept months (30 days) and years (365 days).

    Raises:
        ValueError: It is not a duration.
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
            raise ValueError(f"{text!r} is not a duration")
        total += _number(found[1]) * _unit_s(found[2].lower(), text, long_units=long_units)
        at = found.end()
    if not words:
        raise ValueError("an empty text is not a duration")
    return _checked(total)


def _number(text: str) -> float:
    return 1.0 if text.lower().startswith("a") else float(text)


def _unit_s(unit: str, text: str, *, long_units: bool) -> float:
    for name in (unit, unit.removesuffix("s")):
        if name in _UNITS_S:
            return _UNITS_S[name]
    if long_units and unit.removesuffix("s") in {"month", "year"}:
        return _MONTH_S if unit.startswith("month") else _YEAR_S
    raise ValueError(f"{text!r} is not a duration")


def _checked(seconds: float) -> float:
    if not math.isfinite(seconds) or abs(seconds) > _LONGEST_S:
        raise ValueError("too long for a duration")
    return seconds
