"""Construction and validation of a query's tree from the parser's output."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any as AnyValue

from runstore.errors import FilterError, genuine
from runstore.model.display.formatting import cropped
from runstore.model.display.suggestions import listed, nearest
from runstore.model.query.fields import (
    MLFLOW_STATUSES,
    NAMESPACE_WORDS,
    TEXT_FACTS,
    UnknownFieldError,
    Word,
    field_of,
)
from runstore.model.query.grammar import Mistake, Token, Tree
from runstore.model.query.times import duration_s, moment
from runstore.model.query.tree import (
    All,
    Any,
    Compare,
    Field,
    Kind,
    Literal,
    Missing,
    Namespace,
    Node,
    Not,
    Op,
    Order,
)
from runstore.model.status import STATUS_WORDS, Status
from runstore.model.values import nearest_double
from runstore.value_classes import replace

DEPTH_LIMIT = 50
COMPARISONS_LIMIT = 200
OPTIONS_LIMIT = 1_000
_HINTED = 100  # characters of a name in a hint
_OPS = {"==": Op.EQUAL, "<>": Op.EQUAL, "!=": Op.EQUAL, "!~": Op.MATCHES}
_ORDERED = frozenset({Op.EQUAL, Op.BELOW, Op.AT_MOST, Op.ABOVE, Op.AT_LEAST})
_TEXTUAL = frozenset({Kind.TEXT, Kind.CELL, Kind.STATUS, Kind.VERSION})
_EXAMPLES = {
    Namespace.PARAM: "params.lr > 0.01",
    Namespace.METRIC: "metrics.loss.min < 0.5",
    Namespace.TAG: "tags.phase = pilot or tags.keep is not missing",
    Namespace.FACT: "facts.git.branch = main",
    Namespace.PACKAGE: "packages.torch >= 2.1",
}
_SECONDS_FROM = 1e8  # 1973; smaller numbers are not plausible times of a run
_DATES = r"\d{4}|\d{8}|(?:19|20)\d{12}"  # without dashes
_MILLISECONDS_FROM = 1e11  # seconds would be the year 5138


class Given:
    """A value, its position, and its spelling, which is used to compare with texts."""

    def __init__(
        self, value: Literal, at: int, *, is_bare: bool = False, spelling: str | None = None
    ) -> None:
        self.value = value
        self.at = at
        self.is_bare = is_bare
        self.spelling = str(value) if spelling is None else spelling

    @property
    def is_number(self) -> bool:
        """Whether it is a number without quotes."""
        return isinstance(self.value, (int, float)) and not isinstance(self.value, bool)


class Named:
    """A field with its spelling and position."""

    def __init__(self, field: Field, at: int, text: str) -> None:
        self.field = field
        self.at = at
        self.text = text


class Builder:
    """Converts the tree of a text to the tree of a query, from the leaves up.

    Methods are named after grammar rules, and receive the converted parts.

    Args:
        now: Reference for relative times; None for the present.
    """

    def __init__(self, now: datetime | None) -> None:
        self._now = now or datetime.now(timezone.utc)
        self._count = 0

    def built(self, part: AnyValue) -> AnyValue:
        """Convert a tree; tokens and omitted options stay as they are."""
        if not isinstance(part, Tree):
            return part
        return getattr(self, part.rule)(*map(self.built, part.parts))

    def start(self, condition: Node | None, *rest: AnyValue) -> tuple[Node | None, list[Order]]:
        """Return the condition and the order."""
        return condition, [one for one in rest if isinstance(one, Order)]

    def any(self, *parts: AnyValue) -> Node:
        """Return a node that matches if one of the parts does."""
        return _joined(Any, parts)

    def all(self, *parts: AnyValue) -> Node:
        """Return a node that matches if all parts do."""
        return _joined(All, parts)

    def negation(self, word: Token, inner: Node) -> Node:
        """Return a node that matches if the part does not."""
        return _not_too_deep(Not(inner), word.at)

    # Comparisons

    def compare(self, named: Named, sign: Token, given: Given) -> Node:
        """Return a comparison with an operator sign."""
        op = _OPS.get(sign.text) or Op(sign.text)
        return self._compared(
            named, op, given, is_negated=sign.text[0] == "!" or sign.text == "<>"
        )

    def compare_word(
        self, named: Named, negation: Token | None, word: Token, given: Given
    ) -> Node:
        """Return a comparison with an operator word."""
        op = Op(word.text.lower())
        return self._compared(named, op, given, is_negated=negation is not None)

    def among(self, named: Named, negation: Token | None, word: Token, *given: Given) -> Node:
        """Return a comparison with several values."""
        if len(given) > OPTIONS_LIMIT:
            raise Mistake(f"`in` accepts at most {OPTIONS_LIMIT:,} values.", word.at)
        self._counted(word.at)
        options: list[Literal] = []
        for one in given:
            bound = self._bound(named, Op.EQUAL, one)
            options.extend(bound if isinstance(bound, tuple) else (bound,))
            if one.is_number and _may_be_text(named.field):
                options.append(one.spelling)
        return Compare(named.field, Op.IN, tuple(options), negation is not None)

    def missing(self, named: Named, word: Token, negation: Token | None, nothing: Token) -> Node:
        """Return a check for a missing value; a parameter may also be None."""
        self._counted(word.at)
        field = named.field
        is_param = field.namespace is Namespace.PARAM
        if not is_param or nothing.text.lower() == "missing":
            inner = Missing(replace(field, part="parts") if is_param else field)
            return inner if negation is None else Not(inner)
        is_none = Compare(field, Op.EQUAL, None, is_negated=negation is not None)
        if negation is not None or nothing.text.lower() == "none":
            return is_none
        return Any((Missing(field), is_none))

    def _compared(self, named: Named, op: Op, given: Given, *, is_negated: bool) -> Node:
        self._counted(named.at)
        field = named.field
        if field.kind is Kind.MOMENT and op is Op.EQUAL:
            return self._within(field, given, is_negated=is_negated)
        if given.is_number and _may_be_text(field) and op is Op.EQUAL:
            # A fact may be a text that looks like a number: a branch named 20261126.
            return Compare(field, Op.IN, (given.value, given.spelling), is_negated)
        value = self._bound(named, op, given)
        return Compare(field, Op.IN if isinstance(value, tuple) else op, value, is_negated)

    def _counted(self, at: int) -> None:
        self._count += 1
        if self._count > COMPARISONS_LIMIT:
            raise Mistake(f"A filter has at most {COMPARISONS_LIMIT} comparisons.", at)

    def _bound(self, named: Named, op: Op, given: Given) -> Literal | tuple[Literal, ...]:
        """Convert a value to the kind of the field."""
        kind = named.field.kind
        if op not in _ORDERED:
            return _pattern(named, op, given)
        if named.field.namespace is Namespace.OUTPUT and op is not Op.EQUAL:
            raise Mistake(f"{named.text} has no order.", given.at, "Use contains, like, ~ or =.")
        if kind is Kind.MOMENT:
            return self._moment(op, given)
        return _OF_KIND[kind](named, op, given)

    def _moment(self, op: Op, given: Given) -> int:
        span = _span(given, self._now)
        # Later than a day means later than all of it.
        later = span.end if op is Op.AT_MOST else span.begin
        return _micros(later) - (1 if op is Op.AT_MOST else 0)

    def _within(self, field: Field, given: Given, *, is_negated: bool) -> Node:
        span = _span(given, self._now)
        inside = All(
            (
                Compare(field, Op.AT_LEAST, _micros(span.begin)),
                Compare(field, Op.BELOW, _micros(span.end)),
            )
        )
        return All((Not(Missing(field)), Not(inside))) if is_negated else inside

    # Names and values

    def key(self, named: Named, direction: Token | None) -> Order:
        """Return a key of the order."""
        has_order = (
            named.field.kind is not Kind.VERSION and named.field.namespace is not Namespace.OUTPUT
        )
        if not has_order or named.field.part == "path":
            raise Mistake(f"Runs cannot be sorted by {named.text}.", named.at)
        return Order(named.field, direction is not None and direction.kind == "DESC")

    def field(self, first: Token, *rest: Word) -> Named:
        """Return the field of a dotted name."""
        words = [Word(_unquoted(first), first.kind == "BACKTICKED"), *rest]
        text = ".".join(word.text for word in words)
        try:
            return Named(field_of(words), first.at, text)
        except UnknownFieldError as error:
            hint = f"Did you mean {error.near!r}?" if error.near else ""
            if text in NAMESPACE_WORDS:
                hint = f"Write for example: {_EXAMPLES[NAMESPACE_WORDS[text]]}"
            elif not rest and not hint:
                name = cropped(text, _HINTED)
                hint = f"A parameter is params.{name}, a metric metrics.{name}, a tag tags.{name}."
            raise Mistake(str(error), first.at, hint, error.near) from None

    def dotted(self, token: Token) -> Word:
        """Return a part of a name."""
        return Word(_unquoted(token), token.kind != "PART")

    def bracketed(self, token: Token) -> Word:
        """Return a part of a name in brackets."""
        return Word(_unquoted(token), token.kind != "PART", is_bracket=True)

    def string(self, token: Token) -> Given:
        """Return a quoted text."""
        return Given(_unquoted(token), token.at)

    def number(self, token: Token) -> Given:
        """Return a number."""
        try:
            value = _number_of(token.text)
        except ValueError:  # Python refuses thousands of digits
            raise Mistake("The number is too long.", token.at) from None
        return Given(value, token.at, spelling=token.text)

    def unquoted(self, token: Token) -> Given:
        """Return a date or a duration without quotes."""
        return Given(token.text, token.at)

    def bare(self, token: Token) -> Given:
        """Return a word without quotes."""
        word = token.text
        if word.lower() in {"true", "false"}:
            return Given(word.lower() == "true", token.at, spelling=word)
        if word.lower() in {"nan", "inf"}:
            return Given(float(word), token.at, spelling=word)
        if word.lower() in {"null", "none", "missing"}:
            hint = "Use: is missing, or is none for a parameter whose value is None."
            raise Mistake("A missing value cannot be compared.", token.at, hint)
        return Given(word, token.at, is_bare=True)


def _joined(kind: type[All | Any], parts: Sequence[AnyValue]) -> Node:
    nodes = tuple(part for part in parts if not isinstance(part, Token))
    at = next((part.at for part in parts if isinstance(part, Token)), 0)
    return nodes[0] if len(nodes) == 1 else _not_too_deep(kind(nodes), at)


def _not_too_deep(node: Node, at: int) -> Node:
    depth, level = 0, [node]
    while level:
        depth += 1
        level = [
            inner
            for one in level
            for inner in (
                one.parts
                if isinstance(one, (All, Any))
                else (one.inner,)
                if isinstance(one, Not)
                else ()
            )
        ]
    if depth > DEPTH_LIMIT:
        raise Mistake(f"A filter is nested at most {DEPTH_LIMIT} levels deep.", at)
    return node


def _unquoted(token: Token) -> str:
    text = token.text
    if text[:1] in {"'", '"'}:
        return text[1:-1].replace(text[0] * 2, text[0])
    return text[1:-1] if text[:1] == "`" else text


def _number_of(text: str) -> float | int:
    plain = text.replace("_", "")
    return int(plain) if plain.lstrip("+-").isdigit() else float(plain)


def _micros(at: datetime) -> int:
    from datetime import timedelta

    return (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


def _span(given: Given, now: datetime) -> AnyValue:
    value = given.value
    try:
        is_date = not given.is_number or re.fullmatch(_DATES, given.spelling)
        # A small number would be a time in the 1970s; parsed as a date, it is rejected.
        if is_date or not isinstance(value, (int, float)) or value < _SECONDS_FROM:
            return moment(given.spelling, now)
        seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
        return moment(datetime.fromtimestamp(seconds, timezone.utc).isoformat(), now)
    except genuine(ValueError, OverflowError, OSError):
        raise Mistake(
            f"Expected a time, got {value!r:.60}.",
            given.at,
            "Use '2026-11-01', '2026-11-01 10:30', '3 days ago', 'yesterday' or 'today'.",
        ) from None


def _duration(_named: Named, _op: Op, given: Given) -> float:
    value = given.value
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        return duration_s(str(value))
    except (ValueError, OverflowError):
        raise Mistake(
            f"Expected a duration, got {value!r:.60}.",
            given.at,
            "Use '90 s', '2 h' or '1 h 30 min'.",
        ) from None


def _number(named: Named, _op: Op, given: Given) -> float | int:
    value = given.value
    if isinstance(value, str) and not given.is_bare:
        with suppress(ValueError):
            value = _number_of(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _in_column(named.field, value)
    raise Mistake(f"Expected a number for {named.text}, got {value!r:.60}.", given.at)


def _in_column(field: Field, number: float) -> float:
    """Return a number with the precision of its column: a double for metrics, else 64 bits."""
    limit = 2**53 if field.namespace is Namespace.METRIC else 2**63
    return number if -limit <= number < limit else nearest_double(number)


def _text(_named: Named, _op: Op, given: Given) -> str:
    return given.spelling


def _cell(named: Named, op: Op, given: Given) -> Literal:
    if given.is_number and _has_leading_zeros(given.spelling):
        return given.spelling  # 007 is not meant as a number
    if given.is_number and op is not Op.EQUAL and named.field.key in TEXT_FACTS:
        raise Mistake(
            f"Expected text for {named.text}, got the number {given.spelling:.60}.",
            given.at,
            "Put the value in quotes to compare it as text.",
        )
    return given.value


def _may_be_text(field: Field) -> bool:
    """Check whether a number without quotes is also compared with texts of the same spelling."""
    return field.kind is Kind.CELL and field.namespace is Namespace.FACT


def _has_leading_zeros(spelling: str) -> bool:
    digits = spelling.lstrip("+-")
    return digits[:1] == "0" and digits[1:2].isdigit()


def _flag(named: Named, op: Op, given: Given) -> int:
    value = given.value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        value = value.lower() == "true"
    if op is Op.EQUAL and value in (0, 1, True, False):
        return int(value)
    raise Mistake(f"{named.text} is true or false.", given.at, f"Use: {named.text} = true")


def _status(named: Named, op: Op, given: Given) -> Literal | tuple[Literal, ...]:
    if op is not Op.EQUAL:
        raise Mistake(f"{named.text} has no order.", given.at, "Use =, != or in.")
    word = given.spelling
    if word in MLFLOW_STATUSES:
        return MLFLOW_STATUSES[word]
    known = [one.value for one in Status]
    if word.lower() in known:
        return word.lower()
    meant = STATUS_WORDS.get(word.lower())
    near = nearest(word.lower(), known) if meant is None else meant.value
    hint = f"Did you mean {near!r}?" if near else listed(known)
    raise Mistake(f"There is no status {word!r:.60}.", given.at, hint, near)


def _pattern(named: Named, op: Op, given: Given) -> str:
    kind = named.field.kind
    if kind not in _TEXTUAL:
        raise Mistake(
            f"{named.text} is {kind.value}, so {op.value} is not possible.",
            named.at,
            "Use = or !=." if kind is Kind.FLAG else "Use =, !=, <, <=, >, >= or in.",
        )
    text = _text(named, op, given)
    if op is Op.MATCHES:
        from runstore.model.query.evaluate import regex

        try:
            regex(text)
        except FilterError as error:
            raise Mistake(error.what, given.at) from None
    return text


_OF_KIND: dict[Kind, Callable[[Named, Op, Given], Literal | tuple[Literal, ...]]] = {
    Kind.CELL: _cell,
    Kind.DURATION: _duration,
    Kind.FLAG: _flag,
    Kind.NUMBER: _number,
    Kind.STATUS: _status,
    Kind.TEXT: _text,
    Kind.VERSION: _text,
}
