"""The trash: deletion, restoration and permanent removal of runs."""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from runstore.errors import RunActiveError, StoreCorruptError
from runstore.model.reference import new_uid, without_ending
from runstore.model.results.events import DELETED
from runstore.model.status import Status
from runstore.storage import statements as sql
from runstore.storage.database import Database, Edit, add_event, no_run, run_row
from runstore.storage.driver import Connection
from runstore.storage.indexes.facts import release_facts
from runstore.storage.rows import as_int, as_text, moment_text, now_micros
from runstore.storage.stored_runs import AFTER_ANY_TEXT, Lookups
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.model.run import Run

SET_DELETED = f"""
    UPDATE runs SET deleted_at = :deleted_at, changed = {sql.NEXT_CHANGE} WHERE id = :id
"""
NEWEST_IN_TRASH = f"""
    SELECT {sql.RUN_COLUMNS} FROM runs r JOIN experiments e ON e.id = r.experiment_id
    WHERE {sql.TRASHED} ORDER BY r.deleted_at DESC, r.id DESC LIMIT :limit
"""
EXPIRED = f"""
    SELECT r.id, r.uid, r.reference FROM runs r
    WHERE {sql.TRASHED} AND r.deleted_at <= :before ORDER BY r.deleted_at, r.id
"""
STILL_EXPIRED = f"""
    SELECT r.id FROM runs r WHERE {sql.TRASHED} AND r.deleted_at <= :before AND r.id = :id
"""
PURGED_NAMES = f"""
    SELECT r.uid, r.reference FROM runs r WHERE r.deleted_at IS NOT NULL AND {sql.PURGED}
    UNION ALL
    SELECT r.uid, a.reference FROM runs r JOIN reference_aliases a ON a.run_id = r.id
    WHERE r.deleted_at IS NOT NULL AND {sql.PURGED}
"""
EVERY_REFERENCE = "SELECT reference FROM runs UNION SELECT reference FROM reference_aliases"
NAME_OF_UID = "SELECT reference, deleted_at, purged_at FROM runs WHERE uid = :uid"
# The name, the number and the times are kept: see the migration.
EMPTY_RUN = f"""
    UPDATE runs SET purged_at = :now, last_seen_at = NULL, parent_uid = NULL, notes = NULL,
        error = NULL, traceback = NULL, exit_code = NULL, commit_hash = NULL,
        workdir_dirty = NULL, cli = NULL, full_store = 0, reproduce = NULL, hostname = NULL,
        boot_id = NULL, pid = NULL, process_started = NULL, facts = NULL, block = NULL,
        facts_filed = NULL, last_link = NULL, changed = {sql.NEXT_CHANGE}
    WHERE id = :id
"""
# Every table with rows of a run; aliases are kept with the name.
TABLES_OF_RUNS = (
    "run_params", "params", "run_documents", "events", "metric_chunks", "metric_levels",
    "metric_summaries", "artifacts", "inputs", "outputs", "tags",
)  # fmt: skip
LAST_EDITS = f"""
    SELECT e.author, e.at FROM events e
    WHERE e.run_id = :id AND e.{sql.BY_HAND} AND e.undoes IS NULL
        AND NOT EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.operation
            AND NOT EXISTS (SELECT 1 FROM events r WHERE r.undoes = u.operation))
"""
# By author: the time of the last edit that was removed with its run, and that run's name.
GONE_EDITS = "gone_edits"
REMOVE_MARKS = "DELETE FROM spool_marks WHERE name >= :begin AND name < :end"


class Expired(NamedTuple):
    """A run that is due for permanent removal."""

    run_id: int
    uid: str
    reference: str


class InTrash(Lookups):
    """Lookup by name of runs that are `statements.TRASHED` or `PURGED`."""

    def __init__(self, database: Database, among: str = sql.TRASHED) -> None:
        self._database = database
        self.among = among

    def select_runs(self, statement: str, parameters: Mapping[str, Any]) -> list[Run]:
        """Return the runs of a statement."""
        return self._database.select_runs(statement, parameters)

    def experiment_names(self) -> list[str]:
        """Return the name of every experiment, in alphabetical order."""
        return self._database.experiment_names()

    def latest_run(self) -> Run | None:
        """Return the most recently deleted run, or None."""
        found = self.select_runs(NEWEST_IN_TRASH, {"limit": 1})
        return found[0] if found else None


class Trash:
    """The deleted runs of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver = database.driver

    def put(self, uids: Iterable[str], author: str, *, is_forced: bool = False) -> str:
        """Move runs to the trash, atomically, recording events. Durable on return.

        Returns the id of the operation, which can be undone.

        Raises:
            RunNotFoundError: One of the runs is not in the store.
            RunActiveError: One of the runs is being executed.
        """
        operation, now, gone = new_uid(), now_micros(), [*uids]

        def put(connection: Connection) -> None:
            for uid in gone:
                row = run_row(connection, uid)
                if not is_forced:
                    _check_has_ended(row)
                set_deleted(connection, row.id, now)
                edit = Edit(DELETED, None, moment_text(now), author, operation)
                add_event(connection, row.id, edit)

        self._driver.transact(put, of=gone, is_once=True)
        return operation

    def take_out(self, uids: Iterable[str], author: str) -> str:
        """Restore runs, atomically, recording events. Durable on return.

        Returns the id of the operation, which can be undone.

        Raises:
            RunNotFoundError: One of the runs is no longer in the store.
        """
        operation, back = new_uid(), [*uids]

        def take_out(connection: Connection) -> None:
            for uid in back:
                row = run_row(connection, uid, or_trashed=True)
                if row.deleted_at is not None:
                    set_deleted(connection, row.id, None)
                    edit = Edit(DELETED, moment_text(row.deleted_at), None, author, operation)
                    add_event(connection, row.id, edit)

        self._driver.transact(take_out, of=back, is_once=True)
        return operation

    def newest(self, limit: int) -> list[Run]:
        """Return runs in the trash, the most recently deleted first."""
        return self._database.select_runs(NEWEST_IN_TRASH, {"limit": limit})

    # Permanent removal

    def expired(self, before: int) -> list[Expired]:
        """Return the runs in the trash that were deleted at this time or earlier."""
        found = self._driver.fetch_all(EXPIRED, {"before": before})
        return [
            Expired(row_id, as_text(uid), as_text(reference)) for row_id, uid, reference in found
        ]

    def purge(self, runs: Sequence[Expired], before: int) -> list[Expired]:
        """Permanently remove runs except for their names, and return those; durable on return.

        Runs deleted after the given time, or restored meanwhile, are skipped.
        """

        def purge(connection: Connection) -> list[Expired]:
            purged = []
            for run in runs:
                row_id, where = run.run_id, {"id": run.run_id, "before": before}
                if connection.execute(STILL_EXPIRED, where).fetchone() is None:
                    continue
                release_facts(connection, row_id)
                _note_last_edits(connection, run)
                for table in TABLES_OF_RUNS:
                    connection.execute(f"DELETE FROM {table} WHERE run_id = :id", {"id": row_id})
                bounds = {"begin": run.uid, "end": run.uid + AFTER_ANY_TEXT}
                connection.execute(REMOVE_MARKS, bounds)
                connection.execute(EMPTY_RUN, {"id": row_id, "now": now_micros()})
                purged.append(run)
            return purged

        return self._driver.transact(purge, is_once=True)

    def purged_names(self) -> list[tuple[str, str]]:
        """Return uid and reference, current and former, of every permanently removed run."""
        found = self._driver.fetch_all(PURGED_NAMES)
        return [(as_text(uid), as_text(reference)) for uid, reference in found]

    def every_reference(self) -> set[str]:
        """Return every current or former reference, of kept and of deleted runs."""
        return {as_text(row[0]) for row in self._driver.fetch_all(EVERY_REFERENCE)}

    def name_of(self, uid: str) -> str | None:
        """Return a run's reference, marked if deleted; None if it was never in this store."""
        row = self._driver.fetch_one(NAME_OF_UID, {"uid": uid})
        if row is None:
            return None
        reference, deleted_at, purged_at = row
        became = "" if deleted_at is None else "in the trash" if purged_at is None else "deleted"
        return f"{reference} ({became})" if became else str(reference)


def gone_edits(connection: Connection) -> dict[str, tuple[int, str]]:
    """Return the last edits of removed runs, by author: their time, and the run."""
    row = connection.execute(sql.GET_STATE, {"name": GONE_EDITS}).fetchone()
    try:
        kept = {} if row is None else json.loads(row[0])
        return {author: (int(at), str(reference)) for author, (at, reference) in kept.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreCorruptError(
            "The edit times of permanently deleted runs cannot be read.",
            kept="Nothing was changed.",
        ) from error


def _note_last_edits(connection: Connection, run: Expired) -> None:
    """Remember a run's last edits, so that `undo` does not revert an older edit instead."""
    edits = connection.execute(LAST_EDITS, {"id": run.run_id}).fetchall()
    if not edits:
        return
    known = gone_edits(connection)
    for author, at in edits:
        name = as_text(author)
        known[name] = max(known.get(name, (0, "")), (as_int(at), run.reference))
    connection.execute(sql.SET_STATE, {"name": GONE_EDITS, "value": json.dumps(known)})


def forget_last_edits(connection: Connection, uid: str, reference: str) -> None:
    """Forget the last edits of a removed run, because it is restored with its edits."""
    known = gone_edits(connection)
    left = {
        author: last for author, last in known.items() if without_ending(last[1], uid) != reference
    }
    if left != known:
        connection.execute(sql.SET_STATE, {"name": GONE_EDITS, "value": json.dumps(left)})


def set_deleted(connection: Connection, run_id: int, deleted_at: int | None) -> None:
    """Move a run to the trash or restore it, within the caller's transaction."""
    connection.execute(SET_DELETED, {"id": run_id, "deleted_at": deleted_at})


def _check_has_ended(row: sql.RunRow) -> None:
    if Status(row.status) in {Status.RUNNING, Status.LIVE}:
        raise RunActiveError(
            f"The run {row.reference} is still running.",
            kept="Nothing was deleted.",
            hint="Stop it first, or pass --force (in Python, force=True) if its process is dead.",
        )


def reference_of(database: Database, uid: str) -> str:
    """Return the reference of a run: kept, in the trash or permanently removed.

    Raises:
        RunNotFoundError: It was never in this store.
    """
    gone = (InTrash(database, among) for among in (sql.TRASHED, sql.PURGED))
    for lookups in (database, *gone):
        if run := lookups.run_by_uid(uid):
            return run.reference
    raise no_run(uid)
