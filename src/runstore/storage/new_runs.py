"""New runs: their numbers, rows and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import compress, repeat
from operator import is_not

from runstore.errors import ConflictError
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.params.parameter_set import ParameterSet, lowest_hash
from runstore.model.reference import build_reference
from runstore.model.status import Status
from runstore.storage import rows
from runstore.storage import statements as sql
from runstore.storage.driver import Connection
from runstore.storage.indexes.params import EVERY_RUNS, TAKE_BACK, can_wait, index_params
from runstore.storage.rows import as_int, now_micros
from runstore.storage.stored_runs import BEYOND_NUMBERS, StoredRuns
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NewRun(NamedTuple):
    """The data to start a run; the database adds number and reference."""

    uid: str
    experiment_name: str
    status: Status
    started_at: int
    timestamp: str
    parameter_sets: tuple[ParameterSet, ...] = ()
    parent_uid: str | None = None
    notes: str | None = None
    cli: str | None = None
    full_store: bool = False
    process: ProcessIdentity | None = None
    facts: Facts = Facts()
    tags: Mapping[str, str] = {}


class RunCells(NamedTuple):
    """The cells of a new row of `runs`, optional ones last."""

    uid: str
    experiment_id: int
    run_number: int
    reference: str
    timestamp: str
    status: str
    started_at: int
    last_seen_at: int | None
    parent_uid: str | None
    notes: str | None
    commit_hash: Any
    workdir_dirty: Any
    cli: str | None
    full_store: bool
    hostname: str | None
    boot_id: str | None
    pid: int | None
    process_started: str | None
    facts: str | None
    params_hash: str | None
    ended_at: int | None = None
    error: str | None = None
    traceback: str | None = None
    exit_code: int | None = None
    reproduce: str | None = None
    block: str | None = None
    duplicate: int = 0


_NO_PROCESS = (None, None, None, None)


@lru_cache(maxsize=32)
def insertion(is_given: tuple[bool, ...]) -> str:
    """Return the statement that inserts the given cells of a run.

    Its parameters are positional, for twice the speed.
    """
    columns = tuple(compress(RunCells._fields, is_given))
    names, marks = ", ".join(columns), "?, " * len(columns)
    return f"INSERT INTO runs ({names}, changed) VALUES ({marks}{sql.NEXT_CHANGE})"  # noqa: S608 - our own names


def _started(new: NewRun, experiment_id: int, number: int, reference: str) -> tuple[Any, ...]:
    """Return the cells of `RunCells` that a run has at its start."""
    known = new.facts.values
    return (
        new.uid,
        experiment_id,
        number,
        reference,
        new.timestamp,
        new.status._value_,  # `value` is two functions of Python
        new.started_at,
        new.started_at,
        new.parent_uid,
        new.notes,
        known.get("git.commit"),
        known.get("git.dirty"),
        new.cli,
        int(new.full_store),
        *(new.process or _NO_PROCESS),
        rows.facts_to_text(new.facts),
        lowest_hash(new.parameter_sets),
    )


def not_withdrawn(uid: str) -> ConflictError:
    """Return the error for a start that can no longer be undone."""
    return ConflictError(
        f"The start of {uid} cannot be undone: the run has ended or has data.",
        kept="It was not changed.",
        hint="To delete it: runstore rm",
    )


class NewRuns(StoredRuns):
    """Writes new runs, and takes them back."""

    def start_run(self, new: NewRun) -> tuple[int, str]:
        """Assign the next run number, write the run, and return number and reference.

        Durable on return.
        """
        return self.driver.transact(
            lambda connection: self.insert_run(connection, new)[1:], is_once=True
        )

    def insert_run(
        self, connection: Connection, new: NewRun, ending: Mapping[str, Any] | None = None
    ) -> tuple[int, int, str]:
        """Assign the next run number and write the run, within the caller's transaction.

        `ending` has cells of a finished run, by name. Returns the run's row id, its number and its
        reference.
        """
        experiment_id, number = self.next_number(connection, new.experiment_name)
        reference = build_reference(new.experiment_name, number, new.timestamp)
        cells = _started(new, experiment_id, number, reference)
        if ending is not None:
            cells = RunCells(*cells)._replace(**ending)
        run_id = self.insert_row(connection, cells, new.parameter_sets, is_newest=True)
        for key, value in new.tags.items():
            connection.execute(sql.PUT_TAG, {"run_id": run_id, "key": key, "value": value})
        if run_id % EVERY_RUNS == 0 and self.driver.indexes_later:
            index_params(connection)
        return run_id, number, reference

    def insert_row(
        self,
        connection: Connection,
        cells: tuple[Any, ...],
        sets: Sequence[ParameterSet],
        *,
        is_newest: bool = False,
    ) -> int:
        """Write the row of a run and its parameter sets, within the caller's transaction.

        The cells are in the order of `RunCells`; trailing ones may be missing. See also
        `insert_sets`. Returns the row id.
        """
        # Without None, which takes `sqlite3` as long as several texts.
        is_given = tuple(map(is_not, cells, repeat(None)))
        run_id = connection.insert(insertion(is_given), tuple(compress(cells, is_given)))
        self.insert_sets(connection, run_id, sets, is_newest=is_newest)
        return run_id

    def next_number(self, connection: Connection, experiment_name: str) -> tuple[int, int]:
        """Assign the next run number of an experiment, within the caller's transaction.

        The experiment is created if it is new. Returns the experiment's row id as well.
        """
        counted = connection.execute(sql.LAST_RUN_NUMBER, (experiment_name,)).fetchone()
        if counted is not None:
            experiment_id, last, highest = counted
            if type(last) is int and _is_next(last + 1, highest):
                place = last + 1, experiment_id, last
                if connection.execute(sql.COUNT_ON, place).rowcount:
                    return experiment_id, last + 1
        experiment_id, number, highest = connection.execute(
            sql.NEXT_RUN_NUMBER, {"name": experiment_name, "now": now_micros()}
        ).fetchone()
        if _is_next(number, highest):
            return experiment_id, number
        # Another program or a broken disk changed the counter or a number.
        row = connection.execute(sql.HIGHEST_NUMBER, {"id": experiment_id}).fetchone()
        counted = as_int(number)
        number = max(as_int(row[0]) + 1, counted if counted < BEYOND_NUMBERS else 0)
        connection.execute(sql.SET_COUNTER, {"id": experiment_id, "number": number})
        return experiment_id, number

    def insert_sets(
        self,
        connection: Connection,
        run_id: int,
        sets: Sequence[ParameterSet],
        *,
        is_newest: bool = False,
    ) -> None:
        """Write the parameter sets of a run, within the caller's transaction.

        The rows of `params` of the newest run can be written later.
        """
        waits = is_newest and self.driver.indexes_later and can_wait(sets)
        for index, one in enumerate(sets):
            tree_key = None if one.tree is None else one.tree_key
            if tree_key is not None:
                connection.execute(sql.INSERT_VALUES, (tree_key, one.tree))
            place = (run_id, index, one.file, one.name, one.hash, tree_key)
            connection.execute(sql.INSERT_SET, place)
            if not waits:
                rows_of_set = [(run_id, index, *entry) for entry in one.flat()]
                connection.executemany(sql.INSERT_PARAM, rows_of_set)

    def replace_sets(
        self, connection: Connection, run_id: int, sets: Sequence[ParameterSet]
    ) -> None:
        """Replace all parameter sets of a run, within the caller's transaction."""
        for statement in (sql.REMOVE_FLAT_PARAMS, sql.REMOVE_RUN_PARAMS):
            connection.execute(statement, {"id": run_id})
        self.insert_sets(connection, run_id, sets)
        connection.execute(sql.SET_PARAMS_HASH, {"id": run_id, "hash": lowest_hash(sets)})

    def withdraw_run(self, uid: str) -> None:
        """Undo the start of a run; its number is reused if it is still the last.

        Raises:
            ConflictError: The run has ended or has data; it is kept.
        """
        from runstore.storage.indexes.facts import release_facts

        def withdraw(connection: Connection) -> None:
            if connection.execute(sql.IS_MORE_THAN_STARTED, {"uid": uid}).fetchone() is not None:
                raise not_withdrawn(uid)
            row = connection.execute(sql.FACTS_OF_RUN, {"uid": uid}).fetchone()
            if row is None:
                return
            release_facts(connection, row[0])
            for statement in (
                sql.TAKE_BACK_NUMBER,
                sql.REMOVE_RUN_PARAMS,
                sql.REMOVE_FLAT_PARAMS,
                sql.REMOVE_RUN_DOCUMENTS,
                sql.REMOVE_TAGS,
                sql.REMOVE_RUN,
            ):
                connection.execute(statement, {"id": row[0]})
            if self.driver.indexes_later:
                connection.execute(TAKE_BACK)

        self.driver.transact(withdraw, is_once=True)


def _is_next(number: object, highest: object) -> bool:
    """Check a counted run number against the highest number of its experiment, None without runs.

    Another program or a broken disk may change either.
    """
    if type(number) is not int or number >= BEYOND_NUMBERS:
        return False
    return highest is None or (type(highest) is int and highest < number)
