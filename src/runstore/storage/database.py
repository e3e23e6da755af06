"""Database: one method per operation, one transaction each."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

from runstore.errors import (
    RunActiveError,
    RunFinishedError,
    RunNotFoundError,
    SchemaTooNewError,
    SchemaTooOldError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    genuine,
)
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.status import Status
from runstore.model.values import sha256
from runstore.storage import rows
from runstore.storage import statements as sql
from runstore.storage.driver import Connection, Rows
from runstore.storage.new_runs import NewRuns
from runstore.storage.rows import as_int, as_text, is_time, now_micros
from runstore.storage.sqlite.driver import SQLiteDriver
from runstore.storage.statements import CURRENT_VERSION, FOREIGN, SCHEMA_VERSION
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.sqlite.paths import AnyPath

_FORGET = "DELETE FROM store_state WHERE name = '{name}';"
# How long a program waits for a locked database before it writes to the spool instead.
PATIENCE_S = 5.0
# The same at the end of a run, when many runs may end at once and nothing waits for them.
END_PATIENCE_S = 20.0


class Edit(NamedTuple):
    """An edit of a run, to be recorded as an event.

    All edits made at once share the id of their operation; None if `undo` skips it.
    """

    field: str
    old: str | None
    new: str | None
    author: str
    operation: str | None
    undoes: str | None = None


class RunEdits(NamedTuple):
    """A change of tags and notes of runs.

    None removes a tag; without notes, they stay unchanged.
    """

    uids: Sequence[str]
    tags: Mapping[str, str | None]
    notes: Sequence[str | None]
    author: str
    operation: str
    or_trashed: bool


def add_event(connection: Connection, run_id: int, edit: Edit) -> None:
    """Record an edit within the caller's transaction."""
    from runstore.storage.integrity.history import add_link

    # Later than the last one even if the clock was set back: stores merge edits by their times.
    last = connection.execute(sql.LAST_EVENT_AT, {"run_id": run_id}).fetchone()
    at = max(now_micros(), as_int(last[0]) + 1 if last and is_time(last[0]) else 0)
    event = {"run_id": run_id, "at": at, **edit._asdict()}
    link = add_link(connection, run_id, event)
    connection.execute(sql.ADD_EVENT, {**event, "link": link})


def no_run(uid: str) -> RunNotFoundError:
    """Return the error for a run that is not in the store."""
    return RunNotFoundError(f"There is no run {uid} in this store.")


def run_row(connection: Connection, uid: str, *, or_trashed: bool = False) -> sql.RunRow:
    """Return the row of a run, within the caller's transaction.

    Unreadable cells are replaced as for `Run`.

    Raises:
        RunNotFoundError: There is no such run.
    """
    statement = sql.RUN_OR_TRASHED_BY_UID if or_trashed else sql.RUN_BY_UID
    row = connection.execute(statement, {"uid": uid}).fetchone()
    if row is None:
        raise no_run(uid)
    return rows.mended_row(row)


def _not_up_to_date(path: str, error: OSError) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"{path} could not be brought up to date: {error.strerror or error}.",
        kept="Nothing was changed; reading still works.",
        hint="Free some disk space, or check the permissions of the folder.",
    )


class Database(NewRuns):
    """The runs of one store.

    Attributes:
        path: The SQLite file, or the URL of a database on a server.
        file: The file that a search index is kept beside.
        is_left_alone: Whether it belongs to another user, and nothing is written to its folder.
        is_provisional: Whether run numbers are provisional, until the runs are on their server.

    Args:
        path: The SQLite file.
        create: Create the file if it does not exist.
        leave_alone: See `SQLiteDriver`.
    """

    is_left_alone = False
    is_provisional = False

    def __init__(self, path: AnyPath, *, create: bool = True, leave_alone: bool = False) -> None:
        self.path = self.file = os.fspath(path)
        self.is_left_alone = leave_alone
        driver = SQLiteDriver(path, create=create, leave_alone=leave_alone)
        self.driver = driver
        self._check_schema(self.path, driver)

    def _check_schema(self, path: str, driver: SQLiteDriver) -> None:
        with driver.read() as connection:
            foreign = connection.execute(FOREIGN).fetchall()
            if foreign:
                from runstore.storage.integrity.schema import refuse

                refuse(driver, foreign)
            try:
                found = as_int(connection.execute(CURRENT_VERSION).fetchone()[0])
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                found = 0
        if found == SCHEMA_VERSION:
            return
        if found > SCHEMA_VERSION:
            driver.refuse_writes(
                SchemaTooNewError(
                    f"{path} has schema {found}; this runstore supports up to {SCHEMA_VERSION}.",
                    kept="Nothing was changed; reading still works.",
                    hint="In a checkout of a newer version of runstore, run: pip install .",
                )
            )
            return
        if found == 0 and driver.refusal is not None:
            raise StoreCorruptError(
                f"{path} holds no runs, and it cannot be written.",
                kept="It was not changed.",
                hint="Check the permissions of the folder, or choose another store.",
            )
        self._bring_up_to_date(path, driver, found)

    @staticmethod
    def _bring_up_to_date(path: str, driver: SQLiteDriver, found: int) -> None:
        from runstore.storage.migrations import OLDEST_READ, migrate, stand_ins

        try:
            migrate(driver)
        except genuine(StoreError, OSError) as error:
            if found >= OLDEST_READ:
                refusal = error if isinstance(error, StoreError) else _not_up_to_date(path, error)
                driver.stand_in(stand_ins(found, driver.types), refusal)
            elif found and driver.refusal is not None:
                raise SchemaTooOldError(
                    f"{path} has schema {found}; it cannot be brought up to {SCHEMA_VERSION},"
                    " because it cannot be written.",
                    kept="It was not changed.",
                    hint="Copy the store to a folder that you can write to.",
                ) from error
            else:
                raise

    def differences_of_schema(self) -> list[str]:
        """Return tables, indexes, views and triggers that differ from those of the migrations."""
        from runstore.storage.integrity.schema import differences_of_schema

        with self.driver.read() as connection:
            return differences_of_schema(connection)

    def close(self) -> None:
        """Close every connection."""
        self.driver.close()

    @property
    def is_writable(self) -> bool:
        """Whether the database is writable."""
        return self.driver.refusal is None

    # Starting and ending

    def finish_run(
        self,
        uid: str,
        status: Status,
        *,
        ended_at: int,
        error: str | None = None,
        traceback: str | None = None,
        exit_code: int | None = None,
        before: Callable[[Connection], object] | None = None,
    ) -> None:
        """Write the end of a run, at a time in microseconds since 1970; durable on return.

        `before` is called with the connection first, in the same transaction.

        Raises:
            RunNotFoundError: There is no such run.
            RunFinishedError: The run has already ended.
        """
        ending = {
            "uid": uid,
            "status": status.value,
            "ended_at": ended_at,
            "error": error,
            "traceback": traceback,
            "exit_code": exit_code,
        }

        def finish(connection: Connection) -> Rows:
            if before is not None:
                before(connection)
            return connection.execute(sql.FINISH_RUN, ending)

        # The count is looked at after the commit, which a server then gets in one round trip.
        if self.driver.transact(finish, of=[uid]).rowcount == 0:
            with self.driver.read() as connection:
                row = run_row(connection, uid)
            if (row.status, row.ended_at) == (status.value, ended_at):
                return  # it was committed before, but the connection was lost before the answer
            raise RunFinishedError(
                f"The run {row.reference} has already ended, as {row.status}.",
                kept="Its record was not changed.",
                hint=f"To continue it: runstore.start_run(resume={row.reference!r}).",
            )

    def resume_run(self, uid: str, status: Status, process: ProcessIdentity, author: str) -> None:
        """Resume a run that has ended, recording an event with the old status."""

        def resume(connection: Connection) -> None:
            row = run_row(connection, uid)
            if not Status(row.status).is_final:
                raise RunActiveError(
                    f"The run {row.reference} is still {row.status}.",
                    kept="It was not changed.",
                    hint="Wait for its end, or start a new run.",
                )
            now = now_micros()
            connection.execute(
                sql.RESUME_RUN,
                {
                    "id": row.id,
                    "status": status.value,
                    "now": now,
                    "hostname": process.hostname,
                    "boot_id": process.boot_id,
                    "pid": process.pid,
                    "process_started": process.started_ticks,
                },
            )
            # No operation id: resuming a run cannot be undone.
            add_event(connection, row.id, Edit("status", row.status, status.value, author, None))

        self.driver.transact(resume, of=[uid], is_once=True)

    def take_over(self, uid: str, old: ProcessIdentity, new: ProcessIdentity) -> bool:
        """Transfer a run without an end from a process that has ended to its child.

        Returns whether the run still belonged to that process.
        """
        return self.driver.transact(
            lambda connection: self.change_process(connection, uid, old, new),
            of=[uid],
            is_once=True,
        )

    def change_process(
        self, connection: Connection, uid: str, old: ProcessIdentity, new: ProcessIdentity
    ) -> bool:
        """Change the process of a run without an end, within the caller's transaction.

        Returns whether the run still belonged to the old process.
        """
        values = {
            "uid": uid,
            "now": now_micros(),
            "pid": new.pid,
            "process_started": new.started_ticks,
            "old_pid": -1 if old.pid is None else old.pid,
            "old_started": old.started_ticks or "",
        }
        return bool(connection.execute(sql.TAKE_OVER, values).rowcount)

    def last_point_between(self, uid: str, first: int, last: int) -> int | None:
        """Return the time of the last metric point of a run, between two times; None without."""
        bounds = {"uid": uid, "first": first, "last": last}
        found = self.driver.fetch_one(sql.LAST_POINT_BETWEEN, bounds)[0]
        return found if type(found) is int else None

    def mark_lost(self, runs: Iterable[tuple[Run, int | None, str | None]]) -> None:
        """Set the status `lost` for runs whose process ended, unless they changed meanwhile.

        Each comes with the time of its last point or line, and the reason; None if they are
        unknown.
        """
        lost = [*runs]

        def mark(connection: Connection) -> None:
            for run, last_sign, why in lost:
                process = run.process
                connection.execute(
                    sql.MARK_LOST,
                    {
                        "uid": run.uid,
                        "last_sign": last_sign,
                        "why": why,
                        "pid": process.pid if process and process.pid is not None else -1,
                        "process_started": (process.started_ticks or "") if process else "",
                    },
                )

        self.driver.transact(mark, of=[run.uid for run, _, _ in lost])

    def mark_seen(self, uids: Iterable[str]) -> None:
        """Record that these runs are alive now."""
        seen = [{"uid": uid, "now": now_micros()} for uid in uids]
        self.driver.transact(
            lambda connection: connection.executemany(sql.SEEN_ALIVE, seen),
            of=[str(one["uid"]) for one in seen],
        )

    def attach_facts(self, uid: str, facts: Facts, edits: Sequence[Edit] = ()) -> None:
        """Add facts captured after the start, recording edits in the same transaction."""
        from runstore.storage.indexes.facts import index_facts

        # Programs that add the same documents do so in the same order.
        bodies = sorted(
            (sha256(body.encode()).hexdigest(), name, body)
            for name, body in facts.documents.items()
        )

        def attach(connection: Connection) -> None:
            row = connection.execute(sql.FACTS_OF_RUN, {"uid": uid}).fetchone()
            if row is None:
                return
            run_id, text, is_indexed = row
            try:
                before = rows.facts_from_text(text)
            except ValueError as error:
                raise StoreCorruptError(
                    f"The facts of the run {uid} cannot be read.", kept="They were not changed."
                ) from error
            merged = before.merged(facts)
            connection.execute(sql.SET_FACTS, {"id": run_id, "facts": rows.facts_to_text(merged)})
            if "git.dirty" not in before.values and "git.dirty" in merged.values:
                is_dirty = merged.values["git.dirty"]
                connection.execute(sql.SET_WORKDIR_DIRTY, {"id": run_id, "is_dirty": is_dirty})
            index_facts(connection, run_id, merged.values, before.values if is_indexed else {})
            for digest, name, body in bodies:
                connection.execute(sql.ADD_DOCUMENT, {"hash": digest, "body": body})
                connection.execute(
                    sql.LINK_DOCUMENT, {"run_id": run_id, "name": name, "hash": digest}
                )
            for edit in edits:
                add_event(connection, run_id, edit)

        self.driver.transact(attach, of=[uid], is_once=bool(edits))

    def edit_at_once(self, change: RunEdits) -> bool | None:  # noqa: ARG002 - for a server
        """Change tags and notes in one round trip, if this is a server that can.

        Returns whether anything changed; None if the caller has to change it in a transaction.

        Raises:
            RunNotFoundError: One of the runs is not in the store.
        """
        return None

    def set_reproduce(self, uid: str, command: str) -> None:
        """Set the command that repeats a run of a full store."""
        cells = {"uid": uid, "reproduce": command}
        self.driver.transact(
            lambda connection: connection.execute(sql.SET_REPRODUCE, cells), of=[uid]
        )

    # State of the store

    def get_state(self, name: str) -> str | None:
        """Return the value of a name, or None."""
        row = self.driver.fetch_one(sql.GET_STATE, {"name": name})
        return None if row is None else str(row[0])

    def mapping(self, name: str) -> dict[str, str]:
        """Return the mapping of strings stored under a name.

        Raises:
            StoreCorruptError: It cannot be read.
        """
        return self._mapping_of(name, self.get_state(name))

    def _mapping_of(self, name: str, text: str | None) -> dict[str, str]:
        try:
            return rows.mapping_of(text)
        except ValueError as error:
            raise StoreCorruptError(
                f"The {name} kept in {self.path} cannot be read.",
                kept="They were not changed.",
                hint=f"To discard them, run in sqlite3: {_FORGET.format(name=name)}",
            ) from error

    def change_mapping(self, name: str, key: str, value: str | None) -> None:
        """Set one entry of the mapping stored under a name; None removes it.

        Raises:
            StoreCorruptError: The mapping cannot be read.
        """

        def change(connection: Connection) -> None:
            row = connection.execute(sql.GET_STATE, {"name": name}).fetchone()
            kept = self._mapping_of(name, None if row is None else as_text(row[0]))
            others = {one: text for one, text in kept.items() if one != key}
            changed = others if value is None else {**others, key: value}
            connection.execute(sql.SET_STATE, {"name": name, "value": json.dumps(changed)})

        self.driver.transact(change)
