"""Query: which runs are wanted and in what order, as a typed tree.

`query_text.py` reads it from a text; `query_match.py` says in plain Python what it means, and
`storage/query/where.py` says the same in SQL.

A field may have several values in one run, such as a parameter of several sets. A comparison is
true when it is true of one of them; compared with nothing, it is false. `not` turns that around.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Union


class Namespace(str, Enum):
    """Where a field's values are kept."""

    RUN = "run"
    SET = "set"
    PARAM = "params"
    METRIC = "metrics"
    TAG = "tags"
    ARTIFACT = "artifacts"
    INPUT = "inputs"
    FACT = "facts"
    OUTPUT = "output"
    PACKAGE = "packages"


class Kind(str, Enum):
    """What a field's values are, and so what they may be compared with.

    A `CELL` is a number, a text, or a truth value: what a parameter, a fact or a tag may be.
    """

    TEXT = "a text"
    NUMBER = "a number"
    MOMENT = "a time"
    DURATION = "a duration"
    STATUS = "a status"
    FLAG = "true or false"
    CELL = "a value"
    VERSION = "a version"


class Op(str, Enum):
    """How a value is compared."""

    EQUAL = "="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="
    IN = "in"
    LIKE = "like"
    ILIKE = "ilike"
    CONTAINS = "contains"
    MATCHES = "~"


# None stands for a parameter whose value is None.
Literal = Union[str, float, int, bool, None]


@dataclass(frozen=True, slots=True)
class Field:
    """What is compared.

    Attributes:
        namespace: Where its values are.
        key: Its name there.
        kind: What its values are.
        part: Of a metric `last`, `first`, `min`, `max`, `mean` or `count`; of an artifact or an
            input `path`, `size`, `type` or `digest`.
        set_name: Only values of this parameter set; None for all.
    """

    namespace: Namespace
    key: str
    kind: Kind
    part: str = ""
    set_name: str | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison of a field with a value.

    Attributes:
        field: What is compared.
        op: How.
        value: With what; of several, `in` takes one.
        is_negated: Whether there has to be a value of which it is not true.
    """

    field: Field
    op: Op
    value: Literal | tuple[Literal, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether a run has no value of a field."""

    field: Field


@dataclass(frozen=True, slots=True)
class Not:
    """What the inner one refuses."""

    inner: Node


@dataclass(frozen=True, slots=True)
class All:
    """What every one of them accepts; with none, everything."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """What one of them accepts."""

    parts: tuple[Node, ...]


Node = Union[Compare, Missing, Not, All, Any]
EVERYTHING = All(())


@dataclass(frozen=True, slots=True)
class Order:
    """A key to sort by; of several values of one run, the one that comes first counts.

    Runs without a value come last, and the newest of equal ones first.
    """

    field: Field
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which runs are wanted, and in what order.

    Attributes:
        where: What they fulfil.
        order: Keys to sort by, the first one first; without any, the newest run first.
        text: What it was read from; empty for a query made otherwise.
    """

    where: Node = EVERYTHING
    order: tuple[Order, ...] = ()
    text: str = ""

    def fields(self) -> tuple[Field, ...]:
        """Return the fields it speaks of, each once."""
        found: dict[Field, None] = {}
        nodes: list[Node] = [self.where]
        while nodes:
            node = nodes.pop()
            if isinstance(node, (All, Any)):
                nodes.extend(reversed(node.parts))
            elif isinstance(node, Not):
                nodes.append(node.inner)
            else:
                found[node.field] = None
        return tuple({**found, **dict.fromkeys(key.field for key in self.order)})
