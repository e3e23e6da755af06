"""The columns of a grid: what their names mean, which there are, which tell runs apart."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from runstore.errors import FilterError
from runstore.model.query.fields import OUTPUT, RUN_FIELDS
from runstore.model.query.parse import parse_fields
from runstore.model.query.spelling import spelled
from runstore.model.query.tree import Field, Namespace
from runstore.storage.grid.values import KeyValues
from runstore.storage.query.names import StoredNames

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

# `metrics.loss@100` is the value at step 100, unless a metric is called `loss@100`.
_AT_STEP = re.compile(r"(.+)@(-?\d{1,18})")
_KINDS = {
    Namespace.RUN: "field",
    Namespace.PARAM: "param",
    Namespace.METRIC: "metric",
    Namespace.TAG: "tag",
    Namespace.FACT: "fact",
}


class GridColumn(NamedTuple):
    """A column that was asked for.

    Attributes:
        name: As it was asked for.
        field: What it shows.
        step: Of a metric, the step whose value it shows; None for a part of its summary.
    """

    name: str
    field: Field
    step: int | None = None


class KnownColumn(NamedTuple):
    """A column that a grid may have.

    Attributes:
        name: As the filter language spells it.
        kind: `field`, `param`, `metric`, `tag` or `fact`.
        runs: How many runs have it; `None` for one that all have.
        is_at_least: Whether there may be more, which were not counted.
    """

    name: str
    kind: str
    runs: int | None
    is_at_least: bool = False


def columns_of(backend: Backend, names: str) -> list[GridColumn]:
    """Return the columns that a text names, as `order by` takes keys: `params.lr, metrics.a.min`.

    Raises:
        FilterError: It names none.
    """
    if not names.strip():
        return []
    fields = parse_fields(names)
    if any(one.namespace is Namespace.OUTPUT for one in fields):
        raise FilterError("What a run printed is no column.", hint="Leave `output` out.")
    known = StoredNames(backend.database.driver)
    return [_column(known, one) for one in fields]


def _column(known: StoredNames, field: Field) -> GridColumn:
    found = _AT_STEP.fullmatch(field.key) if field.namespace is Namespace.METRIC else None
    if found is None or known.has(field):
        return GridColumn(field.key, field)
    key, step = found.groups()
    return GridColumn(
        field.key, Field(field.namespace, key, field.kind, field.part, field.set_name), int(step)
    )


def known_columns(
    backend: Backend, *, search: str = "", offset: int = 0, limit: int = 100
) -> tuple[int, list[KnownColumn]]:
    """Return how many columns there are whose name has a text, and some of them.

    Args:
        backend: The store.
        search: Words that the name has, in any order; case is ignored.
        offset: Columns to skip.
        limit: Columns to return.
    """
    words = search.casefold().split()
    found = [one for one in _every(backend) if all(word in one[2].casefold() for word in words)]
    counts = KeyValues(backend.database)
    return len(found), [
        KnownColumn(name, _KINDS[namespace], *counts.runs_with(namespace, key))
        for namespace, key, name in found[offset : offset + limit]
    ]


def _every(backend: Backend) -> Iterator[tuple[Namespace, str, str]]:
    """Yield namespace, key and spelling of each name, in the order people look for them."""
    names = StoredNames(backend.database.driver)
    for namespace in (
        Namespace.PARAM,
        Namespace.METRIC,
        Namespace.TAG,
        Namespace.RUN,
        Namespace.FACT,
    ):
        if namespace is Namespace.RUN:
            yield from ((namespace, key, key) for key in RUN_FIELDS if key != OUTPUT)
        else:
            yield from (
                (namespace, key, spelled(namespace, key)) for key in names.every(namespace)
            )


def differing_columns(backend: Backend, ids: Sequence[int], limit: int) -> list[str]:
    """Return the columns that tell runs apart, the most telling ones first.

    Of many runs, a sample is read.

    Args:
        backend: The store.
        ids: The rows of the runs, in order.
        limit: Columns at most.
    """
    from runstore.reading.grid.differing import ranked

    return [spelled(namespace, key) for namespace, key in ranked(backend, ids)[:limit]]
