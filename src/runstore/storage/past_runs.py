"""Writing of a finished run with all its data at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstore.errors import RunActiveError
from runstore.model.display.suggestions import some_of
from runstore.model.status import Status
from runstore.storage import statements as sql
from runstore.storage.artifacts import Noted, put_artifact
from runstore.storage.database import Database, Edit, add_event, run_row
from runstore.storage.driver import Connection
from runstore.storage.indexes.facts import index_facts
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.metrics.table import add_points
from runstore.storage.new_runs import NewRun
from runstore.storage.rows import facts_to_text
from runstore.value_classes import NamedTuple

FIELD = "recorded"
AFTERWARDS = "after its end"
_NAMES_SHOWN = 20


class PastRun(NamedTuple):
    """A finished run, its end in microseconds; its contents are among the objects already.

    Each metric has at least one point. `ended_at` is None if unknown.
    """

    new: NewRun
    status: Status
    ended_at: int | None = None
    error: str | None = None
    traceback: str | None = None
    exit_code: int | None = None
    points: Mapping[KeyOf, Columns] = {}
    artifacts: Sequence[Noted] = ()


def write_past_run(database: Database, past: PastRun, author: str) -> None:
    """Write a finished run, atomically, with its author in an event; durable on return.

    The event cannot be undone.

    Raises:
        ConflictError: A path would be both a file and a folder.
    """
    new, facts = past.new, past.new.facts.values

    def write(connection: Connection) -> None:
        ending = {
            "status": past.status.value,
            "ended_at": past.ended_at,
            "last_seen_at": past.ended_at,
            "error": past.error,
            "traceback": past.traceback,
            "exit_code": past.exit_code,
        }
        run_id, _, _ = database.insert_run(connection, new, ending)
        if facts:
            connection.execute(sql.SET_FACTS, {"id": run_id, "facts": facts_to_text(new.facts)})
            index_facts(connection, run_id, facts, {})
        _add_products(connection, run_id, past.points, past.artifacts)
        add_event(connection, run_id, Edit(FIELD, None, AFTERWARDS, author, None))

    database.driver.transact(write, is_once=True)


def add_to_run(
    database: Database,
    uid: str,
    points: Mapping[KeyOf, Columns],
    artifacts: Sequence[Noted],
    author: str,
) -> None:
    """Add metrics and artifacts to a finished run, atomically; durable on return.

    This is recorded as events, which cannot be undone.

    Raises:
        ConflictError: A path would be both a file and a folder.
        RunActiveError: The run has not ended.
        RunNotFoundError: There is no such run.
    """

    def add(connection: Connection) -> None:
        row = run_row(connection, uid)
        if not Status(row.status).is_final:
            raise RunActiveError(
                f"The run {row.reference} is still {row.status}.",
                kept="Nothing was recorded.",
                hint=f"To log to it from this process: runstore.attach_run({row.reference!r}).",
            )
        _add_products(connection, row.id, points, artifacts)
        connection.execute(sql.MARK_CHANGED, {"id": row.id})
        for field, names in (
            ("metrics", [series.key for series in points]),
            ("artifacts", [artifact.path for artifact, _ in artifacts]),
        ):
            if names:
                add_event(
                    connection,
                    row.id,
                    Edit(field, None, some_of(names, _NAMES_SHOWN), author, None),
                )

    database.driver.transact(add, of=[uid], is_once=True)


def _add_products(
    connection: Connection,
    run_id: int,
    points: Mapping[KeyOf, Columns],
    artifacts: Sequence[Noted],
) -> None:
    add_points(connection, run_id, points)
    for artifact, preview in artifacts:
        put_artifact(connection, run_id, artifact, preview)
