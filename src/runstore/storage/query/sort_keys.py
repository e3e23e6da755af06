"""Sort keys as SQL: for one run, and for all runs at once."""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstore.model.query.tree import Field, Kind, Namespace, Order
from runstore.storage import statements as sql
from runstore.storage.query.where import INDEXED, Condition, column_of_run
from runstore.value_classes import NamedTuple

# Row ids differ between stores: among equal runs, the one that started last comes first.
_NEWEST = Order(Field(Namespace.RUN, "started_at", Kind.MOMENT), is_descending=True)
_NAME = "(SELECT x.name FROM experiments x WHERE x.id = r.experiment_id)"
_HAS_IT = "(r.id IN (SELECT {id} FROM {rows} AND {value} = ?))"
_HAS_NONE = "(NOT (r.id IN (SELECT {id} FROM {rows} AND {value} IS NOT NULL)))"


class SortKey(NamedTuple):
    """A column to sort runs by: values with numbers and texts have two."""

    order: Order
    place: int

    @property
    def direction(self) -> str:
        """The SQL keyword for its direction."""
        return "DESC" if self.order.is_descending else "ASC"

    @property
    def is_start(self) -> bool:
        """Whether it is the start of a run, which every run has."""
        return self.order.field == _NEWEST.field

    def of_run(self, condition: Condition) -> str:
        """Return the SQL of the run `r`'s value of this key."""
        field = self.order.field
        if field.namespace is Namespace.RUN:
            return _NAME if field.key == "experiment_name" else column_of_run(field)
        first = "max" if self.order.is_descending else "min"
        column = condition.cells(field)[self.place]
        return f"(SELECT {first}({column}) FROM {condition.values_of_run(field)})"

    def may_have(self, value: Any, condition: Condition) -> str:
        """Return the condition that one of the run `r`'s values is this one; None for no value."""
        field = self.order.field
        if field.namespace is Namespace.RUN and field.key != "experiment_name":
            condition.parameters.append(value)
            return f"({column_of_run(field)} IS ?)"
        rows = self.rows(condition)
        if value is None:
            return _HAS_NONE.format(**rows)
        condition.parameters.append(value)
        return _HAS_IT.format(**rows)

    def rows(self, condition: Condition) -> dict[str, str]:
        """Return the SQL of all values: their rows, the run's id, and the value."""
        field = self.order.field
        if field.namespace is not Namespace.RUN:
            tables, column = condition.values_of_all(field), condition.cells(field)[self.place]
            if field.namespace is Namespace.TAG and self.place == 0:
                # The limit makes SQLite compute each number once.
                tables = f"(SELECT v.run_id, {column} AS n FROM {tables} LIMIT -1) v WHERE (1 = 1)"
                column = "v.n"
            return {"rows": tables, "id": "v.run_id", "value": column}
        if field.key == "experiment_name":
            tables = "experiments x CROSS JOIN runs r ON r.experiment_id = x.id WHERE (1 = 1)"
            return {"rows": tables, "id": "r.id", "value": "x.name"}
        runs = "runs r" if field.key in INDEXED else sql.SCANNED_RUNS
        return {"rows": f"{runs} WHERE {sql.KEPT}", "id": "r.id", "value": column_of_run(field)}


def until_newest(order: Sequence[Order]) -> tuple[Order, ...]:
    """Return the keys of an order, ending with the start of a run; none if runs have no order."""
    has_start = any(one.field == _NEWEST.field for one in order)
    return tuple(order) if has_start or not order else (*order, _NEWEST)


def sort_keys(order: Sequence[Order], condition: Condition) -> list[SortKey]:
    """Return the columns of an order."""
    return [
        SortKey(one, place)
        for one in order
        for place in range(
            1 if one.field.namespace is Namespace.RUN else len({*condition.cells(one.field)})
        )
    ]
