"""Search for runs in a given order.

The index of the first key yields some hundred candidates, which are checked for all keys and
conditions. If the conditions reject almost all of them, the next candidates are those that sets
from the indexes accept. If many runs share a value of a key, the next key decides.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from runstore.model.query.tree import EVERYTHING, Node, Order
from runstore.storage import statements as sql
from runstore.storage.driver import Connection
from runstore.storage.query.candidates import Candidates
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.sort_keys import SortKey, sort_keys, until_newest
from runstore.storage.query.where import EVERY_NAMESPACE, Condition
from runstore.value_classes import NamedTuple

# Number of first runs by one key that are checked, then multiplied at most twice.
FIRST = 250
GROWTH = 8
ROUNDS = 3
# Maximum number of runs with the same value that are sorted by their next keys at once.
EQUAL_AT_MOST = 2_000

# The first runs by one key alone, matching or not; a run with several values may occur twice.
BY_ONE_KEY = f"""
    SELECT {{id}}, {{value}} FROM {{rows}} AND {{value}} IS NOT NULL {{after}}
    ORDER BY {{value}} {{direction}} LIMIT ? {sql.IN_ORDER}
"""
# The same without runs that do not match.
BY_ONE_KEY_AMONG = f"""
    SELECT q.id, q.value FROM (
        SELECT {{id}} AS id, {{value}} AS value FROM {{rows}} AND {{value}} IS NOT NULL {{after}}
            AND {{id}} IN (SELECT r.id FROM {sql.SCANNED_RUNS} WHERE {sql.KEPT} AND {{where}})
        {sql.ALL_FIRST}
    ) q ORDER BY q.value {{direction}} LIMIT ?
"""
WITH_VALUE = "SELECT {id} AS id FROM {rows} AND {value} = ? LIMIT ?"
_SOME = "(SELECT DISTINCT j.value AS id FROM json_each(?) j) c CROSS JOIN runs r ON r.id = c.id"
SORTED = """
    SELECT q.id FROM (SELECT r.id AS id, {keys} FROM {runs} WHERE {kept} AND {where}) q
    WHERE {behind} ORDER BY {order} LIMIT ?
"""
KEYS_OF_RUN = "SELECT {keys} FROM runs r WHERE r.id = ?"


# The sort keys of a run, and its row id.
Place = tuple[Any, ...]


def place_of(connection: Connection, order: Sequence[Order], row_id: int) -> Place:
    """Return the place of a run in an order: its values of all keys, and its row id."""
    condition = PackageLists(connection).condition()
    keys = sort_keys(until_newest(order), condition)
    text = KEYS_OF_RUN.format(keys=_listed(keys, condition))
    row = connection.execute(text, [*condition.parameters, row_id]).fetchone()
    return (*(row or [None] * len(keys)), row_id)


def _listed(keys: Sequence[SortKey], condition: Condition) -> str:
    return ", ".join(f"{key.of_run(condition)} AS k{n}" for n, key in enumerate(keys))


class SortedRuns:
    """A search for runs in a given order, after the place of another one.

    The condition has `not` only at its leaves.
    """

    def __init__(
        self,
        connection: Connection,
        packages: PackageLists,
        where: Node,
        order: Sequence[Order],
        *,
        limit: int,
        after: Place | None,
    ) -> None:
        self._connection = connection
        self._packages = packages
        self._where = where
        self._limit = limit
        self._keys = sort_keys(until_newest(order), packages.condition())
        self._after = after

    def ids(self) -> list[int]:
        """Return the row ids of matches, in order."""
        if self._where != EVERYTHING:
            few = Candidates(self._connection, self._packages).of(self._where)
            if few is not None:
                return self._exact(few.ids, (), self._limit)
        found = None if self._limit > EQUAL_AT_MOST else self._first((), self._limit)
        return self._exact(None, (), self._limit) if found is None else found

    def _first(self, fixed: tuple[Any, ...], limit: int) -> list[int] | None:
        """Return the first runs whose first keys have these values; None if that is slow."""
        if len(fixed) == len(self._keys):  # so many started in the same microsecond
            return None
        start = self._start(fixed)
        if start is not None and start[0] is None:
            return self._first((*fixed, None), limit)
        found: list[int] = []
        size, is_narrowed = FIRST, False
        for _ in range(ROUNDS):
            block = self._block(fixed, start, size, is_narrowed=is_narrowed)
            found += self._of(block.ids, fixed, found, limit)
            if not found and not is_narrowed and self._are_rare(block, fixed):
                is_narrowed = True
                continue
            if len(found) < limit:
                more = self._with_last(block, fixed, found, limit - len(found))
                if more is None:
                    return None
                found += more
            if len(found) >= limit or block.is_last:
                return found
            start = (block.last, False)
            # Checking more runs is faster than sets if about half of those needed would match.
            if not is_narrowed and len(found) * GROWTH * 2 < limit:
                size, is_narrowed = FIRST, True
            else:
                size *= GROWTH
        return None

    def _are_rare(self, block: _Block, fixed: tuple[Any, ...]) -> bool:
        """Check whether few runs have both the last value of a block and the fixed values."""
        has_value = any(value is not None for value in fixed)
        return has_value and bool(block.equal) and not self._of(block.equal, fixed, (), 1)

    def _with_last(
        self, block: _Block, fixed: tuple[Any, ...], found: Sequence[int], limit: int
    ) -> list[int] | None:
        """Return the runs with the last value of a block; None if that is slow."""
        if block.is_last and self._keys[len(fixed)].is_start:
            return []
        if block.last is not None:
            equal = self._with_value(len(fixed), block.last)
            if equal is not None:
                return self._of(equal, fixed, found, len(found) + limit)
        return self._first((*fixed, block.last), limit)

    def _of(
        self, ids: Sequence[int], fixed: tuple[Any, ...], found: Sequence[int], limit: int
    ) -> list[int]:
        """Return the matches among some runs, without those found already."""
        new = sorted(set(ids).difference(found))
        return self._exact(json.dumps(new), fixed, limit - len(found)) if new else []

    def _among(self, fixed: tuple[Any, ...]) -> tuple[str, list[Any]]:
        """Return the condition that a run matches and has these values among its first keys.

        Runs without a value are only looked for if no key has one: they are too many.
        """
        condition = self._packages.condition(EVERY_NAMESPACE)
        parts = [condition.of(self._where)]
        has_value = any(value is not None for value in fixed)
        for key, value in zip(self._keys, fixed):  # noqa: B905 - the remaining keys are free
            if value is not None or not has_value:
                parts.append(key.may_have(value, condition))
        return " AND ".join(parts), condition.parameters

    def _start(self, fixed: tuple[Any, ...]) -> tuple[Any, bool] | None:
        """Return the value to begin at, and whether to include it."""
        if self._after is None or self._after[: len(fixed)] != fixed:
            return None
        return self._after[len(fixed)], True

    def _block(
        self,
        fixed: tuple[Any, ...],
        start: tuple[Any, bool] | None,
        size: int,
        *,
        is_narrowed: bool,
    ) -> _Block:
        """Return the next runs by the key after the fixed ones, up to the last value read.

        Narrowed, it omits runs in the trash, and runs that do not match or lack the fixed values.
        """
        key = self._keys[len(fixed)]
        condition = self._packages.condition(EVERY_NAMESPACE)
        rows = key.rows(condition)
        after, values = "", []
        if start is not None:
            sign = {"ASC": ">", "DESC": "<"}[key.direction]
            after = f"AND {rows['value']} {sign}{'=' if start[1] else ''} ?"
            values = [start[0]]
        statement, where = BY_ONE_KEY, ""
        if is_narrowed:
            statement = BY_ONE_KEY_AMONG
            where, of_where = self._among(fixed)
            values += of_where
        text = statement.format(**rows, after=after, where=where, direction=key.direction)
        parameters = [*condition.parameters, *values, size]
        found = self._connection.execute(text, parameters).fetchall()
        if len(found) < size:
            return _Block([row[0] for row in found], [], None, is_last=True)
        last = found[-1][1]
        before = [row[0] for row in found if row[1] != last]
        equal = [row[0] for row in found if row[1] == last]
        return _Block(before, equal, last, is_last=False)

    def _with_value(self, place: int, value: Any) -> list[int] | None:
        """Return the runs with a value of a key; None if there are many."""
        condition = self._packages.condition(EVERY_NAMESPACE)
        text = WITH_VALUE.format(**self._keys[place].rows(condition))
        parameters = [*condition.parameters, value, EQUAL_AT_MOST + 1]
        found = self._connection.execute(text, parameters).fetchall()
        return [row[0] for row in found] if len(found) <= EQUAL_AT_MOST else None

    def _exact(self, ids: str | None, fixed: tuple[Any, ...], limit: int) -> list[int]:
        """Return the first matches of some runs, or all, sorted by the remaining keys."""
        keys = self._packages.condition()
        listed = _listed(self._keys, keys)
        namespaces = EVERY_NAMESPACE if ids is None else ()
        condition = self._packages.condition(namespaces)
        where = condition.of(self._where)
        behind, values = self._behind(fixed)
        free = range(len(fixed), len(self._keys))
        order = [f"q.k{n} {self._keys[n].direction} NULLS LAST" for n in free]
        text = SORTED.format(
            keys=listed,
            runs=sql.SCANNED_RUNS if ids is None else _SOME,
            kept=sql.KEPT,
            where=where,
            behind=behind,
            order=", ".join([*order, "q.id DESC"]),
        )
        some = [] if ids is None else [ids]
        parameters = [*keys.parameters, *some, *condition.parameters, *values, limit]
        return [row[0] for row in self._connection.execute(text, parameters).fetchall()]

    def _behind(self, fixed: tuple[Any, ...]) -> tuple[str, list[Any]]:
        """Return the condition that a run has these keys and sorts after the previous page."""
        same = [f"q.k{n} IS ?" for n in range(len(fixed))]
        if self._after is None:
            return " AND ".join(same) or "(1 = 1)", list(fixed)
        ways: list[str] = []
        values: list[Any] = list(fixed)
        *keys, row_id = self._after
        for n, value in enumerate(keys):
            before = "".join(f"q.k{m} IS ? AND " for m in range(n))
            if value is not None:
                sign = "<" if self._keys[n].order.is_descending else ">"
                ways.append(f"({before}(q.k{n} {sign} ? OR q.k{n} IS NULL))")
                values += [*keys[:n], value]
        ways.append("(" + "".join(f"q.k{m} IS ? AND " for m in range(len(keys))) + "q.id < ?)")
        values += [*keys, row_id]
        return " AND ".join([*same, f"({' OR '.join(ways)})"]), values


class _Block(NamedTuple):
    """The next runs by one key: those before the last value, which further runs may share.

    `equal` are the first of these.
    """

    ids: list[int]
    equal: list[int]
    last: Any
    is_last: bool
