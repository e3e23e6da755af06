"""Query: a filter and an order of runs, as a typed tree.

`parse.py` reads it from a text; `evaluate.py` evaluates it in plain Python, and
`storage/query/where.py` in SQL.

A field may have several values in one run, such as a parameter of several sets. A comparison is
true if it is true for one of them; if there are none, it is false. `not` reverses that.
"""

from __future__ import annotations

from enum import Enum
from typing import Union

from runstore.value_classes import dataclass


class Namespace(str, Enum):
    """The namespace of a field's values."""

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
    """The type of a field's values, and so of the values to compare with.

    A `CELL` is a number, a text, or a truth value: the possible values of parameters, facts and
    tags.
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
    """The operator of a comparison."""

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


# None means a parameter whose value is None.
Literal = Union[str, float, int, bool, None]


@dataclass(frozen=True, slots=True)
class Field:
    """The field of a comparison.

    Attributes:
        namespace: The namespace of its values.
        key: Its name there.
        kind: The type of its values.
        part: For a metric `last`, `first`, `min`, `max`, `mean` or `count`; for an artifact or an
            input `path`, `size`, `type` or `digest`; for a parameter `parts` if its parts count as
            its values, as in a list or an object.
        set_name: Restricts values to this parameter set; None for all.
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
        field: The field.
        op: The operator.
        value: The value; several for `in`.
        is_negated: Whether a value must exist for which the comparison is false.
    """

    field: Field
    op: Op
    value: Literal | tuple[Literal, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """Matches runs without a value of a field."""

    field: Field


@dataclass(frozen=True, slots=True)
class Not:
    """Matches if the inner node does not."""

    inner: Node


@dataclass(frozen=True, slots=True)
class All:
    """Matches if every part does; if there are none, always."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """Matches if one of the parts does."""

    parts: tuple[Node, ...]


Node = Union[Compare, Missing, Not, All, Any]
EVERYTHING = All(())


@dataclass(frozen=True, slots=True)
class Order:
    """A key to sort by; of several values of one run, the first in this order counts.

    Runs without a value come last, and the newest of equal ones first.
    """

    field: Field
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A filter and an order of runs.

    Attributes:
        where: The condition.
        order: Keys to sort by, the first one first; if empty, newest run first.
        text: The text it was parsed from, if any.
    """

    where: Node = EVERYTHING
    order: tuple[Order, ...] = ()
    text: str = ""

    def fields(self) -> tuple[Field, ...]:
        """Return the fields it uses, each once."""
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
