"""Comparisons of single values as SQL.

Every value from a user is passed as a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any as AnyValue

from runstore.model.query.evaluate import TRUTH, is_nan, number_in
from runstore.model.query.exact import is_exact
from runstore.model.query.patterns import like_parts
from runstore.model.query.tree import Compare, Kind, Namespace, Op
from runstore.model.values import nearest_double

FALSE = "(1 = 0)"
BOOLS = "('false', 'true')"
# Whether a parameter with a number is no truth value.
IS_NUMBER = f"(v.text IS NULL OR v.text NOT IN {BOOLS})"
_TEXTUAL = frozenset({Op.CONTAINS, Op.MATCHES, Op.LIKE, Op.ILIKE})
_DOWN = frozenset({Op.BELOW, Op.AT_MOST})
_SIGNS_OF_NUMBERS = frozenset("0123456789.+-einf")


class ComparisonBuilder:
    """Builds comparisons of single values, with parameters in the order of placeholders."""

    def __init__(self) -> None:
        self.parameters: list[AnyValue] = []

    def _mark(self, value: AnyValue) -> str:
        self.parameters.append(value)
        return "?"

    def _marks(self, values: Iterable[AnyValue]) -> str:
        return ", ".join([self._mark(value) for value in values]) or "NULL"

    def _checked(self, node: Compare, number: str, text: str) -> str:
        """Return a comparison of one value, negated if required."""
        options = node.value if isinstance(node.value, tuple) else (node.value,)
        op = Op.EQUAL if node.op is Op.IN else node.op
        compare = {Kind.CELL: self._cell, Kind.VERSION: self._version}.get(
            node.field.kind, self._plain
        )
        is_tag = node.field.namespace is Namespace.TAG
        ways = [
            self._tag(op, one, text)
            if is_tag and op not in _TEXTUAL and isinstance(one, str)
            else compare(op, one, number, text)
            for one in options
        ]
        held = joined("OR", ways)
        return f"(({held}) IS NOT TRUE)" if node.is_negated else f"({held})"

    def _plain(self, op: Op, wanted: AnyValue, column: str, _text: str) -> str:
        if op in _TEXTUAL:
            return self._text(op, str(wanted), column)
        if is_nan(wanted):
            return f"({column} IS NULL)" if op is Op.EQUAL else FALSE
        return f"{column} {op.value} {self._mark(wanted)}"

    def _version(self, op: Op, wanted: AnyValue, number: str, text: str) -> str:
        """Return a comparison of a fact; packages are compared in Python."""
        shown = f"coalesce({text}, number_text({number}))"
        if op in _TEXTUAL:
            return self._text(op, str(wanted), shown)
        return f"version_holds({self._mark(op.value)}, {shown}, {self._mark(wanted)})"

    def _cell(self, op: Op, wanted: AnyValue, number: str, text: str) -> str:
        if op in _TEXTUAL:
            may_be_number = set(_needed(op, str(wanted))) <= _SIGNS_OF_NUMBERS
            shown = f"coalesce({text}, number_text({number}))" if may_be_number else text
            return self._text(op, str(wanted), shown)
        if isinstance(wanted, str):
            return self._quoted(op, wanted, number, text)
        if wanted is None or isinstance(wanted, bool) or is_nan(wanted):
            return self._word(wanted, number, text) if op is Op.EQUAL else FALSE
        return self._number(op, wanted, number, text)

    def _word(self, wanted: float | None, number: str, text: str) -> str:
        """Return the condition that a value is None, a truth value, or NaN."""
        if wanted is None:
            return f"({number} IS NULL AND {text} IS NULL)"
        if isinstance(wanted, bool):
            return f"({text} = {self._mark(TRUTH[wanted])} AND {number} IS NOT NULL)"
        return f"({text} = 'nan' AND {number} IS NULL)"

    def _number(self, op: Op, wanted: float, number: str, text: str) -> str:
        is_number = f"({text} IS NULL OR {text} NOT IN {BOOLS})"
        if not is_exact(wanted):
            return f"({number} {op.value} {self._mark(wanted)} AND {is_number})"
        # The nearest double has an index.
        sign = "=" if op is Op.EQUAL else "<=" if op in _DOWN else ">="
        is_near = f"{number} {sign} {self._mark(nearest_double(wanted))}"
        is_whole = f"({text} IS NOT NULL AND {text} NOT GLOB '*[^0-9-]*' AND {text} GLOB '*[0-9]')"
        whole = self._whole(op, wanted, number, text)
        double = self._double(op, wanted, number)
        is_exact_one = f"CASE WHEN {is_whole} THEN {whole} ELSE {double} END"
        return f"({is_near} AND {is_number} AND {is_exact_one})"

    def _double(self, op: Op, wanted: float, number: str) -> str:
        """Return an exact comparison of a double with a number between two doubles."""
        near = nearest_double(wanted)
        if near == wanted:
            return f"{number} {op.value} {self._mark(near)}"
        if op is Op.EQUAL:
            return FALSE
        # A double is never equal: only the side of the nearest one matters.
        sign = (
            ("<=" if near < wanted else "<") if op in _DOWN else (">=" if near > wanted else ">")
        )
        return f"{number} {sign} {self._mark(near)}"

    def _whole(self, op: Op, wanted: float, number: str, text: str) -> str:
        """Return a comparison of an integer's digits, if its double is not precise enough."""
        if wanted in {math.inf, -math.inf}:  # no integer reaches it
            is_beyond = op is not Op.EQUAL and (op in _DOWN) is (wanted > 0)
            return f"{number} IS NOT NULL" if is_beyond else FALSE
        near, digits = nearest_double(wanted), str(wanted)
        if op is Op.EQUAL:
            return f"({text} = {self._mark(digits)} AND {number} IS NOT NULL)"
        sign, beyond = ("<", op is Op.AT_MOST) if op in _DOWN else (">", op is Op.AT_LEAST)
        # Among negative numbers, more digits mean less.
        by_digits = sign if wanted > 0 else {"<": ">", ">": "<"}[sign]
        by_double = f"{number} {sign} {self._mark(near)} OR {number} = {self._mark(near)}"
        size = len(digits)
        by_text = f"{text} {by_digits}{'=' if beyond else ''} {self._mark(digits)}"
        longer = f"length({text}) {by_digits} {size}"
        return f"({by_double} AND ({longer} OR (length({text}) = {size} AND {by_text})))"

    def _quoted(self, op: Op, wanted: str, number: str, text: str) -> str:
        """Return a comparison with a quoted text, which may be a number."""
        if op is Op.EQUAL:
            ways = [self._told(wanted, number, text)]
            if wanted == "None":
                ways.append(f"({number} IS NULL AND {text} IS NULL)")
        else:
            ways = [f"({number} IS NULL AND {text} {op.value} {self._mark(wanted)})"]
        as_number = number_in(wanted)
        if as_number is not None:
            ways.append(self._number(op, as_number, number, text))
        return f"({' OR '.join(ways)})"

    def _told(self, wanted: str, number: str, text: str) -> str:
        """Return the condition that a value equals a text; truth values ignore case."""
        told = wanted.lower()
        if told not in TRUTH or told == wanted:
            return f"{text} = {self._mark(wanted)}"
        return (
            f"(({number} IS NULL AND {text} = {self._mark(wanted)})"
            f" OR ({number} IS NOT NULL AND {text} = {self._mark(told)}))"
        )

    def _tag(self, op: Op, wanted: str, text: str) -> str:
        """Return a comparison of a tag with a quoted text, character by character."""
        if op is not Op.EQUAL:
            return f"{text} {op.value} {self._mark(wanted)}"
        told = dict.fromkeys((wanted, wanted.lower() if wanted.lower() in TRUTH else wanted))
        return f"{text} IN ({self._marks(told)})"

    def _text(self, op: Op, wanted: str, text: str) -> str:
        if op is Op.CONTAINS:
            return f"instr({text}, {self._mark(wanted)}) > 0"
        if op is Op.ILIKE:
            return f"{text} LIKE {self._mark(_escaped(wanted))} ESCAPE '\\'"
        if op is Op.LIKE:
            return f"{text} GLOB {self._mark(_globbed(wanted))}"
        needed = _needed_text(wanted)
        # Finding a word takes SQLite a tenth of the time of a regular expression.
        if needed and needed == wanted:
            return self._text(Op.CONTAINS, wanted, text)
        first = f"instr({text}, {self._mark(needed)}) > 0 AND " if needed else ""
        return f"({first}matches({self._mark(wanted)}, {text}))"


def joined(word: str, parts: Sequence[str]) -> str:
    """Join conditions as a balanced tree, because SQLite limits the depth of a chain."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({joined(word, parts[:middle])} {word} {joined(word, parts[middle:])})"


def _needed(op: Op, wanted: str) -> str:
    """Return characters that every text matching a pattern contains."""
    if op is Op.CONTAINS:
        return wanted
    if op is Op.MATCHES:
        return _needed_text(wanted)
    fixed = "".join(one for one, is_wild in like_parts(wanted) if not is_wild)
    return fixed.lower() if op is Op.ILIKE else fixed


def _needed_text(pattern: str) -> str:
    # Imported here because few filters have a pattern, and the import doubles the loading time.
    from runstore.model.text.required_literals import needed_text

    return needed_text(pattern)


def _globbed(pattern: str) -> str:
    """Return a `like` pattern as a GLOB pattern, which is case-sensitive."""
    signs = {("%", True): "*", ("_", True): "?"}
    return "".join(
        signs.get(part) or (f"[{part[0]}]" if part[0] in "*?[" else part[0])
        for part in like_parts(pattern)
    )


def _escaped(pattern: str) -> str:
    return "".join(
        one if is_wild or one not in "%_\\" else f"\\{one}" for one, is_wild in like_parts(pattern)
    )
