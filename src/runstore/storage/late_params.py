"""Parameters that are added to a run after its start."""

from __future__ import annotations

from runstore.model.params.added import replaced_by, with_added
from runstore.model.params.parameter_set import ParameterSet
from runstore.storage import rows
from runstore.storage import statements as sql
from runstore.storage.database import Database, Edit, add_event, run_row
from runstore.storage.driver import Connection

FIELD = "params"
_PREVIEW = 200


def add_params(
    database: Database,
    uid: str,
    added: ParameterSet,
    set_name: str | None,
    author: str,
    *,
    is_replacing: bool = False,
) -> tuple[ParameterSet, ...]:
    """Add values to a parameter set of a run, recording an event; return all its sets.

    Durable on return.

    Raises:
        ConflictError: A parameter already has another value.
        UsageError: There is no such set, or the run has several and none is named.
    """

    def add(connection: Connection) -> tuple[ParameterSet, ...]:
        run_id = run_row(connection, uid, or_trashed=True).id
        found = connection.execute(sql.SETS_OF_RUNS.format(ids=":id"), {"id": run_id}).fetchall()
        before = tuple(rows.set_from_row(row) for row in found)
        now = with_added(before, added, set_name, is_replacing=is_replacing)
        if now != before:
            database.replace_sets(connection, run_id, now)
            connection.execute(sql.MARK_CHANGED, {"id": run_id})
            # Parameters are part of the run's record, so that adding them cannot be undone.
            old = replaced_by(before, added, set_name) if is_replacing else None
            edit = Edit(
                FIELD, old and old.preview(_PREVIEW), added.preview(_PREVIEW), author, None
            )
            add_event(connection, run_id, edit)
        return now

    return database.driver.transact(add, of=[uid])


def replace_params(database: Database, uid: str, sets: tuple[ParameterSet, ...]) -> None:
    """Replace the parameter sets of a run. Durable on return."""

    def replace(connection: Connection) -> None:
        run_id = run_row(connection, uid, or_trashed=True).id
        database.replace_sets(connection, run_id, sets)
        connection.execute(sql.MARK_CHANGED, {"id": run_id})

    database.driver.transact(replace, of=[uid])
