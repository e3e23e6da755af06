"""Reading of runs: by name, in pages, and what is counted or listed of them."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from sys import getsizeof

from runstore.model.params.parameter_set import ParameterSet
from runstore.storage import rows
from runstore.storage import statements as sql
from runstore.storage.driver import Connection, Driver, Highest
from runstore.storage.rows import (
    TOO_LONG,
    as_int,
    as_optional_text,
    as_optional_time,
    as_text,
    is_text,
    pairs_of_texts,
)
from runstore.storage.sqlite.connection import LONGEST_READ, values_up_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from runstore.model.results.experiments import Experiment
    from runstore.model.run import Run

    T = TypeVar("T")

_MANY = 20  # matches of a prefix that are listed; more are only counted
AFTER_ANY_TEXT = "\U0010ffff"
AFTER_TILDE = "\x7f"
# Columns of a run that may be long, and the length that each may have in any case.
_LONG_COLUMNS, _SHORT = 8, 4096
# The first key of a newest-first page: later than any run, even one whose time is a text.
BEYOND_NEWEST: tuple[Any, int] = (Highest(b"\xff" * 64), 2**62)
BEYOND_NUMBERS = 2**62
_HASHES_OF_RUNS = """
    SELECT r.uid, d.name, d.hash FROM runs r JOIN run_documents d ON d.run_id = r.id
    WHERE r.uid IN ({ids})
"""


class Lookups:
    """Lookup of runs by name.

    Attributes:
        among: SQL condition of the runs to search: kept, trashed or purged.
    """

    among = sql.KEPT

    def select_runs(self, statement: str, parameters: Mapping[str, Any]) -> list[Run]:
        """Return the runs of a statement that selects `RUN_COLUMNS`."""
        raise NotImplementedError

    def experiment_names(self) -> list[str]:
        """Return the name of every experiment, in alphabetical order."""
        raise NotImplementedError

    def _found(self, statement: str, parameters: Mapping[str, Any]) -> list[Run]:
        if self.among is not sql.KEPT:
            statement = statement.replace(sql.KEPT, self.among)
        return self.select_runs(statement, parameters)

    def run_by_uid(self, uid: str) -> Run | None:
        """Return the run, or None."""
        found = self._found(sql.RUN_BY_UID, {"uid": uid})
        return found[0] if found else None

    def runs_by_reference(self, reference: str) -> list[Run]:
        """Return runs with this current or former reference; 21 at most."""
        parameters = {"reference": reference}
        # Runs that share a reference, each with the last digits of its uid.
        shared = {"begin": f"{reference}~", "end": f"{reference}{AFTER_TILDE}"}
        return (
            self._found(sql.RUNS_BY_REFERENCE, parameters)
            or self._found(sql.RUNS_BY_REFERENCE_PREFIX, shared)
            or self._found(sql.RUNS_BY_ALIAS, parameters)
        )

    def runs_by_number_and_ending(
        self, experiment_name: str, number: int, ending: str
    ) -> list[Run]:
        """Return runs with this number, now or formerly, whose uid ends with these digits."""
        named = {"experiment": experiment_name, "number": number, "ending": f"%{ending}"}
        return self._found(sql.RUNS_BY_NUMBER_AND_ENDING, named) or [
            run for run in self._moved(experiment_name, number) if run.uid.endswith(ending)
        ]

    def runs_by_number(self, experiment_name: str, number: int) -> list[Run]:
        """Return runs with this number; negative numbers count from the newest, -1.

        If the experiment has no such run, return a run that had the number before it was moved.
        """
        if number < 0:
            parameters = {"experiment": experiment_name, "back": -number - 1}
            return self._found(sql.RUN_FROM_END, parameters)
        named = {"experiment": experiment_name, "number": number}
        return self._found(sql.RUNS_BY_NUMBER, named) or self._moved(experiment_name, number)

    def _moved(self, experiment_name: str, number: int) -> list[Run]:
        """Return runs that had this number before they were moved."""
        begin = f"{experiment_name}_{number}_"
        bounds = {"begin": begin, "end": begin + AFTER_ANY_TEXT}
        found = self._found(sql.RUNS_BY_ALIAS_PREFIX, bounds)
        return list({run.uid: run for run in found}.values())  # a run may have had several names

    def run_beside(self, run: Run, *, is_before: bool) -> Run | None:
        """Return the run with the next lower or higher number in the same experiment."""
        named = {"experiment": run.experiment_name, "number": run.run_number}
        found = self._found(sql.RUN_BEFORE_NUMBER if is_before else sql.RUN_AFTER_NUMBER, named)
        return found[0] if found else None

    def runs_by_prefix(self, prefix: str) -> list[Run]:
        """Return runs by a prefix of reference or uid; the newest if there are many."""
        bounds = {"begin": prefix, "end": prefix + AFTER_ANY_TEXT}
        found = self._found(sql.RUNS_BY_REFERENCE_PREFIX, bounds)
        if len(found) > _MANY:
            recent = self._found(sql.RECENT_RUNS_BY_PREFIX, bounds)
            found = recent if len(recent) > 1 else found
        return found or self._found(sql.RUNS_BY_UID_PREFIX, bounds)

    def latest_run(self) -> Run | None:
        """Return the newest run, or None."""
        found = self._found(sql.LATEST_RUN, {})
        return found[0] if found else None


class StoredRuns(Lookups):
    """The runs of a database, for reading."""

    driver: Driver

    def select_runs(self, statement: str, parameters: Mapping[str, Any]) -> list[Run]:
        """Return the runs of a statement that selects `RUN_COLUMNS`."""
        return [run for _, run in self.select_runs_with_id(statement, parameters)]

    def select_runs_with_id(
        self, statement: str, parameters: Mapping[str, Any]
    ) -> list[tuple[int, Run]]:
        """Return runs with their row ids, for paging."""
        with self.driver.read() as connection:
            try:
                found = _within_memory(connection.execute(statement, parameters))
                return self._built(connection, found)
            except (sqlite3.DataError, MemoryError):  # a value is too long
                # Indexes hold texts as well.
                of_ids = statement.replace(sql.RUN_COLUMNS, "r.id").replace(
                    "FROM runs r", "FROM runs r NOT INDEXED"
                )
                ids = [row[0] for row in connection.execute(of_ids, parameters).fetchall()]
                return self._by_cells(connection, ids)

    def _by_cells(self, connection: Connection, run_ids: Sequence[int]) -> list[tuple[int, Run]]:
        """Return runs, without cells that are too long for memory."""
        share = LONGEST_READ // (_LONG_COLUMNS * max(1, len(run_ids)))
        with values_up_to(connection, max(_SHORT, share)):
            return [self._one_by_cells(connection, run_id) for run_id in run_ids]

    def _one_by_cells(self, connection: Connection, run_id: int) -> tuple[int, Run]:
        row = []
        for name in sql.RUN_COLUMNS.split(", "):
            statement = sql.cell_of_run(name)
            row.append(_unless_too_long(connection, statement, run_id, [[TOO_LONG]])[0][0])
        sets, tags = (
            _unless_too_long(connection, statement.format(ids=":id"), run_id, None)
            for statement in (sql.SETS_OF_RUNS, sql.TAGS_OF_RUNS)
        )
        damaged = [name for name, found in (("parameters", sets), ("tags", tags)) if found is None]
        made = tuple(rows.set_from_row(one) for one in sets or ())
        labels = pairs_of_texts([one[1:] for one in tags or ()])
        return run_id, rows.run_from_row(row, made, labels, damaged)

    def runs_by_id(self, row_ids: Sequence[int], *, among: str = sql.KEPT) -> dict[int, Run]:
        """Return runs by row id, in the given order, without missing ones.

        `among` is the SQL condition of the runs to include.
        """
        statement = sql.RUNS_BY_ID.replace(sql.KEPT, among)
        with self.driver.read() as connection:
            try:
                found = _within_memory(for_each(connection, statement, row_ids))
                runs = dict(self._built(connection, found))
            except sqlite3.DataError:  # a value is too long
                there = connection.execute(sql.ids_among(among), (_json(row_ids),))
                runs = dict(self._by_cells(connection, [row[0] for row in there.fetchall()]))
        return {run_id: runs[run_id] for run_id in row_ids if run_id in runs}

    def _built(self, connection: Connection, found: Sequence[Any]) -> list[tuple[int, Run]]:
        ids = [row[0] for row in found]
        damaged: dict[int, list[str]] = {}
        sets = self.sets_of(connection, ids, damaged)
        tags = self._tags_of(connection, ids, damaged)
        return [
            (
                row[0],
                rows.run_from_row(
                    row,
                    tuple(sets.get(row[0], ())),
                    tags.get(row[0], {}),
                    damaged.get(row[0], ()),
                ),
            )
            for row in found
        ]

    def sets_of(
        self, connection: Connection, run_ids: Sequence[int], damaged: dict[int, list[str]]
    ) -> dict[int, list[ParameterSet]]:
        """Return the parameter sets of runs by row id, and note those that are damaged."""
        sets: dict[int, list[ParameterSet]] = {}
        for row in for_each(connection, sql.SETS_OF_RUNS, run_ids):
            made = rows.set_from_row(row)
            sets.setdefault(row[0], []).append(made)
            if not rows.is_sound_set(row, made):
                damaged.setdefault(row[0], []).append(f"parameters {made.name}")
        return sets

    def _tags_of(
        self, connection: Connection, run_ids: Sequence[int], damaged: dict[int, list[str]]
    ) -> dict[int, dict[str, str]]:
        tags: dict[int, dict[str, str]] = {}
        for run_id, key, value in for_each(connection, sql.TAGS_OF_RUNS, run_ids):
            if not (is_text(key) and is_text(value)):
                damaged.setdefault(run_id, []).append("tags")
            tags.setdefault(run_id, {})[as_text(key)] = as_text(value)
        return tags

    def texts_of(self, run_id: int) -> tuple[str | None, str | None, str | None]:
        """Return notes, error and traceback of a run; None for a text that is too long."""
        with self.driver.read() as connection:
            cells = [
                _unless_too_long(connection, sql.cell_of_run(name), run_id, [])
                for name in ("r.notes", "r.error", "r.traceback")
            ]
        notes, error, traceback = (as_optional_text(one[0][0]) if one else None for one in cells)
        return notes, error, traceback

    def newest_runs(
        self, experiment_name: str | None, *, limit: int, before: tuple[int, int]
    ) -> list[tuple[tuple[int, int], Run]]:
        """Return runs below a key, highest first, each with its own key.

        The key is (start in microseconds, row id) for all runs, and (run number, row id) for the
        runs of one experiment.
        """
        page = {"first": before[0], "id": before[1], "limit": limit}
        if experiment_name is None:
            found = self.select_runs_with_id(sql.NEWEST_RUNS, page)
            return [((_start_of(run), row_id), run) for row_id, run in found]
        of_one = {**page, "experiment": experiment_name}
        found = self.select_runs_with_id(sql.NEWEST_RUNS_OF_EXPERIMENT, of_one)
        return [((_number_of(run), row_id), run) for row_id, run in found]

    def count_runs(self, experiment_name: str | None, most: int) -> int:
        """Return the number of runs, of one experiment if given; at most `most`."""
        statement = sql.COUNT_RUNS if experiment_name is None else sql.COUNT_RUNS_OF_EXPERIMENT
        row = self.driver.fetch_one(statement, {"experiment": experiment_name, "most": most})
        return rows.as_int(row[0])

    def children(self, uid: str) -> list[Run]:
        """Return the runs started inside this one, oldest first."""
        return self.select_runs(sql.CHILDREN, {"uid": uid})

    def experiments(self) -> list[Experiment]:
        """Return every experiment, most recent first."""
        from runstore.model.results.experiments import Experiment

        found = self.driver.fetch_all(sql.EXPERIMENTS)
        return [
            Experiment(
                name=as_text(name),
                last_run_number=as_int(last),
                run_count=count,
                last_started_at=as_optional_time(started),
            )
            for name, last, count, started in found
        ]

    def has_experiment(self, name: str) -> bool:
        """Check whether an experiment has kept runs."""
        return self.driver.fetch_one(sql.HAS_EXPERIMENT, {"name": name}) is not None

    def knows_any(self, uids: Iterable[str]) -> bool:
        """Check whether one of these uids belongs to a present or former run."""
        with self.driver.read() as connection:
            return next(for_each(connection, sql.KNOWN_UIDS, [*uids]), None) is not None

    def namesakes(self, uids: Sequence[str]) -> dict[str, list[str]]:
        """Return the uids of other kept runs with the same number, by uid."""
        found: dict[str, list[str]] = {}
        with self.driver.read() as connection:
            for uid, other in for_each(connection, sql.NAMESAKES, uids):
                found.setdefault(as_text(uid), []).append(as_text(other))
        return found

    def is_purged(self, uid: str) -> bool:
        """Check whether a run was permanently removed."""
        return self.driver.fetch_one(sql.IS_PURGED, {"uid": uid}) is not None

    def experiment_names(self) -> list[str]:
        """Return the name of every experiment, in alphabetical order."""
        return [as_text(row[0]) for row in self.driver.fetch_all(sql.EXPERIMENT_NAMES)]

    def last_run_numbers(self) -> dict[str, int]:
        """Return the highest number ever assigned, by experiment; does not count runs."""
        found = self.driver.fetch_all(sql.LAST_RUN_NUMBERS)
        return {as_text(name): as_int(number) for name, number in found}

    def references_with_prefix(self, prefix: str, limit: int) -> list[str]:
        """Return references with a prefix: recent ones first, then the rest by name."""
        bounds = {"begin": prefix, "end": prefix + AFTER_ANY_TEXT, "limit": limit}
        with self.driver.read() as connection:
            found = [*connection.execute(sql.RECENT_REFERENCES, bounds).fetchall()]
            if len(found) < limit:
                found += connection.execute(sql.REFERENCES_WITH_PREFIX, bounds).fetchall()
        return list(dict.fromkeys(as_text(row[0]) for row in found))[:limit]

    def document(self, uid: str, name: str) -> str | None:
        """Return a captured text of a run, or None."""
        row = self.driver.fetch_one(sql.DOCUMENT_OF_RUN, {"uid": uid, "name": name})
        return None if row is None else as_text(row[0])

    def document_names(self, uid: str) -> list[str]:
        """Return the names of a run's captured texts."""
        found = self.driver.fetch_all(sql.DOCUMENT_NAMES, {"uid": uid})
        return [as_text(row[0]) for row in found]

    def document_hashes(self, uids: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the hashes of captured texts by uid, then by name, e.g. `patch`.

        Texts of runs can be compared without being read. Runs without captured texts are omitted.
        """
        found: dict[str, dict[str, str]] = {}
        with self.driver.read() as connection:
            for uid, name, digest in for_each(connection, _HASHES_OF_RUNS, uids):
                found.setdefault(uid, {})[name] = digest
        return found


def for_each(
    connection: Connection, statement: str, ids: Sequence[object], *more: object
) -> Iterator[Any]:
    """Yield the rows of a statement for these `{ids}` and more parameters, in batches."""
    # Engines limit the parameters per statement: 999 in SQLite before 3.32.
    for some in batches(ids, 500):
        yield from connection.execute(_with_marks(statement, len(some)), [*some, *more])


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of this size, the last one shorter."""
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


@functools.lru_cache(maxsize=64)
def _with_marks(statement: str, count: int) -> str:
    return statement.format(ids=", ".join("?" * count))


def _within_memory(found: Iterable[Any]) -> list[Any]:
    """Return rows if the total length of their texts is acceptable.

    Raises:
        sqlite3.DataError: They are too long.
    """
    read: list[Any] = []
    length = size = counted = 0
    for row in found:
        read.append(row)
        length += rows.length_of_texts(row)
        if length <= LONGEST_READ // 8:
            continue
        # A character takes up to four bytes; the exact count is slower.
        size += sum(getsizeof(cell) for one in read[counted:] for cell in one)
        counted = len(read)
        if size > LONGEST_READ:
            raise sqlite3.DataError("string or blob too big")
    return read


def _json(ids: Sequence[int]) -> str:
    return f"[{','.join(map(str, ids))}]"


def _unless_too_long(connection: Connection, statement: str, run_id: int, default: Any) -> Any:
    """Return the rows of a statement about one run; the default if they are too long."""
    try:
        return connection.execute(statement, {"id": run_id}).fetchall()
    except sqlite3.DataError:
        return default


def _start_of(run: Run) -> int:
    """Return the sort key of a run; runs without a time sort before all others."""
    return BEYOND_NUMBERS if "started_at" in run.damaged else rows.to_micros(run.started_at)


def _number_of(run: Run) -> int:
    return BEYOND_NUMBERS if "run_number" in run.damaged else run.run_number
