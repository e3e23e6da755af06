"""Runs as a list of metadata blocks: read by change number, added, edited and deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from runstore.model.block import (
    WORD_OF_STATUS,
    Block,
    BlockFields,
    block_from_run,
    fields_from_block,
    is_same_text,
    lasting_uid,
    with_values,
)
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.once import once
from runstore.model.params.parameter_set import ParameterSet, lowest_hash
from runstore.model.reference import build_reference, new_uid, parse_timestamp
from runstore.model.results.events import DELETED
from runstore.model.run import Run
from runstore.model.status import REPORTED, Status
from runstore.storage import rows
from runstore.storage import statements as sql
from runstore.storage.database import Database, Edit, add_event
from runstore.storage.driver import Connection
from runstore.storage.new_runs import RunCells
from runstore.storage.rows import as_int, now_micros
from runstore.storage.trash import set_deleted
from runstore.value_classes import dataclass

_FROM_RUNS = "FROM runs r JOIN experiments e ON e.id = r.experiment_id"
_BLOCK_ROWS = f"SELECT {sql.RUN_COLUMNS}, r.changed {_FROM_RUNS}"

CREATED_AT = "SELECT applied_at FROM schema_migrations WHERE version = 1"
KEPT_ROWS = f"{_BLOCK_ROWS} WHERE r.deleted_at IS NULL ORDER BY r.id"
# Ordered by change to use that index; ordered by id, SQLite would scan the whole table.
CHANGED_ROWS = f"{_BLOCK_ROWS} WHERE r.changed > :after ORDER BY r.changed"
LATER_CHANGES = "SELECT EXISTS (SELECT 1 FROM runs WHERE changed > :after)"
ROW_BY_ID = f"{_BLOCK_ROWS} WHERE r.id = :id"
ROWS_BY_REFERENCE = f"{_BLOCK_ROWS} WHERE r.reference = :reference ORDER BY r.id"
ROWS_BY_ALIAS = f"""
    {_BLOCK_ROWS} JOIN reference_aliases a ON a.run_id = r.id
    WHERE a.reference = :reference ORDER BY r.id
"""
KEPT_IDS = "SELECT id FROM runs WHERE deleted_at IS NULL ORDER BY id"
FREE_DUPLICATE = """
    SELECT coalesce(max(duplicate) + 1, 0) FROM runs
    WHERE experiment_id = :experiment_id AND run_number = :run_number AND id <> :id
"""
UID_IS_TAKEN = "SELECT count(*) FROM runs WHERE uid = :uid"
CHANGE_ROW = f"""
    UPDATE runs SET experiment_id = :experiment_id, run_number = :run_number,
        duplicate = :duplicate, reference = :reference, timestamp = :timestamp, status = :status,
        ended_at = :ended_at, notes = :notes, error = :error, commit_hash = :commit_hash,
        workdir_dirty = :workdir_dirty, cli = :cli, full_store = :full_store,
        traceback = CASE status WHEN :status THEN traceback END,
        exit_code = CASE status WHEN :status THEN exit_code END,
        reproduce = :reproduce, block = :block, changed = {sql.NEXT_CHANGE}
    WHERE id = :id
"""  # noqa: S608 - constants
EVENTS_OF_FIELD = "SELECT old FROM events WHERE run_id = :id AND field = :field"

UNNAMED = "unknown"


@dataclass(frozen=True)
class BlockRow:
    """A run with its row id and change number."""

    id: int
    changed: int
    is_deleted: bool
    run: Run

    @once
    def block(self) -> Block:
        """The run as a block, built once; copy it before returning it to users."""
        return block_from_run(self.run)


class BlockTable:
    """The runs of a database as a list of blocks, ordered by row id."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._created_at: int | None = None

    def newest_change(self) -> int:
        """Return the number of the store's last change of any run; 0 if it has no runs."""
        return as_int(self.database.driver.fetch_one(sql.NEWEST_CHANGE)[0])

    def created_at(self) -> int:
        """Return the database's creation time in microseconds, which identifies it."""
        if self._created_at is None:
            self._created_at = as_int(self.database.driver.fetch_one(CREATED_AT)[0])
        return self._created_at

    def rows(self) -> list[BlockRow]:
        """Return all kept runs, by row id."""
        with self.database.driver.read() as connection:
            return self.select(connection, KEPT_ROWS, {})

    def since(self, after: int) -> tuple[int, list[BlockRow]]:
        """Return the last change number, and the runs that changed after the given one.

        Changes on a server may be committed before some with lower numbers. The number is that of
        the last one that follows no open change; the runs include all that have changed.
        """
        driver = self.database.driver
        with driver.read() as connection:
            newest = as_int(connection.execute(sql.NEWEST_CHANGE).fetchone()[0])
            if newest < after or (newest == after and driver.changes_in_order):
                return newest, []
            found = self.select(connection, CHANGED_ROWS, {"after": after})
        if len(found) > 1:
            found.sort(key=attrgetter("id"))
        return newest, found

    def has_changed_since(self, after: int) -> bool:
        """Check whether a run has changed after a change, or changes were undone."""
        driver = self.database.driver
        with driver.read() as connection:
            if as_int(connection.execute(sql.NEWEST_CHANGE).fetchone()[0]) != after:
                return True
            return not driver.changes_in_order and bool(
                connection.execute(LATER_CHANGES, {"after": after}).fetchone()[0]
            )

    def row(self, row_id: int) -> BlockRow:
        """Return a run that this process has just written."""
        with self.database.driver.read() as connection:
            return self.select(connection, ROW_BY_ID, {"id": row_id})[0]

    def ids(self) -> list[int]:
        """Return the row ids of all kept runs, in order."""
        return [row[0] for row in self.database.driver.fetch_all(KEPT_IDS)]

    def select(
        self, connection: Connection, statement: str, parameters: Mapping[str, Any]
    ) -> list[BlockRow]:
        """Return the rows of a statement of this module, within the caller's transaction."""
        found = connection.execute(statement, parameters).fetchall()
        damaged: dict[int, list[str]] = {}
        ids = [row[0] for row in found]
        sets = self.database.sets_of(connection, ids, damaged)
        return [
            BlockRow(
                id=row[0],
                changed=as_int(row[len(sql.RunRow._fields)]),
                is_deleted=sql.RunRow._make(row[:-1]).deleted_at is not None,
                run=rows.run_from_row(
                    row, tuple(sets.get(row[0], ())), {}, damaged.get(row[0], ())
                ),
            )
            for row in found
        ]

    @contextmanager
    def write(self) -> Iterator[BlockWriter]:
        """Return a writer that changes the list in one transaction; durable on exit."""
        with self.database.driver.write() as connection:
            yield BlockWriter(self, self.database, connection)


class BlockWriter:
    """Changes of the list within one transaction."""

    def __init__(self, table: BlockTable, database: Database, connection: Connection) -> None:
        self._table = table
        self._database = database
        self._connection = connection

    def row(self, row_id: int) -> BlockRow | None:
        """Return the current row, deleted or not."""
        found = self._table.select(self._connection, ROW_BY_ID, {"id": row_id})
        return found[0] if found else None

    def rows_by_reference(self, reference: str) -> list[BlockRow]:
        """Return rows with this current or former reference, including deleted ones."""
        parameters = {"reference": reference}
        return self._table.select(
            self._connection, ROWS_BY_REFERENCE, parameters
        ) or self._table.select(self._connection, ROWS_BY_ALIAS, parameters)

    def old_texts(self, row_id: int, field: str) -> set[str | None]:
        """Return the values of a field before each of its edits."""
        found = self._connection.execute(EVENTS_OF_FIELD, {"id": row_id, "field": field})
        return {row[0] for row in found.fetchall()}

    def start(
        self,
        experiment_name: str,
        make_block: Callable[[int], Block],
        *,
        process: ProcessIdentity,
        facts: Facts,
        trees: Mapping[str, str],
    ) -> int:
        """Assign the next number, build the block with it, and write the run."""
        experiment_id, number = self._database.next_number(self._connection, experiment_name)
        block = make_block(number)
        fields = fields_from_block(block)
        now = now_micros()
        return self._insert(
            fields,
            block,
            {
                "uid": new_uid(),
                "experiment_id": experiment_id,
                "run_number": number,
                "duplicate": 0,
                "started_at": now,
                "last_seen_at": now,
                "hostname": process.hostname,
                "boot_id": process.boot_id,
                "pid": process.pid,
                "process_started": process.started_ticks,
                "facts": rows.facts_to_text(facts),
                # Blocks of the page lack this field.
                "workdir_dirty": facts.values.get("git.dirty", fields.workdir_dirty),
            },
            with_values(fields.parameter_sets, trees),
        )

    def add(self, block: Block, *, seen_at: int, trees: Mapping[str, str]) -> int:
        """Write a run that another tool recorded, keeping its number even if it is in use.

        A block without a start counts as started at `seen_at`, in microseconds. `trees` are values
        of parameter sets by hash.
        """
        fields = fields_from_block(block)
        name = fields.experiment_name or UNNAMED
        number = fields.run_number or 0
        begun = parse_timestamp(fields.timestamp) if fields.timestamp else None
        started_at = rows.to_micros(begun) if begun else seen_at
        return self._insert(
            fields,
            block,
            {
                "uid": self._free_uid(block),
                **self._place(name, number, row_id=-1),
                "started_at": started_at,
                "last_seen_at": None,
                "hostname": fields.hostname or "",
                "boot_id": None,
                "pid": None,
                "process_started": None,
                "facts": None,
            },
            with_values(fields.parameter_sets, trees),
        )

    def _insert(
        self,
        fields: BlockFields,
        block: Block,
        known: dict[str, Any],
        sets: Sequence[ParameterSet],
    ) -> int:
        name = fields.experiment_name or UNNAMED
        timestamp = fields.timestamp or ""
        reference = fields.reference or build_reference(name, known["run_number"], timestamp)
        values = {
            **_said(fields),
            **known,
            "reference": reference,
            "timestamp": timestamp,
            "status": fields.status.value,
            "parent_uid": None,
            "block": json.dumps(block),
            "params_hash": lowest_hash(sets),
        }
        return self._database.insert_row(self._connection, RunCells(**values), sets)

    def _place(self, name: str, number: int, *, row_id: int) -> dict[str, int]:
        """Return the columns for a run with this experiment and number."""
        now = now_micros()
        experiment_id = self._connection.execute(
            sql.EXPERIMENT_ID, {"name": name, "number": number, "now": now}
        ).fetchone()[0]
        place = {"experiment_id": experiment_id, "run_number": number}
        duplicate = self._connection.execute(FREE_DUPLICATE, {**place, "id": row_id}).fetchone()
        return {**place, "duplicate": duplicate[0]}

    def _free_uid(self, block: Block) -> str:
        uid = lasting_uid(block)
        taken = self._connection.execute(UID_IS_TAKEN, {"uid": uid}).fetchone()[0]
        return new_uid() if taken else uid

    def change(
        self,
        row: BlockRow,
        block: Block,
        *,
        author: str,
        trees: Mapping[str, str] | None = None,
        operation: str | None = None,
    ) -> None:
        """Write a run whose block was edited; replaced texts are recorded as events.

        With an operation, that of the notes can be undone. Other edits are undone in the file.
        """
        run, said = row.run, fields_from_block(block)
        name = said.experiment_name or run.experiment_name
        number = run.run_number if said.run_number is None else said.run_number
        reference = said.reference or run.reference
        status = _status_after(run, said.status)
        if reference != run.reference:
            self._connection.execute(sql.ADD_ALIAS, {"run_id": row.id})
        if (name, number) == (run.experiment_name, run.run_number):
            place = self._present_place(row.id)
        else:
            place = self._place(name, number, row_id=row.id)
        values = {
            **_said(said),
            "notes": run.notes if is_same_text(run.notes, said.notes) else said.notes,
            "cli": run.cli if is_same_text(run.cli, said.cli) else said.cli,
            "workdir_dirty": (
                run.workdir_dirty if said.workdir_dirty is None else said.workdir_dirty
            ),
            **place,
            "id": row.id,
            "reference": reference,
            "timestamp": said.timestamp or run.timestamp,
            "status": status.value,
            "ended_at": _end_after(run, status),
            "block": json.dumps(block),
        }
        self._connection.execute(CHANGE_ROW, values)
        self._change_sets(row, with_values(said.parameter_sets, trees or {}))
        for field, old, new in _edited(run, said, (name, str(number), reference), status):
            if not is_same_text(old, new):
                undone_with = operation if field == "notes" else None
                add_event(self._connection, row.id, Edit(field, old, new, author, undone_with))

    def _present_place(self, row_id: int) -> dict[str, Any]:
        statement = "SELECT experiment_id, run_number, duplicate FROM runs WHERE id = :id"
        found = self._connection.execute(statement, {"id": row_id}).fetchone()
        return dict(zip(("experiment_id", "run_number", "duplicate"), found, strict=True))

    def _change_sets(self, row: BlockRow, sets: Sequence[ParameterSet]) -> None:
        """Replace the parameter sets unless they are unchanged, keeping known values."""
        before = {one.hash: one.tree for one in row.run.parameter_sets if one.tree is not None}
        now = with_values(tuple(sets), before)
        if now == row.run.parameter_sets or (
            [(one.name, one.hash) for one in now]
            == [(one.name, one.hash) for one in row.run.parameter_sets]
            and all(one.tree is None for one in now)
        ):
            return
        self._database.replace_sets(self._connection, row.id, now)

    def soft_delete(self, row_id: int, author: str, operation: str) -> None:
        """Move a run to the trash."""
        now = now_micros()
        set_deleted(self._connection, row_id, now)
        edit = Edit(DELETED, None, rows.moment_text(now), author, operation)
        add_event(self._connection, row_id, edit)


def _said(fields: BlockFields) -> dict[str, Any]:
    return {
        "notes": fields.notes,
        "error": fields.error,
        "commit_hash": fields.commit,
        "workdir_dirty": fields.workdir_dirty,
        "cli": fields.cli,
        "full_store": fields.full_store,
        "reproduce": fields.reproduce,
    }


def _end_after(run: Run, status: Status) -> int | None:
    """Return when a run with an edited status ended, in microseconds."""
    if status is run.status:
        return None if run.ended_at is None else rows.to_micros(run.ended_at)
    return max(rows.to_micros(run.started_at), now_micros()) if status.is_final else None


def _edited(
    run: Run, said: BlockFields, place: tuple[str, str, str], status: Status
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the field, the old and the new text of what may have been edited.

    The first end of a run and the first text of its code and commands are ordinary changes.
    `place` is the experiment name, the number and the reference after the edit.
    """
    name, number, reference = place
    yield "notes", run.notes, said.notes
    yield "experiment_name", run.experiment_name, name
    yield "run_number", str(run.run_number), number
    yield "reference", run.reference, reference
    if run.status.is_final and status is not run.status:
        yield "status", run.status.value, status.value
        yield "error", run.error, said.error
    for field in ("commit", "cli", "reproduce"):
        if getattr(run, field):
            yield field, getattr(run, field), getattr(said, field)


def _status_after(run: Run, said: Status) -> Status:
    """Return a run's status after an edit; one word in a block can mean several statuses."""
    if said is Status.LIVE and run.status is Status.LOST:
        return run.status
    if said in REPORTED and run.status.may_become(said):
        return said
    return run.status if WORD_OF_STATUS[said] == WORD_OF_STATUS[run.status] else said
