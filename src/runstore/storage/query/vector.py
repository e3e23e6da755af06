"""All runs of a query at once, as row ids, if neither small sets nor pages help.

Each comparison of values is one set from an index; combining sets is faster than checking each
run.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import gt

from runstore.model.query.normalize import is_of_run, parts_of
from runstore.model.query.tree import All, Any, Missing, Namespace, Node, Not, Order
from runstore.storage import statements as sql
from runstore.storage.driver import Connection
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.sort_keys import SortKey, sort_keys
from runstore.storage.query.where import EVERY_NAMESPACE, Condition

# One JSON text is read faster than as many rows.
TOGETHER = "WITH n(id) AS ({}) SELECT json_group_array(n.id) FROM n"
NEWEST_FIRST = f"""
    SELECT r.id FROM runs r WHERE {sql.KEPT} ORDER BY r.started_at DESC, r.id DESC LIMIT -1
"""
OF_RUN = f"SELECT r.id FROM {sql.SCANNED_RUNS} WHERE {sql.KEPT} AND {{where}}"
BY_KEYS = """
    SELECT {id} FROM {rows} AND {value} IS NOT NULL ORDER BY {order}, {ties} {id} DESC LIMIT -1
"""
NEWEST = "(SELECT r.started_at FROM runs r WHERE r.id = {id}) DESC,"


def newest_first(connection: Connection) -> list[int]:
    """Return the row ids of all kept runs, newest first."""
    return _ids(connection, NEWEST_FIRST, ())


class RunVector:
    """A search for all runs of a query, among all kept runs, newest first."""

    def __init__(
        self, connection: Connection, packages: PackageLists, newest: Sequence[int]
    ) -> None:
        self._connection = connection
        self._packages = packages
        self._newest = newest

    def ids(self, where: Node) -> list[int]:
        """Return the matches of a condition with `not` only at its leaves, newest first."""
        found = self._set(where)
        return [row_id for row_id in self._newest if row_id in found]

    @staticmethod
    def sorts(order: Sequence[Order]) -> bool:
        """Check whether `sorted_ids` supports an order: a single key with an index of values."""
        return len(order) == 1 and order[0].field.namespace in {Namespace.PARAM, Namespace.METRIC}

    def sorted_ids(self, ids: Sequence[int], order: Sequence[Order]) -> list[int] | None:
        """Sort runs, given newest first, in a supported order; None if a run has several cells."""
        condition = self._packages.condition(EVERY_NAMESPACE)
        keys = sort_keys(order, condition)
        rows = keys[0].rows(condition)
        by = ", ".join(_sorting(key, condition) for key in keys)
        # Usually runs have row ids in the order of their starts, which takes a third of the time.
        is_by_id = all(map(gt, self._newest, self._newest[1:]))
        text = BY_KEYS.format(
            id=rows["id"],
            rows=rows["rows"],
            value=_any_of(keys, condition),
            order=by,
            ties="" if is_by_id else NEWEST.format(id=rows["id"]),
        )
        wanted = set(ids)
        found = [
            one for one in _ids(self._connection, text, condition.parameters) if one in wanted
        ]
        unique = dict.fromkeys(found)  # of several values, the first one counts
        if len(keys) > 1 and len(unique) < len(found):
            return None  # of several cells, the first number and the first text count
        return [*unique, *(one for one in ids if one not in unique)]

    # Sets

    def _set(self, node: Node) -> set[int]:
        if is_of_run(node) or _is_text(node):
            # By the one index that covers all fields: others lead to the table.
            condition = self._packages.condition(EVERY_NAMESPACE, in_order=True)
            text = OF_RUN.format(where=condition.of(node))
            return set(_ids(self._connection, text, condition.parameters))
        if isinstance(node, All):
            return self._common(node)
        if isinstance(node, Any):
            return set().union(*(self._set(part) for part in _grouped(node, Any)))
        if isinstance(node, Not):
            return set(self._newest) - self._set(node.inner)
        condition = self._packages.condition(EVERY_NAMESPACE)
        text = condition.runs_with(node)
        found = set(_ids(self._connection, text, condition.parameters))
        return set(self._newest) - found if isinstance(node, Missing) else found

    def _common(self, node: All) -> set[int]:
        found: set[int] | None = None
        for part in _grouped(node, All):
            one = self._set(part)
            found = one if found is None else found & one
        return set(self._newest) if found is None else found


def _grouped(node: All | Any, kind: type[All | Any]) -> list[Node]:
    """Return the parts of a tree, with all conditions on the run itself as one part."""
    of_run = [part for part in parts_of(node, kind) if is_of_run(part)]
    others = [part for part in parts_of(node, kind) if not is_of_run(part)]
    return [*([kind(tuple(of_run))] if of_run else []), *others]


def _is_text(node: Node) -> bool:
    inner = node.inner if isinstance(node, Not) else node
    return not isinstance(inner, (All, Any, Not)) and inner.field.namespace is Namespace.OUTPUT


def _ids(connection: Connection, statement: str, parameters: Sequence[object]) -> list[int]:
    row = connection.execute(TOGETHER.format(statement), parameters).fetchone()
    ids: list[int] = json.loads(row[0])
    return ids


def _any_of(keys: Sequence[SortKey], condition: Condition) -> str:
    columns = [condition.cells(key.order.field)[key.place] for key in keys]
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


def _sorting(key: SortKey, condition: Condition) -> str:
    column = condition.cells(key.order.field)[key.place]
    return f"{column} {key.direction} NULLS LAST"
