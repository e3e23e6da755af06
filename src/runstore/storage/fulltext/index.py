"""Updates of the search index: its documents, and their places in files.

A document is a note, an error, a traceback, or a piece of printed output. The index is updated by
a search, in short transactions, so that it can be interrupted at any moment, and several processes
share the work. It follows `runs.changed`, which grows with every change of any run.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from runstore.errors import NotFoundError, StoreCorruptError
from runstore.model.text.matches import TEXT_FIELDS
from runstore.model.text.required_literals import fold
from runstore.storage.database import Database
from runstore.storage.files.objects import Objects
from runstore.storage.fulltext.index_file import make_anew
from runstore.storage.fulltext.pieces import checksum_of, pieces_of, texts_in
from runstore.storage.rows import as_int, as_optional_text, as_text, grouped
from runstore.storage.statements import NEWEST_CHANGE
from runstore.value_classes import NamedTuple

FIELD_NUMBERS: Mapping[str, int] = {name: number for number, name in enumerate(TEXT_FIELDS)}
OUTPUT_FIELD = FIELD_NUMBERS["output"]
# Two characters after a text, so that each of its characters begins a trigram.
PADDING = "\n\n"
_STEP_S = 0.5
_ROWS_AT_ONCE = 500
_MARKS_KEPT = 8
_STALE_AT_LEAST = 20_000
_NOT_THERE, _DAMAGED = -1, -2  # of `parts.taken_bytes`

# Statements on runs

CREATED_AT = "SELECT coalesce(min(applied_at), 0) FROM schema_migrations"
CHANGE_OF_RUN = "SELECT changed FROM runs WHERE uid = ?"
# Events of runs in the trash are removed with them. The last column is the newest run if it was
# started after the event.
NEWEST_EVENT = """
    SELECT e.id, e.link, r.uid, (
        SELECT n.uid FROM runs n WHERE n.id = (SELECT max(id) FROM runs) AND n.started_at > e.at
    )
    FROM events e JOIN runs r ON r.id = e.run_id
    WHERE r.deleted_at IS NULL ORDER BY e.id DESC LIMIT 1
"""
LINK_OF_EVENT = "SELECT link FROM events WHERE id = ?"
CHANGED_RUNS = """
    SELECT id, uid, changed, deleted_at, notes, error, traceback FROM runs
    WHERE changed > ? ORDER BY changed LIMIT ?
"""
CHANGED_WITHOUT_TEXTS = """
    SELECT id, uid, changed, deleted_at FROM runs WHERE changed > ? ORDER BY changed LIMIT ?
"""
OUTPUTS_OF_RUNS = """
    SELECT run_id, part, digest, size_bytes FROM outputs
    WHERE run_id IN (SELECT value FROM json_each(?))
"""
RUNS_LEFT = "SELECT count(*) FROM runs WHERE changed > ?"
BYTES_LEFT = """
    SELECT coalesce(sum(o.size_bytes), 0) FROM runs r JOIN outputs o ON o.run_id = r.id
    WHERE r.changed > ?
"""

# Statements on the index

ADD_DOCUMENT = """
    INSERT INTO documents (run_id, field, part_id, begin, size_bytes, first_line, checksum)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
ADD_TEXT = "INSERT INTO trigrams (rowid, text) VALUES (?, ?)"
TEXTS_OF_RUNS = """
    SELECT run_id, field, id, checksum FROM documents
    WHERE run_id IN (SELECT value FROM json_each(?)) AND part_id IS NULL
"""
PARTS_OF_RUNS = """
    SELECT run_id, part, digest, id, size_bytes, taken_bytes FROM parts
    WHERE run_id IN (SELECT value FROM json_each(?))
"""
ADD_PART = """
    INSERT INTO parts (run_id, part, digest, size_bytes, taken_bytes, lines)
    VALUES (?, ?, ?, ?, 0, 0)
"""
PART = "SELECT taken_bytes, lines FROM parts WHERE id = ?"
TAKE_PART = "UPDATE parts SET taken_bytes = ?, lines = ? WHERE id = ?"
# The first condition lets SQLite use the small index of unreadable parts.
MISSING_PARTS = """
    SELECT id, run_id, digest, size_bytes FROM parts WHERE taken_bytes < 0 AND taken_bytes = -1
"""
REMOVE_DOCUMENT = "DELETE FROM documents WHERE id = ?"
REMOVE_PART = "DELETE FROM parts WHERE id = ?"
REMOVE_DOCUMENTS_OF_PART = "DELETE FROM documents WHERE run_id = ? AND part_id = ?"
REMOVE_DOCUMENTS_OF_RUN = "DELETE FROM documents WHERE run_id = ?"
REMOVE_PARTS_OF_RUN = "DELETE FROM parts WHERE run_id = ?"
COUNT_DOCUMENTS = "SELECT count(*) FROM documents"
GET_FACT = "SELECT value FROM facts WHERE name = ?"
SET_FACT = "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)"


class Mark(NamedTuple):
    """Progress of the index: the number of a change, the run that changed, and an event before.

    Change numbers may be reused after the runs with the highest ones are removed, or if an older
    copy of the database was put back. As long as the run and the event of a mark exist, all later
    changes have higher numbers. If the event was removed with its run, which was permanently
    deleted, a run that was started after the event has to exist instead.
    """

    changed: int
    uid: str
    event: int = 0
    link: str = ""
    edited: str = ""
    later: str | None = None


class SearchIndex:
    """The open index of one store."""

    def __init__(
        self, connection: sqlite3.Connection, database: Database, objects: Objects
    ) -> None:
        self._connection = connection
        self._database = database
        self._objects = objects
        self._deadline = 0.0
        self._stale = 0

    # Progress

    def seen(self) -> int:
        """Return the change number up to which all runs are indexed."""
        marks = self._trusted_marks()
        return marks[0].changed if marks else 0

    def newest_change(self) -> int:
        """Return the last change of any run."""
        return as_int(self._of_runs(NEWEST_CHANGE)[0][0])

    def left(self) -> tuple[int, int]:
        """Return the number of runs still to be indexed, and the bytes of their output."""
        seen = self.seen()
        return self._of_runs(RUNS_LEFT, seen)[0][0], self._of_runs(BYTES_LEFT, seen)[0][0]

    def _trusted_marks(self) -> list[Mark]:
        """Return the marks from the latest one whose run still exists, newest first."""
        if self._fact("born_at") != self._of_runs(CREATED_AT)[0][0]:
            return []
        try:
            marks = [Mark(*one) for one in json.loads(self._fact("marks") or "[]")]
        except (TypeError, ValueError, RecursionError) as error:
            raise sqlite3.DatabaseError(f"marks: {error}") from error
        for place, mark in enumerate(marks):
            found = self._of_runs(CHANGE_OF_RUN, mark.uid)
            if found and found[0][0] >= mark.changed and self._has_event(mark):
                return marks[place:]
        return []

    def _has_event(self, mark: Mark) -> bool:
        if not mark.event or any(
            str(link) == mark.link for (link,) in self._of_runs(LINK_OF_EVENT, mark.event)
        ):
            return True
        is_later = bool(self._of_runs(CHANGE_OF_RUN, mark.later))
        return is_later and self._database.is_purged(mark.edited)

    def _fact(self, name: str) -> Any:
        row = self._connection.execute(GET_FACT, (name,)).fetchone()
        return None if row is None else row[0]

    def _of_runs(self, statement: str, *parameters: Any) -> Sequence[Any]:
        return self._database.driver.fetch_all(statement, parameters)

    # Update

    def catch_up(self, tell: Callable[[], None]) -> None:
        """Index changes since the last search; `tell` is called between two steps.

        Raises:
            sqlite3.Error: The file cannot be written, or is damaged; earlier steps are kept.
        """
        # Later changes are left to the next search, because this one might never end otherwise.
        newest = self.newest_change()
        while self.seen() < min(newest, self.newest_change()):
            self._transaction(self._step)
            tell()
        missing = self._connection.execute(MISSING_PARTS).fetchall()
        back = [row for row in missing if self._objects.size_of(row[2]) is not None]
        for row in back:
            self._transaction(partial(self._take_missing, *row))

    def _transaction(self, work: Callable[[], None]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            work()
            self._connection.execute("COMMIT")
        except BaseException:  # even of a signal handler: no transaction may stay open
            # A full disk may have caused a rollback already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _step(self) -> None:
        """Index changes for half a second."""
        self._deadline = time.monotonic() + _STEP_S
        created_at = self._of_runs(CREATED_AT)[0][0]
        if self._fact("born_at") not in {None, created_at}:
            make_anew(self._connection)  # the runs belong to another database
        self._connection.execute(SET_FACT, ("born_at", created_at))
        self._stale = self._fact("stale") or 0
        marks = self._trusted_marks()
        reached = marks[0] if marks else Mark(0, "")
        events = self._of_runs(NEWEST_EVENT)
        while True:
            rows = self._changed_runs(reached.changed)
            further = self._take(rows)
            reached = further or reached
            if further is None or len(rows) < _ROWS_AT_ONCE or self._is_late():
                break
        self._connection.execute(SET_FACT, ("stale", self._stale))
        if reached.uid and reached not in marks:
            for event, link, edited, later in events:
                evidence = event, str(link), as_text(edited), as_optional_text(later)
                reached = Mark(reached.changed, reached.uid, *evidence)
            # One of each run that was edited, because all of them may lose their events at once.
            run = reached.edited, reached.later
            others = [one for one in marks if not one.event or (one.edited, one.later) != run]
            marks = [reached, *others][:_MARKS_KEPT]
            self._connection.execute(SET_FACT, ("marks", json.dumps(marks)))
        self._forget_if_stale()

    def _changed_runs(self, after: int) -> Sequence[Any]:
        try:
            return self._of_runs(CHANGED_RUNS, after, _ROWS_AT_ONCE)
        except StoreCorruptError:  # a text is too long
            some = self._of_runs(CHANGED_WITHOUT_TEXTS, after, _ROWS_AT_ONCE)
            return [(*row, *self._database.texts_of(row[0])) for row in some]

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _forget_if_stale(self) -> None:
        """Rebuild the index if most of its contents belong to removed texts."""
        if self._stale < _STALE_AT_LEAST:
            return
        if self._stale > self._connection.execute(COUNT_DOCUMENTS).fetchone()[0]:
            make_anew(self._connection)

    def _take(self, rows: Sequence[Any]) -> Mark | None:
        """Index these runs until time is up; return the mark of the last complete one."""
        ids = json.dumps([row[0] for row in rows])
        texts = grouped(self._connection.execute(TEXTS_OF_RUNS, (ids,)))
        parts = grouped(self._connection.execute(PARTS_OF_RUNS, (ids,)))
        outputs = grouped(self._of_runs(OUTPUTS_OF_RUNS, ids))
        reached = None
        for run_id, uid, changed, deleted_at, *fields in rows:
            if deleted_at is not None:
                self._forget_run(run_id)
            else:
                self._take_texts(run_id, [*map(as_optional_text, fields)], texts[run_id])
                if not self._take_outputs(run_id, outputs[run_id], parts[run_id]):
                    return reached
            reached = Mark(as_int(changed), as_text(uid))
            if self._is_late():
                break
        return reached

    def _forget_run(self, run_id: int) -> None:
        gone = self._connection.execute(REMOVE_DOCUMENTS_OF_RUN, (run_id,)).rowcount
        self._connection.execute(REMOVE_PARTS_OF_RUN, (run_id,))
        self._stale += gone

    # Notes and errors

    def _take_texts(self, run_id: int, texts: Sequence[str | None], known: Sequence[Any]) -> None:
        old = {field: (document, checksum) for field, document, checksum in known}
        for field, text in enumerate(texts):
            checksum = checksum_of((text or "").encode(errors="replace"))
            document, old_checksum = old.get(field, (None, None))
            if document is not None and (not text or checksum != old_checksum):
                self._connection.execute(REMOVE_DOCUMENT, (document,))
                self._stale += 1
                document = None
            if text and document is None:
                self._add((run_id, field, None, 0, 0, 1, checksum), text)

    def _add(self, document: tuple[Any, ...], text: str) -> None:
        row_id = self._connection.execute(ADD_DOCUMENT, document).lastrowid
        self._connection.execute(ADD_TEXT, (row_id, fold(text) + PADDING))

    # Output

    def _take_outputs(self, run_id: int, outputs: Sequence[Any], known: Sequence[Any]) -> bool:
        """Index the output of a run; return False if time was up first."""
        old = {(part, digest): rest for part, digest, *rest in known}
        for part, digest, size in outputs:
            part_id, _, taken = old.pop((part, digest), (None, 0, 0))
            if part_id is None:
                added = self._connection.execute(ADD_PART, (run_id, part, digest, size))
                part_id = added.lastrowid
            elif taken == size or taken < 0:
                continue
            if not self._take_part(part_id, run_id, digest, size):
                return False
        for part_id, *_ in old.values():
            gone = self._connection.execute(REMOVE_DOCUMENTS_OF_PART, (run_id, part_id))
            self._stale += gone.rowcount
            self._connection.execute(REMOVE_PART, (part_id,))
        return True

    def _take_missing(self, part_id: int, run_id: int, digest: str, size: int) -> None:
        """Index a file that was missing before, all at once."""
        self._deadline = float("inf")
        self._connection.execute(TAKE_PART, (0, 0, part_id))
        self._take_part(part_id, run_id, digest, size)

    def _take_part(self, part_id: int, run_id: int, digest: str, size: int) -> bool:
        """Index more of a file of printed lines; return False if time was up first."""
        try:
            file = self._objects.opened(digest, size)
        except NotFoundError:
            self._connection.execute(TAKE_PART, (_NOT_THERE, 0, part_id))
            return True
        except StoreCorruptError:
            self._connection.execute(TAKE_PART, (_DAMAGED, 0, part_id))
            return True
        with file:
            taken, lines = self._connection.execute(PART, (part_id,)).fetchone()
            for begin, data in pieces_of(file, taken):
                texts = texts_in(data)
                place = (run_id, OUTPUT_FIELD, part_id, begin, len(data), lines + 1)
                self._add((*place, checksum_of(data)), "\n".join(texts))
                taken, lines = begin + len(data), lines + len(texts)
                if self._is_late():
                    break
        self._connection.execute(TAKE_PART, (taken, lines, part_id))
        return bool(taken == size)
