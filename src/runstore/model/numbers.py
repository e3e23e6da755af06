"""What counts as the value, the step and the time of a metric point."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Any

from runstore.errors import InvalidValueError

KEY_LIMIT_BYTES = 1000
_STEP_LIMIT = 2**63
_EARLIEST, _LATEST = -(10**11), 10**12  # seconds; far beyond any clock


def metric_value(value: Any, key: str) -> float:
    """Return a number as a float: int, bool, scalars of numpy, torch and the like.

    Raises:
        InvalidValueError: It is no single number.
    """
    if isinstance(value, (str, bytes, bytearray)):
        raise _no_number(value, key)
    try:
        # `item` first: a torch scalar on a GPU, or one with a gradient, is read that way.
        item = getattr(value, "item", None)
        return float(item() if item is not None else value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    except (TypeError, ValueError, RuntimeError):
        raise _no_number(value, key) from None


def _no_number(value: Any, key: str) -> InvalidValueError:
    return InvalidValueError(
        f"The metric {key!r} got {value!r:.60}, which is no number.",
        hint="Log a number; keep text as a tag or in the notes.",
    )


def metric_key(key: Any) -> str:
    """Return the key of a metric when it may be one.

    Raises:
        InvalidValueError: No text, empty, too long, or with characters that no line can show.
    """
    if not isinstance(key, str) or not key:
        raise InvalidValueError(f"The key of a metric is a text, not {key!r:.60}.")
    if not key.isprintable():
        raise InvalidValueError(f"The metric {key!r:.60} has an unprintable character.")
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > KEY_LIMIT_BYTES:
        raise InvalidValueError(
            f"The key {key[:40]!r}… has {size:,} bytes; the limit is {KEY_LIMIT_BYTES}.",
            hint="Give the metric a short name.",
        )
    return key


def metric_step(step: Any) -> int:
    """Return a step: a whole number of 64 bits.

    Raises:
        InvalidValueError: It is none.
    """
    try:
        number = operator.index(step)
    except TypeError:
        number = int(step) if isinstance(step, float) and step.is_integer() else _STEP_LIMIT
    if not -_STEP_LIMIT <= number < _STEP_LIMIT:
        raise InvalidValueError(f"{step!r:.60} is no step.", hint="Give a whole number.")
    return number


def metric_time(time: Any) -> int:
    """Return a time as microseconds since 1970 (UTC): of seconds, or of an aware datetime.

    Raises:
        InvalidValueError: It is no time.
    """
    try:
        seconds = time.timestamp() if isinstance(time, datetime) else float(time)
    except (TypeError, ValueError, OverflowError):
        seconds = float("nan")
    if not _EARLIEST < seconds < _LATEST:
        raise InvalidValueError(
            f"{time!r:.60} is no time.", hint="Give seconds since 1970, or a datetime."
        )
    return round(seconds * 1_000_000)
