"""Durations in options; their unit is required."""

from __future__ import annotations

from datetime import timedelta

from runstore.errors import UsageError
from runstore.model.query.times import duration_s
from runstore.model.values import is_number_text


def duration(text: str, option: str, *, kept: str = "Nothing was changed.") -> timedelta:
    """Return a duration such as `7 days`, `2 h 30 min`, or 0.

    Raises:
        UsageError: It has no unit, is negative, or is not a duration.
    """
    found = _duration(text)
    if found is None or found < timedelta(0):
        raise UsageError(
            f"{option}: expected a duration with its unit, got {text!r:.60}.",
            kept=kept,
            hint="Write for example: '7 days', 12h or '2 h 30 min'.",
        )
    if found and is_number_text(text):
        raise UsageError(
            f"{option}: {text!r:.60} has no unit.",
            kept=kept,
            hint=f"Write {text.strip()}d for days, {text.strip()}h for hours, or"
            f" {text.strip()}s for seconds.",
        )
    return found


def _duration(text: str) -> timedelta | None:
    try:
        return timedelta(seconds=duration_s(text, long_units=True))
    except (ValueError, OverflowError):
        return None
