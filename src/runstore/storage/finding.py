"""Finding runs by a query: the newest ones first by themselves, then all the others at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from runstore.errors import FilterError, StoreError
from runstore.model.query import Compare, Missing, Op, Order, Query
from runstore.model.query_match import holds, regex
from runstore.model.run import Run
from runstore.storage import statements as sql
from runstore.storage.database import BEYOND_NEWEST, Database
from runstore.storage.drivers import Connection
from runstore.storage.filters import Condition, sort_values
from runstore.storage.rows import to_micros

# So many of the newest runs are looked at one by one; where few of them match, sets are quicker.
WINDOW = 1_000

PACKAGES_DOCUMENTS = """
    SELECT d.hash, d.body FROM documents d
    WHERE d.hash IN (SELECT l.hash FROM run_documents l WHERE l.name = 'packages')
"""
IN_WINDOW = """
    SELECT r.started_at, r.id FROM (
        SELECT * FROM runs r WHERE {kept} AND (r.started_at, r.id) < (?, ?)
        ORDER BY r.started_at DESC, r.id DESC LIMIT ?
    ) r WHERE {where} ORDER BY r.started_at DESC, r.id DESC LIMIT ?
"""
END_OF_WINDOW = """
    SELECT r.started_at, r.id FROM runs r WHERE {kept} AND (r.started_at, r.id) < (?, ?)
    ORDER BY r.started_at DESC, r.id DESC LIMIT 1 OFFSET ?
"""
BEYOND_WINDOW = """
    SELECT r.started_at, r.id FROM runs r
    WHERE {kept} AND (r.started_at, r.id) < (?, ?) AND {where}
    ORDER BY r.started_at DESC, r.id DESC LIMIT ?
"""
SORTED = """
    SELECT q.id FROM (SELECT r.id AS id, {keys} FROM runs r WHERE {kept} AND {where}) q
    WHERE {after} ORDER BY {order}, q.id DESC LIMIT ?
"""
SORT_KEYS_OF_RUN = "SELECT {keys} FROM runs r WHERE r.id = ?"


LAST_VALUES = """
    SELECT r.uid, s.name, k.key, v.last
    FROM runs r CROSS JOIN metric_summaries v ON v.run_id = r.id
    JOIN metric_keys k ON k.id = v.key_id
    LEFT JOIN run_params s ON s.run_id = v.run_id AND s.set_index = v.set_index
    WHERE r.uid IN ({uids}) ORDER BY v.run_id, v.set_index, v.key_id
"""
_AT_ONCE = 500


class Found(NamedTuple):
    """A run that was found, and the cursor to what follows it."""

    cursor: tuple[int, int]
    run: Run


class Finder:
    """Finds runs of one store.

    Args:
        database: The open database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def unfinished(self) -> list[Run]:
        """Return the runs that have no end yet, whose status may have to be settled."""
        return self._database.select_runs(sql.UNFINISHED_RUNS, {})

    def find(
        self, query: Query, *, limit: int, after: tuple[int, int] | None = None
    ) -> list[Found]:
        """Return the first runs of a query, behind those of an earlier page.

        Args:
            query: What is wanted.
            limit: Runs at most.
            after: The cursor of the run before.

        Raises:
            FilterError: A regular expression takes too long.
        """
        regex.cache_clear()  # each query has its own time for expressions
        try:
            with self._database.driver.read() as connection:
                work = _Work(connection, query, limit, after)
                ids = work.sorted_ids() if query.order else work.newest_ids()
        except StoreError:
            _raise_slow_expression(query)
            raise
        runs = self._database.runs_by_id(ids)
        keys = ((0, run_id) for run_id in runs) if query.order else map(_newest_key, runs.items())
        return [Found(key, run) for key, run in zip(keys, runs.values(), strict=True)]

    def last_values(self, uids: Sequence[str]) -> dict[str, dict[tuple[str | None, str], float]]:
        """Return the last value of every metric of runs; see `Store.last_values`."""
        found: dict[str, dict[tuple[str | None, str], float]] = {}
        with self._database.driver.read() as connection:
            for begin in range(0, len(uids), _AT_ONCE):
                some = uids[begin : begin + _AT_ONCE]
                text = LAST_VALUES.format(uids=", ".join("?" * len(some)))
                for uid, name, key, last in connection.execute(text, some).fetchall():
                    values = found.setdefault(uid, {})
                    values[name, key] = math.nan if last is None else last
        return found


class _Work:
    """One search."""

    def __init__(
        self, connection: Connection, query: Query, limit: int, after: tuple[int, int] | None
    ) -> None:
        self._connection = connection
        self._query = query
        self._limit = limit
        self._after = after

    def newest_ids(self) -> list[int]:
        """Return the row ids of what matches, the newest first."""
        begin = self._after or BEYOND_NEWEST
        found = self._rows(IN_WINDOW, (*begin, WINDOW), from_sets=False, limit=self._limit)
        if len(found) < self._limit:
            end = self._connection.execute(
                END_OF_WINDOW.format(kept=sql.KEPT), (*begin, WINDOW - 1)
            ).fetchone()
            if end is not None:
                left = self._limit - len(found)
                found += self._rows(BEYOND_WINDOW, tuple(end), from_sets=True, limit=left)
        return [row[1] for row in found]

    def _rows(
        self, statement: str, place: Sequence[Any], *, from_sets: bool, limit: int
    ) -> list[Any]:
        condition, where = self._condition(from_sets=from_sets)
        text = statement.format(kept=sql.KEPT, where=where)
        parameters = [*place, *condition.parameters, limit]
        return list(self._connection.execute(text, parameters).fetchall())

    def _condition(self, *, from_sets: bool) -> tuple[Condition, str]:
        condition = Condition(self._versions, from_sets=from_sets)
        return condition, condition.of(self._query.where)

    def sorted_ids(self) -> list[int]:
        """Return the row ids of what matches in the order of the query."""
        keys = Condition(self._versions, from_sets=False)
        columns = [one for order in self._query.order for one in _columns(keys, order)]
        listed = ", ".join(f"{text} AS k{n}" for n, (text, _) in enumerate(columns))
        condition, where = self._condition(from_sets=True)
        after, behind = self._behind(listed, keys, [is_down for _, is_down in columns])
        order = ", ".join(
            f"q.k{n} IS NULL, q.k{n} {'DESC' if is_down else 'ASC'}"
            for n, (_, is_down) in enumerate(columns)
        )
        text = SORTED.format(keys=listed, kept=sql.KEPT, where=where, after=after, order=order)
        parameters = [*keys.parameters, *condition.parameters, *behind, self._limit]
        return [row[0] for row in self._connection.execute(text, parameters).fetchall()]

    def _behind(
        self, listed: str, keys: Condition, directions: Sequence[bool]
    ) -> tuple[str, list[Any]]:
        """Return the condition that a run stands behind the one of the cursor."""
        if self._after is None:
            return "(1 = 1)", []
        text = SORT_KEYS_OF_RUN.format(keys=listed)
        last_id = self._after[1]
        row = self._connection.execute(text, [*keys.parameters, last_id]).fetchone()
        if row is None:
            return "(1 = 1)", []
        ways: list[str] = []
        parameters: list[Any] = []
        same, same_values = "", list[Any]()
        for n, (value, is_down) in enumerate(zip(row, directions, strict=True)):
            if value is not None:
                sign = "<" if is_down else ">"
                ways.append(f"({same}(q.k{n} {sign} ? OR q.k{n} IS NULL))")
                parameters += [*same_values, value]
            same += f"q.k{n} IS ? AND "
            same_values.append(value)
        ways.append(f"({same}q.id < ?)")
        return f"({' OR '.join(ways)})", [*parameters, *same_values, last_id]

    def _versions(self, node: Compare | Missing) -> list[str]:
        """Return the packages documents in which a package has an accepted version."""
        found = self._connection.execute(PACKAGES_DOCUMENTS).fetchall()
        return [digest for digest, body in found if _is_accepted(node, body)]


def package_version(body: str, name: str) -> str | None:
    """Return the version of a package in a captured list; None without it."""
    wanted = _plain(name)
    for line in body.splitlines():
        package, _, version = line.partition("==")
        if _plain(package) == wanted:
            return version.partition(" @ ")[0]
    return None


def _plain(name: str) -> str:
    # Source: PEP 503, normalized names.
    return name.lower().replace("_", "-").replace(".", "-")


def _is_accepted(node: Compare | Missing, body: str) -> bool:
    version = package_version(body, node.field.key)
    if version is None:
        return False
    return isinstance(node, Missing) or holds(node, version) is not node.is_negated


def _columns(keys: Condition, order: Order) -> Iterator[tuple[str, bool]]:
    for text in sort_values(keys, order):
        yield text, order.is_descending


def _newest_key(found: tuple[int, Run]) -> tuple[int, int]:
    return to_micros(found[1].started_at), found[0]


def _raise_slow_expression(query: Query) -> None:
    """Tell the reason where it was an expression that took too long."""
    nodes: list[Any] = [query.where]
    while nodes:
        node = nodes.pop()
        nodes.extend(getattr(node, "parts", ()))
        nodes.extend([node.inner] if hasattr(node, "inner") else [])
        if isinstance(node, Compare) and node.op is Op.MATCHES:
            error: FilterError | None = regex(str(node.value)).refusal
            if error is not None:
                raise error
