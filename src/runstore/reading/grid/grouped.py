"""Groups of the runs of a grid, by the values of some fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

from runstore.errors import UsageError
from runstore.model.query.parse import parse_fields
from runstore.model.query.spelling import spelled
from runstore.model.query.tree import Field, Namespace
from runstore.reading.groups import checked_field
from runstore.storage.query.grouping import Grouping
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

FIELDS_AT_MOST = 5
GROUPS_AT_MOST = 10_000

Value = Union[str, float, bool, None]


class GridGroup(NamedTuple):
    """Runs with the same values; several values of a run are one text."""

    values: tuple[Value, ...]
    ids: list[int]


def group_fields(names: str) -> tuple[Field, ...]:
    """Return the fields in a text, to group runs by: `params.lr, status`.

    Raises:
        FilterError: The text has no fields.
        UsageError: Runs cannot be grouped by one of the fields, or there are too many.
    """
    fields = tuple(checked_field(one, names) for one in parse_fields(names))
    if len(fields) > FIELDS_AT_MOST:
        raise UsageError(f"Runs are grouped by at most {FIELDS_AT_MOST} fields.")
    return fields


def grouped(backend: Backend, ids: Sequence[int], fields: Sequence[Field]) -> list[GridGroup]:
    """Return groups of runs, in the order of the first run of each group.

    Raises:
        UsageError: There are too many groups to show.
    """
    values = [Grouping(backend.database, field).values() for field in fields]
    found: dict[tuple[Value, ...], GridGroup] = {}
    for row_id in ids:
        key = tuple(_joined(of_runs.get(row_id, [])) for of_runs in values)
        # In Python, true equals 1.
        kinds = tuple(isinstance(one, bool) for one in key)
        found.setdefault(key + kinds, GridGroup(key, [])).ids.append(row_id)
        if len(found) > GROUPS_AT_MOST:
            raise UsageError(
                f"There would be more than {GROUPS_AT_MOST:,} groups.",
                hint="Group by a field with fewer values.",
            )
    return list(found.values())


def _joined(values: Sequence[Value]) -> Value:
    if len(values) < 2:  # noqa: PLR2004 - several
        return values[0] if values else None
    return ", ".join(sorted({str(one) for one in values}))


def field_name(field: Field) -> str:
    """Return the name of a field in the filter language."""
    if field.namespace in {Namespace.PARAM, Namespace.TAG, Namespace.FACT, Namespace.PACKAGE}:
        return spelled(field.namespace, field.key)
    return field.key
