"""Differences as text: values and the size of a change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from runstore.analysis.compare.differences import MISSING, Difference, FileContents, Unknown
from runstore.model.display.formatting import duration_text, number_texts, size_text
from runstore.value_classes import dataclass

NONE = "(none)"
UNKNOWN = "?"
_DIGEST_SHOWN = 12
_COMMIT_LENGTHS = (40, 64)
_MINUTE_S = 60
_MANY_PERCENT, _TOO_MANY_PERCENT = 1e3, 1e6


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a number.

    Attributes:
        absolute: The second value less the first; NaN if one of them is.
        relative: The same as a share of the first one's size; None if that is zero, and for
            numbers that are not finite.
    """

    absolute: float
    relative: float | None

    def __str__(self) -> str:
        if math.isnan(self.absolute):
            return "NaN"
        if self.relative is None:
            return f"{self.absolute:+.4g}"
        percent = 100 * self.relative
        digits = "+,.0f" if _MANY_PERCENT <= abs(percent) < _TOO_MANY_PERCENT else "+.3g"
        return f"{self.absolute:+.4g}, {percent:{digits}} %"


def change_of(one: Difference) -> Change | None:
    """Return the change of a metric between two runs; None for any other difference."""
    numbers = [value for value in one.values if isinstance(value, float)]
    if one.section != "metrics" or not len(numbers) == len(one.values) == 2:  # noqa: PLR2004 - two runs
        return None
    return change_between(*numbers)


def change_between(old: float, new: float) -> Change:
    """Return the change of a number."""
    absolute = new - old
    is_relative = old != 0 and math.isfinite(absolute) and math.isfinite(absolute / old)
    return Change(absolute, absolute / abs(old) if is_relative else None)


def texts_of(one: Difference) -> tuple[str, ...]:
    """Return each value as text; different numbers have different texts."""
    numbers = iter(number_texts([value for value in one.values if isinstance(value, float)]))
    return tuple(
        next(numbers) if isinstance(value, float) and one.section == "metrics"
        else _value_text(one, value)
        for value in one.values
    )  # fmt: skip


def _value_text(about: Difference, value: Any) -> str:
    """Return a value as text; parameters as Python writes them, since types count there."""
    if value is MISSING or isinstance(value, Unknown):
        return NONE if value is MISSING else UNKNOWN
    if about.section == "params":
        return _as_python(value)
    if about.name == "code.commit" and len(value) in _COMMIT_LENGTHS:
        return str(value[:_DIGEST_SHOWN])
    return _plain_text(value) or ("(set)" if about.section == "tags" else '""')


def _plain_text(value: Any) -> str:
    if isinstance(value, FileContents):
        return _contents_text(value)
    if isinstance(value, timedelta):
        return _duration_text(value)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _contents_text(value: FileContents) -> str:
    size = "" if value.size_bytes is None else size_text(value.size_bytes)
    digest = "no digest" if value.digest is None else value.digest[:_DIGEST_SHOWN]
    return f"{size}  {digest}".strip()


def _duration_text(value: timedelta) -> str:
    """Return a duration as exact as it was described."""
    seconds = value.total_seconds()
    return f"{seconds:.2f} s" if seconds < _MINUTE_S else duration_text(value)


def _as_python(value: Any) -> str:
    if isinstance(value, (set, frozenset)) and value:
        return f"{{{', '.join(sorted(map(_as_python, value)))}}}"
    if isinstance(value, Mapping):
        inside = (f"{_as_python(key)}: {_as_python(one)}" for key, one in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_as_python, value))}]"
    try:
        return repr(value)
    except ValueError:  # more digits than Python prints
        return hex(value) if isinstance(value, int) else f"a long {type(value).__name__}"
