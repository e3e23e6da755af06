"""Conversion of metric values, steps and times."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable
from datetime import datetime

from runstore.errors import InvalidValueError, attempt, genuine, shown
from runstore.model.arguments import NAME_LIMIT_BYTES
from runstore.model.reference import check_is_on_one_line
from runstore.model.values import is_number_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEY_LIMIT_BYTES = NAME_LIMIT_BYTES
LAST_STEP = 2**63 - 1
_EARLIEST, _LATEST = -(10**11), 10**12  # seconds; far beyond any clock
# Smaller numbers are rather durations: 1973, before any run was logged.
_LEAST_LIKELY_TIME = 10**8
_TEXTS = (str, bytes, bytearray)
_MOMENTS = {"m", "M"}  # numpy's kinds of time spans and of times


def metric_value(value: Any, key: str) -> float:
    """Convert a number to a float: int, bool, scalars of numpy, torch and similar.

    Raises:
        InvalidValueError: It is not a single number.
    """
    try:
        return _number(value)
    except genuine(Exception):  # conversions are user code and may raise anything
        raise _no_number(value, key) from None


def _number(value: Any) -> float:
    if type(value) is int:
        return to_float(value)
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(value, masked.MaskedArray):
        # Its `item` returns the value below the mask.
        return float("nan") if value.size == 1 and value.mask.all() else float(value.item())
    if _kind_of(value) in _MOMENTS:
        raise TypeError("a time is not a number")
    if isinstance(value, _TEXTS):
        raise TypeError("text is not a number")
    # `item` first: it also reads a torch scalar on a GPU, or one with a gradient.
    item = getattr(value, "item", None)
    plain = item() if callable(item) else value
    if isinstance(plain, _TEXTS):
        raise TypeError("text is not a number")
    return to_float(plain)


def _kind_of(value: Any) -> Any:
    """Return numpy's letter for the kind of an array or a scalar; None for anything else."""
    return getattr(getattr(value, "dtype", None), "kind", None)


def to_float(plain: Any) -> float:
    """Convert a number or a text to a float; an integer beyond all floats becomes infinite."""
    try:
        return float(plain)
    except OverflowError:
        if not isinstance(plain, int):
            raise
        return float("inf") if plain > 0 else float("-inf")


def _no_number(value: Any, key: str) -> InvalidValueError:
    is_text = isinstance(value, str) and is_number_text(value)
    return InvalidValueError(
        f"The metric {shown(key)} got {shown(value)}, which is not a number.",
        hint=f"Convert the text with float({shown(value)})."
        if is_text
        else "Log a number; use log_text, log_image or log_histogram for anything else.",
    )


def metric_key(key: Any) -> str:
    """Check the key of a metric, and return it as a plain `str`.

    Raises:
        InvalidValueError: Not text, empty, too long, or with unprintable characters.
    """
    if not isinstance(key, str) or not len(key):
        raise InvalidValueError(
            f"Expected the key of a metric as text, got {shown(key)}.",
            hint='Pass a name: run.log({"loss": 0.5}).',
        )
    text = str.__str__(key)  # a subclass may have another representation
    check_is_on_one_line(text, "metric")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > KEY_LIMIT_BYTES:
        raise InvalidValueError(
            f"The key {text[:40]!r}… has {size:,} bytes; the limit is {KEY_LIMIT_BYTES:,}.",
            hint="Use a shorter name.",
        )
    return text


def metric_step(step: Any) -> int:
    """Return a step as a 64-bit integer.

    Raises:
        InvalidValueError: It is not an integer, or out of range.
    """
    number: int | None = step
    if type(step) is not int:  # conversions are user code
        number = attempt(lambda: operator.index(step), lambda _: _whole(step))
    if number is None or not -LAST_STEP - 1 <= number <= LAST_STEP:
        raise InvalidValueError(f"{shown(step)} is not a step.", hint="Pass an int, such as 100.")
    return number


def _whole(step: Any) -> int | None:
    try:
        number = metric_value(step, "step")
    except InvalidValueError:
        return None
    return int(number) if number.is_integer() else None


def metric_time(time: Any) -> int:
    """Return a time in microseconds since 1970 (UTC), from seconds or an aware datetime.

    Raises:
        InvalidValueError: It is not a time.
    """
    seconds: float = time
    if type(time) is not float:  # conversions are user code
        seconds = attempt(lambda: _seconds(time), lambda _: float("nan"))
    if not _EARLIEST < seconds < _LATEST:
        raise InvalidValueError(
            f"{shown(time)} is not a time.", hint="Pass seconds since 1970, or a datetime."
        )
    return round(seconds * 1_000_000)


def _seconds(time: Any) -> float:
    if isinstance(time, datetime):
        return time.timestamp()
    if _kind_of(time) == "M":
        return float(time.astype("datetime64[us]").astype("int64")) / 1e6
    return float(time)


def is_likely_time(micros: int) -> bool:
    """Check whether a time is plausible for a run, not one of the 1970s."""
    return abs(micros) >= _LEAST_LIKELY_TIME * 1_000_000


def column_of(values: Iterable[Any], name: str) -> list[Any]:
    """Return a column as a list of Python numbers, which numpy converts at once.

    Raises:
        InvalidValueError: It is not a single column.
    """
    if values is None or isinstance(values, (*_TEXTS, dict)):
        raise _no_column(values, name)
    if len(getattr(values, "shape", (1,))) != 1:
        raise _no_column(values, name)
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(values, masked.MaskedArray):
        return list(values)
    whole = getattr(values, "tolist", None)
    if _kind_of(values) in _MOMENTS:
        whole = None  # it would return plain numbers
    try:
        return list(values) if whole is None else list(whole())
    except TypeError:
        raise _no_column(values, name) from None


def _no_column(values: Any, name: str) -> InvalidValueError:
    return InvalidValueError(
        f"Expected a list or an array for {name}, got {shown(values)}.",
        kept="Nothing was logged.",
        hint="Pass one number per point.",
    )
