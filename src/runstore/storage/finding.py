"""Finding runs by a query."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from runstore.model.query import Query
from runstore.model.query_forms import pushed_down
from runstore.model.run import Run
from runstore.storage import statements as sql
from runstore.storage.asking import asking
from runstore.storage.database import Database
from runstore.storage.newest import NewestRuns
from runstore.storage.packages import PackageLists
from runstore.storage.rows import run_from_row, to_micros
from runstore.storage.sorting import SortedRuns

if TYPE_CHECKING:
    from runstore.storage.text_conditions import TextConditions

LAST_VALUES = """
    SELECT r.uid, s.name, k.key, v.last
    FROM runs r CROSS JOIN metric_summaries v ON v.run_id = r.id
    JOIN metric_keys k ON k.id = v.key_id
    LEFT JOIN run_params s ON s.run_id = v.run_id AND s.set_index = v.set_index
    WHERE r.uid IN ({uids}) ORDER BY v.run_id, v.set_index, v.key_id
"""
START_OF_RUN = "SELECT started_at FROM runs WHERE id = ?"
_AT_ONCE = 500
# Where looks at texts refuse many runs, ever more of them are asked for at once.
_GROWTH = 4
_FACTS = 24  # the place of facts in `statements.RUN_COLUMNS`; behind it block and deletion


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
        """Return the runs that have no end yet, whose status may have to be settled.

        They come without what tells nothing of that: parameters, tags and facts.
        """
        with self._database.driver.read() as connection:
            found = connection.execute(sql.UNFINISHED_RUNS).fetchall()
        return [run_from_row((*row[:_FACTS], None, None, None), (), {}) for row in found]

    def find(
        self,
        query: Query,
        *,
        limit: int,
        after: tuple[int, int] | None = None,
        texts: TextConditions | None = None,
    ) -> list[Found]:
        """Return the first runs of a query, behind those of an earlier page.

        Args:
            query: What is wanted.
            limit: Runs at most.
            after: The cursor of the run before.
            texts: The conditions on texts, for a query that has some.

        Raises:
            FilterError: A regular expression takes too long.
        """
        with asking(self._database.driver, query):
            wanted = replace(query, where=pushed_down(query.where))
            if texts is None:
                ids = self._ids(wanted, limit, after)
            else:
                ids = self._ids_by_texts(wanted, limit, after, texts)
        runs = self._database.runs_by_id(ids)
        keys = ((0, run_id) for run_id in runs) if query.order else map(_newest_key, runs.items())
        return [Found(key, run) for key, run in zip(keys, runs.values(), strict=True)]

    def _ids(
        self,
        query: Query,
        limit: int,
        after: tuple[int, int] | None,
        texts: TextConditions | None = None,
    ) -> list[int]:
        with self._database.driver.read() as connection:
            packages = PackageLists(connection, texts)
            if not query.order:
                return NewestRuns(connection, packages, query.where).ids(limit, after)
            before = None if after is None else after[1]
            search = SortedRuns(
                connection, packages, query.where, query.order, limit=limit, after=before
            )
            return search.ids()

    def _ids_by_texts(
        self, query: Query, limit: int, after: tuple[int, int] | None, texts: TextConditions
    ) -> list[int]:
        """Return the row ids of runs whose texts fulfil what only a look at them can tell.

        Nothing takes as long, so it is looked at one run after the other, until there are enough.
        """
        checks = texts.left_to_look_at(query.where)
        found: list[int] = []
        some = limit
        while True:
            ids = self._ids(query, some, after, texts)
            for run_id in ids:
                if all(check(run_id) for check in checks):
                    found.append(run_id)
                    if len(found) == limit:
                        return found
            if len(ids) < some:
                return found
            after = self._place(ids[-1])
            some *= _GROWTH

    def _place(self, run_id: int) -> tuple[int, int]:
        """Return the cursor of a run."""
        with self._database.driver.read() as connection:
            row = connection.execute(START_OF_RUN, (run_id,)).fetchone()
        return (0 if row is None else row[0], run_id)

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


def _newest_key(found: tuple[int, Run]) -> tuple[int, int]:
    return to_micros(found[1].started_at), found[0]
