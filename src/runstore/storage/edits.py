"""Notes and tags of runs; each edit is recorded as an event and can be undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from runstore.errors import ConflictError, NotFoundError, StoreCorruptError
from runstore.model.reference import new_uid, without_ending
from runstore.model.results.events import DELETED, Event
from runstore.model.values import clean_text
from runstore.storage import statements as sql
from runstore.storage.database import Database, Edit, RunEdits, add_event, run_row
from runstore.storage.driver import Connection
from runstore.storage.moves import move_back
from runstore.storage.rows import (
    as_int,
    as_optional_text,
    as_text,
    as_time,
    moment_of,
    moment_text,
    pairs_of_texts,
)
from runstore.storage.trash import gone_edits, set_deleted
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TAG = "tags."

EDIT_NOTES = f"UPDATE runs SET notes = :new, changed = {sql.NEXT_CHANGE} WHERE id = :id"  # noqa: S608 - a constant
TAG_OF_RUN = "SELECT value FROM tags WHERE run_id = :run_id AND key = :key"
TAGS_OF_UID = """
    SELECT t.key, t.value FROM runs r JOIN tags t ON t.run_id = r.id WHERE r.uid = :uid
"""
REMOVE_TAG = "DELETE FROM tags WHERE run_id = :run_id AND key = :key"
EVENTS_OF_RUN = """
    SELECT at, author, field, old, new, operation, undoes FROM events
    WHERE run_id = :run_id ORDER BY id
"""
# An undo that was redone counts no more.
_CAN_BE_UNDONE = """
    e.operation IS NOT NULL AND e.undoes IS NULL
    AND NOT EXISTS (SELECT 1 FROM events u WHERE u.undoes = e.operation
        AND NOT EXISTS (SELECT 1 FROM events r WHERE r.undoes = u.operation))
"""
# By time: edits that came from another store may be older than those made here.
LAST_OPERATION = f"""
    SELECT e.operation FROM events e
    WHERE e.author = :author AND e.{sql.BY_HAND} AND {_CAN_BE_UNDONE}
    ORDER BY e.at DESC, e.id DESC LIMIT 1
"""  # noqa: S608 - a constant
LAST_OPERATION_OF_RUN = f"""
    SELECT e.operation FROM events e WHERE e.run_id = :run_id AND {_CAN_BE_UNDONE}
    ORDER BY e.id DESC LIMIT 1
"""  # noqa: S608 - a constant
# As in an editor, a new edit is the end of redoing.
LAST_UNDO = f"""
    SELECT e.operation FROM events e
    WHERE e.author = :author AND e.undoes IS NOT NULL
    AND e.at >= coalesce((SELECT n.at FROM events n WHERE n.author = :author
        AND n.{sql.BY_HAND} AND n.undoes IS NULL ORDER BY n.at DESC, n.id DESC LIMIT 1), 0)
    AND NOT EXISTS (SELECT 1 FROM events r WHERE r.undoes = e.operation)
    AND EXISTS (SELECT 1 FROM events o WHERE o.operation = e.undoes AND o.undoes IS NULL)
    ORDER BY e.at DESC, e.id DESC LIMIT 1
"""  # noqa: S608 - a constant
IS_UNDONE = """
    SELECT 1 FROM events u WHERE u.undoes = :operation
    AND NOT EXISTS (SELECT 1 FROM events r WHERE r.undoes = u.operation) LIMIT 1
"""
EVENTS_OF_OPERATION = """
    SELECT e.at, e.author, e.field, e.old, e.new, e.operation, e.undoes, r.uid,
        r.reference
    FROM events e JOIN runs r ON r.id = e.run_id
    WHERE e.operation = :operation ORDER BY e.id DESC
"""


class Undone(NamedTuple):
    """An undone edit: the run, its reference before the undo, and the event of the edit."""

    uid: str
    reference: str
    event: Event


class EditTable:
    """The notes and tags of the runs of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver = database.driver

    def change(
        self,
        uids: Iterable[str],
        tags: Mapping[str, str | None],
        author: str,
        *,
        notes: Sequence[str | None] = (),
        of_program: bool = False,
    ) -> str | None:
        """Change tags and notes of runs, atomically; unchanged ones leave no event.

        Args:
            uids: The runs.
            tags: Values by key; None removes the tag.
            author: Author of the edit.
            notes: The new notes; if empty, notes stay unchanged.
            of_program: Whether the program of the run makes the edit. It may be in the trash, and
                the last edit of its author remains the one before.

        Returns:
            The id of the operation, which can be undone; None if nothing changed.

        Raises:
            RunNotFoundError: One of the runs is not in the store.
        """
        operation = f"{sql.OF_PROGRAM}{new_uid()}" if of_program else new_uid()
        change = RunEdits([*uids], tags, notes, author, operation, or_trashed=of_program)
        is_changed = self._database.edit_at_once(change)
        if is_changed is None:
            is_changed = self._driver.transact(lambda one: _edit(one, change), of=change.uids)
        return change.operation if is_changed else None

    def tags_of(self, uid: str) -> dict[str, str]:
        """Return the tags of a run, also if it is in the trash; empty if it was removed."""
        return pairs_of_texts(self._driver.fetch_all(TAGS_OF_UID, {"uid": uid}))

    def events(self, uid: str) -> list[Event]:
        """Return the edits of a run, oldest first, also if it is in the trash."""
        with self._driver.read() as connection:
            run_id = run_row(connection, uid, or_trashed=True).id
            found = connection.execute(EVENTS_OF_RUN, {"run_id": run_id}).fetchall()
        return [_event(row) for row in found]

    # Undo

    def last_operation(self, author: str, uid: str | None = None) -> list[Undone]:
        """Return the events that `undo` would revert: the last edit by this author, or of one run.

        Raises:
            NotFoundError: There is no edit to undo.
        """
        with self._driver.read() as connection:
            return self._last(connection, author, uid)

    def undo(self, author: str, uid: str | None = None) -> list[Undone]:
        """Undo the last edit by this author, or of one run; the undo is recorded as events too.

        Raises:
            NotFoundError: There is no edit to undo.
            ConflictError: The same field was changed since.
        """

        def undo(connection: Connection) -> list[Undone]:
            last = self._last(connection, author, uid)
            _take_back(connection, last, author)
            return last

        return self._driver.transact(undo, is_once=True)

    def redo(self, author: str, *, is_dry: bool = False) -> list[Undone]:
        """Redo the edit that this author undid last; this leaves events too.

        Raises:
            NotFoundError: Nothing was undone since the last edit.
            ConflictError: The same field was changed since.
        """

        def redo(connection: Connection) -> list[Undone]:
            found = connection.execute(LAST_UNDO, {"author": author}).fetchone()
            if found is None:
                raise NotFoundError(
                    "There is no undone edit to redo.",
                    kept="Nothing was changed.",
                    hint="Only undos after your last edit can be redone.",
                )
            rows = connection.execute(EVENTS_OF_OPERATION, {"operation": found[0]}).fetchall()
            events = [Undone(row[7], row[8], _event(row)) for row in rows]
            if not is_dry:
                _take_back(connection, events, author)
            return events

        return self._driver.transact(redo, is_once=True)

    def undo_operation(self, operation: str, author: str) -> list[Undone]:
        """Undo all edits of one operation, even if other fields were edited since.

        Raises:
            NotFoundError: There is no such operation.
            ConflictError: It was undone already, or the same field was changed since.
        """

        def undo(connection: Connection) -> list[Undone]:
            done = {"operation": clean_text(operation)}
            rows = connection.execute(EVENTS_OF_OPERATION, done).fetchall()
            events = [Undone(row[7], row[8], _event(row)) for row in rows]
            if not events or any(one.event.undoes for one in events):
                raise NotFoundError("There is no such edit.", kept="Nothing was changed.")
            if connection.execute(IS_UNDONE, done).fetchone() is not None:
                raise ConflictError("This was undone already.", kept="Nothing was changed.")
            _take_back(connection, events, author)
            return events

        return self._driver.transact(undo, is_once=True)

    def _last(self, connection: Connection, author: str, uid: str | None) -> list[Undone]:
        if uid is None:
            found = connection.execute(LAST_OPERATION, {"author": author}).fetchone()
        else:
            run = run_row(connection, uid, or_trashed=True)
            found = connection.execute(LAST_OPERATION_OF_RUN, {"run_id": run.id}).fetchone()
        if found is None:
            of = "" if uid is None else f" of {run.reference}"
            raise NotFoundError(f"There is no edit{of} to undo.", kept="Nothing was changed.")
        rows = connection.execute(EVENTS_OF_OPERATION, {"operation": found[0]}).fetchall()
        if uid is None:
            _check_is_last(connection, author, min(as_int(row[0]) for row in rows))
        return [Undone(row[7], row[8], _event(row)) for row in rows]


def _edit(connection: Connection, change: RunEdits) -> bool:
    """Change tags and notes within the caller's transaction; return whether any changed."""
    is_changed = False
    for uid in change.uids:
        row = run_row(connection, uid, or_trashed=change.or_trashed)
        edits = [
            (TAG + key, _put_tag(connection, row.id, key, value), value)
            for key, value in change.tags.items()
        ]
        for text in change.notes:
            if row.notes != text:
                connection.execute(EDIT_NOTES, {"id": row.id, "new": text})
            edits.append(("notes", row.notes, text))
        for field, old, new in edits:
            if old != new:
                is_changed = True
                edit = Edit(field, old, new, change.author, change.operation)
                add_event(connection, row.id, edit)
    return is_changed


def _take_back(connection: Connection, events: Iterable[Undone], author: str) -> None:
    """Undo edits within the caller's transaction, recording events."""
    operation = new_uid()
    for uid, _, event in events:
        row = run_row(connection, uid, or_trashed=True)
        _apply_old(connection, row, event)
        back = Edit(event.field, event.new, event.old, author, operation, event.operation)
        add_event(connection, row.id, back)


def _check_is_last(connection: Connection, author: str, at: int) -> None:
    """Raise ConflictError if the author edited a permanently removed run after this time."""
    gone_at, reference = gone_edits(connection).get(author, (at - 1, ""))
    if gone_at >= at:
        raise ConflictError(
            f"Your last edit changed {reference}, which has since been deleted permanently.",
            kept="No edit was undone.",
            hint="To undo the last edit of another run, name it: runstore undo RUN",
        )


def _put_tag(connection: Connection, run_id: int, key: str, value: str | None) -> str | None:
    """Set or remove a tag, and return its previous value."""
    where = {"run_id": run_id, "key": key}
    row = connection.execute(TAG_OF_RUN, where).fetchone()
    old = None if row is None else str(row[0])
    if old == value:
        return old
    if value is None:
        connection.execute(REMOVE_TAG, where)
    else:
        connection.execute(sql.PUT_TAG, {**where, "value": value})
    connection.execute(sql.MARK_CHANGED, {"id": run_id})
    return old


def _event(row: Sequence[Any]) -> Event:
    """Build an event from a row that begins with the columns of an event."""
    at, author, field, *more = row[:7]
    old, new, operation, undoes = map(as_optional_text, more)
    return Event(as_time(at), as_text(author), as_text(field), old, new, operation, undoes)


def _undo_notes(connection: Connection, row: sql.RunRow, event: Event) -> None:
    _check_same(event, row.notes)
    connection.execute(EDIT_NOTES, {"id": row.id, "new": event.old})


def _undo_tag(connection: Connection, row: sql.RunRow, event: Event) -> None:
    now = _put_tag(connection, row.id, event.field.removeprefix(TAG), event.old)
    _check_same(event, now)


def _undo_reference(connection: Connection, row: sql.RunRow, event: Event) -> None:
    is_ending = row.reference != event.new  # the run shares its reference since a transfer
    _check_same(event, without_ending(row.reference, row.uid) if is_ending else row.reference)
    move_back(connection, row, event.old or "")


def _undo_deleted(connection: Connection, row: sql.RunRow, event: Event) -> None:
    _check_same(event, None if row.deleted_at is None else moment_text(row.deleted_at))
    try:
        deleted_at = None if event.old is None else moment_of(event.old)
    except (ValueError, TypeError, OverflowError) as error:
        raise StoreCorruptError(
            f"The edit of {row.reference} cannot be undone: {error}.",
            kept="Nothing was changed.",
        ) from error
    set_deleted(connection, row.id, deleted_at)


def _undo_nothing(_: Connection, __: sql.RunRow, ___: Event) -> None:
    """Do nothing: `_undo_reference` restores the experiment's name as well."""


_UNDO: Mapping[str, Callable[[Connection, sql.RunRow, Event], None]] = {
    "notes": _undo_notes,
    "reference": _undo_reference,
    "experiment_name": _undo_nothing,
    DELETED: _undo_deleted,
}
UNDONE_FIELDS = frozenset(_UNDO)  # and tags


def _apply_old(connection: Connection, row: sql.RunRow, event: Event) -> None:
    if event.field.startswith(TAG):
        _undo_tag(connection, row, event)
    else:
        _UNDO[event.field](connection, row, event)


def _check_same(event: Event, now: str | None) -> None:
    if now != event.new:
        raise ConflictError(
            f"{event.field} was changed since: it is now {now!r}, not {event.new!r}.",
            kept="Nothing was changed.",
            hint="Edit it by hand.",
        )
