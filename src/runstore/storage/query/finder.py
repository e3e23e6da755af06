"""Search for runs by a query."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runstore.model.query.normalize import pushed_down
from runstore.model.query.tree import EVERYTHING, Query
from runstore.model.run import Run
from runstore.storage import statements as sql
from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.query.asking import asking
from runstore.storage.query.candidates import Candidates
from runstore.storage.query.in_trash import trashed_ids
from runstore.storage.query.newest import NewestRuns
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.sorted import Place, SortedRuns, place_of
from runstore.storage.query.vector import RunVector, newest_first
from runstore.storage.rows import as_int, as_text, run_from_row
from runstore.storage.stored_runs import BEYOND_NUMBERS
from runstore.value_classes import NamedTuple, replace

if TYPE_CHECKING:
    from runstore.storage.fulltext.conditions import TextConditions

# A cross join makes SQLite look up each run instead of scanning all of them.
UIDS = """
    SELECT r.id, r.uid FROM json_each(:ids) n CROSS JOIN runs r ON r.id = n.value ORDER BY n.key
"""
START_OF_RUN = "SELECT started_at FROM runs WHERE id = ?"
ALL = 2**62
# If the check of texts rejects many runs, the next batch is larger by this factor.
_GROWTH = 4


class Found(NamedTuple):
    """A matching run and its row id."""

    row_id: int
    run: Run


class FoundPage(NamedTuple):
    """A page of matching runs, and the place of the last one if more follow."""

    runs: list[Found]
    next: Place | None


class Finder:
    """Finds runs of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unfinished(self, hostname: str, boot: str, machine: str) -> list[Run]:
        """Return the unfinished runs of this machine, whose status may change.

        They lack parameters, tags and facts, which are irrelevant to that. The patterns are LIKE
        patterns for boot ids of the current boot and of this machine.
        """
        here = {"hostname": hostname, "boot": boot, "machine": machine}
        found = self._database.driver.fetch_all(sql.UNFINISHED_RUNS, here)
        rows = [sql.RunRow._make(row)._replace(facts=None, block=None) for row in found]
        return [run_from_row(row, (), {}) for row in rows]

    def find(
        self,
        query: Query,
        *,
        limit: int | None,
        after: Place | None = None,
        texts: TextConditions | None = None,
    ) -> FoundPage:
        """Return the next runs of a query, after an earlier page; see `page_ids`."""
        ids, end = self.page_ids(query, limit=limit, after=after, texts=texts)
        runs = self._database.runs_by_id(ids)
        return FoundPage([Found(*one) for one in runs.items()], end)

    def page_ids(
        self,
        query: Query,
        *,
        limit: int | None,
        after: Place | None = None,
        texts: TextConditions | None = None,
    ) -> tuple[list[int], Place | None]:
        """Return the row ids of a page, and the place of the last one if more follow.

        The page begins after the `next` of the page before.

        Raises:
            FilterError: A regular expression takes too long.
        """
        with asking(self._database.driver, query):
            wanted = replace(query, where=pushed_down(query.where))
            one_more = ALL if limit is None else limit + 1
            if texts is None:
                ids = self._ids(wanted, one_more, after)
            else:
                ids = self._ids_by_texts(wanted, one_more, after, texts)
            has_more = limit is not None and len(ids) > limit
            # The cursor keeps the present sort key of the last run, because it may change.
            end = self._place(wanted, ids[limit - 1]) if has_more and limit else None
        return ids[:limit], end

    def newest_first(self) -> list[int]:
        """Return the row ids of all kept runs, newest first."""
        with self._database.driver.read() as connection:
            return newest_first(connection)

    def ids(
        self, query: Query, newest: Sequence[int], *, texts: TextConditions | None = None
    ) -> list[int]:
        """Return the row ids of all runs of a query, in its order.

        `newest` is the result of `newest_first`, if no run has changed since.

        Raises:
            FilterError: A regular expression takes too long.
        """
        with asking(self._database.driver, query):
            wanted = replace(query, where=pushed_down(query.where))
            if texts is not None:
                return self._ids_by_texts(wanted, ALL, None, texts)
            with self._database.driver.read() as connection:
                packages = PackageLists(connection)
                found = self._vector(connection, packages, wanted, newest)
            return self._ids(wanted, ALL, None) if found is None else found

    @staticmethod
    def _vector(
        connection: Connection, packages: PackageLists, query: Query, newest: Sequence[int]
    ) -> list[int] | None:
        """Return the row ids of all matches; None if few match, or the order is not supported."""
        is_all = query.where == EVERYTHING
        if is_all and not query.order:
            return list(newest)
        if not is_all and Candidates(connection, packages).of(query.where) is not None:
            return None
        vector = RunVector(connection, packages, newest)
        if query.order and not vector.sorts(query.order):
            return None
        found = list(newest) if is_all else vector.ids(query.where)
        return vector.sorted_ids(found, query.order) if query.order else found

    def trashed(self, query: Query, *, texts: TextConditions | None = None) -> list[int]:
        """Return the row ids of all runs in the trash that match a query, as `ids` does."""
        driver = self._database.driver
        with asking(driver, query), driver.read() as connection:
            wanted = replace(query, where=pushed_down(query.where))
            found = trashed_ids(connection, PackageLists(connection, texts), wanted)
            checks = () if texts is None else texts.left_to_look_at(wanted.where)
            return [run_id for run_id in found if all(check(run_id) for check in checks)]

    def _ids(
        self,
        query: Query,
        limit: int,
        after: Place | None,
        texts: TextConditions | None = None,
    ) -> list[int]:
        with self._database.driver.read() as connection:
            packages = PackageLists(connection, texts)
            if not query.order:
                newest = NewestRuns(connection, packages, query.where)
                return newest.ids(limit, None if after is None else (after[0], after[1]))
            search = SortedRuns(
                connection, packages, query.where, query.order, limit=limit, after=after
            )
            return search.ids()

    def _ids_by_texts(
        self, query: Query, limit: int, after: Place | None, texts: TextConditions
    ) -> list[int]:
        """Return the row ids of runs that also pass the checks of their texts.

        These checks take the longest, so that runs are checked one by one until there are enough.
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
            after = self._place(query, ids[-1])
            some *= _GROWTH

    def _place(self, query: Query, run_id: int) -> Place:
        """Return the sort key of a run, followed by its row id."""
        with self._database.driver.read() as connection:
            if query.order:
                return place_of(connection, query.order, run_id)
            row = connection.execute(START_OF_RUN, (run_id,)).fetchone()
        return (0 if row is None else as_int(row[0], BEYOND_NUMBERS), run_id)

    def uids(self, ids: Sequence[int]) -> dict[int, str]:
        """Return the uids of rows, in their order, without missing rows."""
        found = self._database.driver.fetch_all(UIDS, {"ids": json.dumps(list(ids))})
        return {as_int(row_id): as_text(uid) for row_id, uid in found}
