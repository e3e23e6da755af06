"""The runs of a grid in groups: those with the same values of some fields, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Union

from runstore.errors import UsageError
from runstore.model.query.parse import parse_fields
from runstore.model.query.spelling import spelled
from runstore.model.query.tree import Field, Namespace
from runstore.reading.groups import checked_field
from runstore.storage.query.grouping import Grouping

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

FIELDS_AT_MOST = 5
GROUPS_AT_MOST = 10_000

Value = Union[str, float, bool, None]


class GridGroup(NamedTuple):
    """Runs with the same values.

    Attributes:
        values: Of each field, in the order of the fields; several of one run as one text.
        ids: The rows of the runs, in their order.
    """

    values: tuple[Value, ...]
    ids: list[int]


def group_fields(names: str) -> tuple[Field, ...]:
    """Return the fields that a text names, to group runs by: `params.lr, status`.

    Raises:
        FilterError: The text names no fields.
        UsageError: Runs cannot be grouped by one of them, or they are too many.
    """
    fields = tuple(checked_field(one, names) for one in parse_fields(names))
    if len(fields) > FIELDS_AT_MOST:
        raise UsageError(f"Runs are grouped by at most {FIELDS_AT_MOST} fields.")
    return fields


def grouped(backend: Backend, ids: Sequence[int], fields: Sequence[Field]) -> list[GridGroup]:
    """Return runs in groups, in the order in which the first run of each group stands.

    Args:
        backend: The store.
        ids: The rows of the runs, in order.
        fields: What they are grouped by.

    Raises:
        UsageError: There are more groups than anybody looks at.
    """
    values = [Grouping(backend.database, field).values() for field in fields]
    found: dict[tuple[Value, ...], list[int]] = {}
    for row_id in ids:
        key = tuple(_joined(of_runs.get(row_id, [])) for of_runs in values)
        found.setdefault(key, []).append(row_id)
        if len(found) > GROUPS_AT_MOST:
            raise UsageError(
                f"There would be more than {GROUPS_AT_MOST:,} groups.",
                hint="GridGroup by something that more runs share.",
            )
    return [GridGroup(*one) for one in found.items()]


def _joined(values: Sequence[Value]) -> Value:
    if len(values) < 2:  # noqa: PLR2004 - several
        return values[0] if values else None
    return ", ".join(sorted({str(one) for one in values}))


def field_name(field: Field) -> str:
    """Return the name of a field, as the filter language has it."""
    if field.namespace in {Namespace.PARAM, Namespace.TAG, Namespace.FACT, Namespace.PACKAGE}:
        return spelled(field.namespace, field.key)
    return field.key
