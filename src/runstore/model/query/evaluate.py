"""Evaluation of a query in plain Python; `storage/query/where.py` is the equivalent in SQL."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any as AnyValue
from typing import Protocol, Union

from runstore.model.query.exact import exact_value, is_exact, written_number
from runstore.model.query.patterns import Regex, is_like
from runstore.model.query.tree import (
    All,
    Any,
    Compare,
    Field,
    Kind,
    Missing,
    Namespace,
    Node,
    Not,
    Op,
)

# A number and a text, as a row of `flatten.py`; a truth value is 1 or 0 with its word.
Cell = tuple[Union[float, None], Union[str, None]]
Value = Union[Cell, str, float, int, None]
TRUTH = ("false", "true")
NAN: Cell = (None, "nan")
_WHOLE_BELOW = 1e15
_DIGITS_AT_MOST = 4_000  # Python refuses more than 4,300

_ORDERED: Mapping[Op, Callable[[AnyValue, AnyValue], bool]] = {
    Op.EQUAL: operator.eq,
    Op.BELOW: operator.lt,
    Op.AT_MOST: operator.le,
    Op.ABOVE: operator.gt,
    Op.AT_LEAST: operator.ge,
}


class Subject(Protocol):
    """A run's values for a query."""

    def values(self, field: Field) -> Iterable[Value]:
        """Return the values of a field: cells for `Kind.CELL`, plain values for others.

        Times are microseconds since 1970, durations seconds, flags 1 or 0; NaN is None if there is
        a value. A field without values yields nothing.
        """


def matches(node: Node, subject: Subject) -> bool:
    """Check whether a run matches a query's tree."""
    if isinstance(node, All):
        return all(matches(part, subject) for part in node.parts)
    if isinstance(node, Any):
        return any(matches(part, subject) for part in node.parts)
    if isinstance(node, Not):
        return not matches(node.inner, subject)
    if isinstance(node, Missing):
        return not any(True for _ in subject.values(node.field))
    return any(holds(node, value) is not node.is_negated for value in subject.values(node.field))


def holds(node: Compare, value: Value) -> bool:
    """Check whether a comparison, without its negation, is true for one value."""
    if node.op is Op.IN:
        options = node.value if isinstance(node.value, tuple) else (node.value,)
        return any(holds(Compare(node.field, Op.EQUAL, one), value) for one in options)
    wanted = node.value
    if node.field.kind is Kind.CELL:
        cell = value if isinstance(value, tuple) else (None, None)
        if (
            node.field.namespace is Namespace.TAG
            and isinstance(wanted, str)
            and node.op in _ORDERED
        ):
            return _tag_holds(node.op, cell[1] or "", wanted)
        return _cell_holds(node.op, cell, wanted)
    if isinstance(value, tuple):  # a fact that is a version
        value = shown_text(value)
    if value is None:
        return is_nan(wanted) and node.op is Op.EQUAL
    return _plain_holds(node, value, wanted)


def _plain_holds(node: Compare, value: str | float, wanted: AnyValue) -> bool:
    if node.op not in _ORDERED:
        return _text_holds(node.op, str(value), str(wanted))
    if node.field.kind is Kind.VERSION:
        return compare_versions(node.op, str(value), str(wanted))
    return not is_nan(wanted) and _ORDERED[node.op](value, wanted)


def _cell_holds(op: Op, cell: Cell, wanted: AnyValue) -> bool:
    number, text = cell
    if wanted is None:
        return op is Op.EQUAL and cell == (None, None)
    if op not in _ORDERED:
        shown = shown_text(cell)
        return shown is not None and _text_holds(op, shown, str(wanted))
    if isinstance(wanted, bool):
        return op is Op.EQUAL and text == TRUTH[wanted] and number is not None
    if isinstance(wanted, str):
        return _cell_holds_text(op, cell, wanted)
    if is_nan(wanted):
        return op is Op.EQUAL and (number, text) == NAN
    return number is not None and text not in TRUTH and _number_holds(op, cell, wanted)


def _number_holds(op: Op, cell: Cell, wanted: float) -> bool:
    return _ORDERED[op](exact_value(cell) if is_exact(wanted) else cell[0], wanted)


def _tag_holds(op: Op, text: str, wanted: str) -> bool:
    """Compare a tag with a quoted text, character by character; truth values ignore case."""
    is_truth = op is Op.EQUAL and wanted.lower() in TRUTH and text == wanted.lower()
    return is_truth or _ORDERED[op](text, wanted)


def _cell_holds_text(op: Op, cell: Cell, wanted: str) -> bool:
    """Compare with a quoted text; numbers may be quoted, as in MLflow."""
    number, text = cell
    if number is None:
        if text is None:
            return op is Op.EQUAL and wanted == "None"
        return _ORDERED[op](text, wanted)
    if text in TRUTH:
        return op is Op.EQUAL and wanted.lower() == text
    if op is Op.EQUAL and text == wanted:
        return True
    as_number = number_in(wanted)
    return as_number is not None and _number_holds(op, cell, as_number)


def _text_holds(op: Op, text: str, wanted: str) -> bool:
    if op is Op.CONTAINS:
        return wanted in text
    if op is Op.MATCHES:
        return regex(wanted).is_found_in(text)
    return is_like(text, wanted, ignores_case=op is Op.ILIKE)


@lru_cache(maxsize=16)
def regex(pattern: str) -> Regex:
    """Return the compiled expression of a pattern, cached."""
    return Regex(pattern)


def is_nan(wanted: AnyValue) -> bool:
    """Check whether the compared value is NaN."""
    return isinstance(wanted, float) and math.isnan(wanted)


def number_in(text: str | None) -> float | None:
    """Parse a text as a number; None if it is not a number, or NaN."""
    if text is None or not text.isascii() or "_" in text:
        return None
    if text.strip().lstrip("+-").isdigit():
        return int(text) if len(text) <= _DIGITS_AT_MOST else None
    try:
        number = float(text)
    except ValueError:
        return None
    is_word = "inf" in text.lower()
    return None if math.isnan(number) or math.isinf(number) is not is_word else number


def tag_number(text: str) -> float | None:
    """Return the number of a tag's text, or None."""
    return float(TRUTH.index(text)) if text in TRUTH else written_number(text)


def number_text(number: float | None) -> str | None:
    """Return a number as text for patterns: `0.1`, `64`, `1e-05`."""
    if number is None:
        return None
    if number % 1 == 0 and abs(number) < _WHOLE_BELOW:  # an int has no is_integer before 3.12
        return str(int(number))
    return repr(float(number))


def value_text(value: str | float) -> str:
    """Return a value of a field as text, with all its digits: `true`, `0.1`, `64`."""
    if isinstance(value, bool):
        return TRUTH[value]
    return (number_text(value) or "") if isinstance(value, float) else str(value)


def shown_text(cell: Cell) -> str | None:
    """Return the text of a cell for patterns."""
    return cell[1] if cell[1] is not None else number_text(cell[0])


def exact_text(cell: Cell) -> str:
    """Return the text of a cell that no other cell has: `1`, `'1'`, `None`."""
    number, text = cell
    if number is None and text is not None:
        return repr(text)
    return shown_text(cell) or "None"


def compare_versions(op: Op, version: str, wanted: str) -> bool:
    """Compare two versions by PEP 440; other texts are compared for equality."""
    one, other = _version(version), _version(wanted)
    if one is None or other is None:
        return op is Op.EQUAL and version == wanted
    return _ORDERED[op](one, other)


def version_order(text: str) -> tuple[bool, AnyValue, str]:
    """Return the sort key of a version by PEP 440; other texts follow."""
    version = _version(text)
    return version is None, text if version is None else version, text


@lru_cache(maxsize=256)
def _version(text: str) -> AnyValue:
    """Parse a version, cached; return None if it is invalid."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text)
    except InvalidVersion:
        return None
