"""Search for the newest runs that match a condition.

First the newest runs of all are checked one by one: if many match, the page is soon full. If few
match, a small superset of the matches is fetched from the indexes and checked run by run. If there
is none, whole sets are combined.
"""
# ruff: noqa: S608 - nothing but constants of storage is put into a text

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstore.model.query.normalize import is_of_run, parts_of
from runstore.model.query.tree import All, Namespace, Node
from runstore.storage import statements as sql
from runstore.storage.driver import Connection
from runstore.storage.query.candidates import Candidates
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.where import EVERY_NAMESPACE, Condition
from runstore.storage.stored_runs import BEYOND_NEWEST

# Number of newest runs that are checked first.
WINDOW = 500
# If the page should be full after this many more runs, continuing one by one is faster than asking
# an index, and up to the second number faster than combining whole sets.
NEAR = 4_000
FAR = 20_000
# If this fraction or less passes the conditions on the run itself, only those runs are checked for
# the rest.
_FEW_PASS = 5

Key = tuple[int, int]

END_OF_WINDOW = f"""
    SELECT r.started_at, r.id FROM runs r WHERE {sql.KEPT} AND (r.started_at, r.id) < (?, ?)
    ORDER BY r.started_at DESC, r.id DESC LIMIT 1 OFFSET ? {sql.IN_ORDER}
"""
IN_WINDOW = f"""
    SELECT r.started_at, r.id FROM {{runs}}
    WHERE {{kept}} AND (r.started_at, r.id) < (?, ?) AND (r.started_at, r.id) >= (?, ?)
        AND {{where}}
    ORDER BY r.started_at DESC, r.id DESC LIMIT ? {sql.IN_ORDER}
"""
PASSING = """
    SELECT coalesce(sum(CASE WHEN {where} THEN 1 ELSE 0 END), 0), count(*) FROM {runs}
    WHERE {kept} AND (r.started_at, r.id) < (?, ?) AND (r.started_at, r.id) >= (?, ?)
"""
BEHIND = """
    SELECT r.started_at, r.id FROM {runs}
    WHERE {kept} AND (r.started_at, r.id) < (?, ?) AND {where}
    ORDER BY r.started_at DESC, r.id DESC LIMIT ?
"""
BEHIND_IN_ORDER = BEHIND.rstrip() + f" {sql.IN_ORDER}"
AMONG_FEW = """
    SELECT r.started_at, r.id
    FROM (SELECT DISTINCT j.value AS id FROM json_each(?) j) c CROSS JOIN runs r ON r.id = c.id
    WHERE {kept} AND (r.started_at, r.id) < (?, ?) AND {where}
    ORDER BY r.started_at DESC, r.id DESC LIMIT ?
"""


class NewestRuns:
    """A search for the newest runs of a condition with `not` only at its leaves."""

    def __init__(self, connection: Connection, packages: PackageLists, where: Node) -> None:
        self._connection = connection
        self._packages = packages
        self._where = where
        self._candidates = Candidates(connection, packages)

    def ids(self, limit: int, after: Key | None) -> list[int]:
        """Return the row ids of matches, newest first, after a start and row id."""
        found: list[Key] = []
        begin, seen, size, asked = after or BEYOND_NEWEST, 0, WINDOW, False
        while True:
            left = limit - len(found)
            end = self._end(begin, size)
            if end is None:
                found += self._rows(
                    BEHIND_IN_ORDER, begin, self._packages.condition(in_order=True), left
                )
                break
            found += self._rows(
                IN_WINDOW, (*begin, *end), self._packages.condition(in_order=True), left
            )
            seen += size
            left = limit - len(found)
            if left <= 0:
                break
            needed = _needed(len(found), seen, limit)
            if needed > NEAR and not asked:
                asked, few = True, self._few(end, left)
                if few is not None:
                    found += few
                    break
            if needed > FAR:
                found += self._from_sets(begin, end, left)
                break
            begin, size = end, needed
        return [row_id for _, row_id in found]

    def _few(self, end: Key, limit: int) -> list[Key] | None:
        """Return the matches after a window if an index finds them; otherwise None."""
        if is_of_run(self._where):
            return self._rows(BEHIND_IN_ORDER, end, self._packages.condition(), limit)
        few = self._candidates.of(self._where)
        if few is None:
            return None
        return self._rows(AMONG_FEW, (few.ids, *end), self._packages.condition(), limit)

    def _from_sets(self, begin: Key, end: Key, limit: int) -> list[Key]:
        """Return the matches after a window in which almost nothing matched."""
        few = self._candidates.in_common(self._where)
        if few is not None:
            return self._rows(AMONG_FEW, (few.ids, *end), self._packages.condition(), limit)
        namespaces = {Namespace.FACT} if self._few_pass(begin, end) else EVERY_NAMESPACE
        condition = self._packages.condition(namespaces, in_order=True)
        return self._rows(BEHIND, end, condition, limit)

    def _few_pass(self, begin: Key, end: Key) -> bool:
        """Check whether few runs of a window pass the conditions on the run itself."""
        of_run = All(tuple(part for part in parts_of(self._where) if is_of_run(part)))
        condition = self._packages.condition(in_order=True)
        where = condition.of(of_run)
        text = PASSING.format(runs=sql.SCANNED_RUNS, kept=sql.KEPT, where=where)
        place = [*condition.parameters, *begin, *end]
        passing, seen = self._connection.execute(text, place).fetchone()
        return bool(passing * _FEW_PASS <= seen)

    def _end(self, begin: Key, size: int) -> Key | None:
        """Return the key of the last of the next `size` runs; None if there are fewer."""
        row = self._connection.execute(END_OF_WINDOW, (*begin, size - 1)).fetchone()
        return None if row is None else (row[0], row[1])

    def _rows(
        self, statement: str, place: Sequence[Any], condition: Condition, limit: int
    ) -> list[Key]:
        where = condition.of(self._where)
        parameters = [*place, *condition.parameters, limit]
        text = statement.format(runs=sql.SCANNED_RUNS, kept=sql.KEPT, where=where)
        return [(row[0], row[1]) for row in self._connection.execute(text, parameters).fetchall()]


def _needed(found: int, seen: int, limit: int) -> int:
    """Estimate the number of runs still to be checked from the matches so far."""
    if found == 0:
        return FAR + 1
    return max(WINDOW, (limit - found) * seen * 3 // (found * 2))
