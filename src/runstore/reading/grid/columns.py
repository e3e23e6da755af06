"""The columns of a grid: parsing their names, listing them, and finding those that differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runstore.errors import FilterError
from runstore.model.query.fields import OUTPUT, RUN_FIELDS
from runstore.model.query.parse import parse_fields
from runstore.model.query.spelling import spelled
from runstore.model.query.tree import Field, Namespace
from runstore.storage.grid.values import KeyValues
from runstore.storage.query.names import StoredNames
from runstore.value_classes import NamedTuple

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
    """A requested column.

    Attributes:
        field: The field.
        step: For a metric, the step of the value; None for a value of its summary.
    """

    field: Field
    step: int | None = None


class KnownColumn(NamedTuple):
    """A column that a grid may have.

    Attributes:
        name: Its name in the filter language.
        kind: `field`, `param`, `metric`, `tag` or `fact`.
        runs: The number of runs that have it; `None` if all have it.
        is_at_least: Whether there may be more runs, which were not counted.
    """

    name: str
    kind: str
    runs: int | None
    is_at_least: bool = False


def columns_of(backend: Backend, names: str) -> list[GridColumn]:
    """Return the columns in a text, in the syntax of `order by`: `params.lr, metrics.a.min`.

    Raises:
        FilterError: The text has no columns.
    """
    if not names.strip():
        return []
    fields = parse_fields(names)
    if any(one.namespace is Namespace.OUTPUT for one in fields):
        raise FilterError("The output of a run cannot be a column.", hint="Remove `output`.")
    known = StoredNames(backend.database.driver)
    return [_column(known, one) for one in fields]


def _column(known: StoredNames, field: Field) -> GridColumn:
    found = _AT_STEP.fullmatch(field.key) if field.namespace is Namespace.METRIC else None
    if found is None or known.has(field):
        return GridColumn(field)
    key, step = found.groups()
    return GridColumn(
        Field(field.namespace, key, field.kind, field.part, field.set_name), int(step)
    )


def known_columns(
    backend: Backend, *, search: str = "", offset: int = 0, limit: int = 100
) -> tuple[int, list[KnownColumn]]:
    """Return the number of columns that match a search, and some of them.

    The order and the case of the words of a search are ignored.
    """
    words = search.casefold().split()
    found = [one for one in _every(backend) if all(word in one[2].casefold() for word in words)]
    counts = KeyValues(backend.database)
    return len(found), [
        KnownColumn(name, _KINDS[namespace], *counts.runs_with(namespace, key))
        for namespace, key, name in found[offset : offset + limit]
    ]


def _every(backend: Backend) -> Iterator[tuple[Namespace, str, str]]:
    """Yield namespace, key and spelling of each name, the most wanted first."""
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
    """Return the columns in which runs differ, the most informative first.

    If there are many runs, a sample is read.
    """
    from runstore.reading.grid.differing import ranked

    return [spelled(namespace, key) for namespace, key in ranked(backend, ids)[:limit]]
