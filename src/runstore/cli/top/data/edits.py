"""Edits of runs made on the screen, each of which can be undone; made for threads."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from runstore.config import author_named
from runstore.errors import ConflictError, NotFoundError, UsageError
from runstore.lasting import LastingStore
from runstore.maintenance.edits import Done, checked_tags, edit_runs, trash_runs, undo_operation
from runstore.model.display.short_names import short_name
from runstore.model.run import Run
from runstore.store import Store
from runstore.value_classes import NamedTuple

_PATIENCE_S = 5.0  # while another program writes


class _Undoable(NamedTuple):
    operation: str
    about: str


class SessionEdits:
    """The edits of one session."""

    def __init__(self, source: LastingStore) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._done: list[_Undoable] = []

    def tag(self, runs: Sequence[Run], changes: Mapping[str, str | None]) -> str:
        """Set and remove tags of runs, and return a sentence about it.

        Raises:
            InvalidValueError: A key or a value cannot be a tag.
            RunNotFoundError: A run does not exist any more.
            StoreError: The store cannot be written now.
        """
        about = f"tags of {counted(runs)}"
        with self._opened() as store:
            done = edit_runs(store.backend, _uids(runs), author_named(None), tags=changes)
        return self._kept(done, about, f"Changed the {about}.")

    def write_notes(self, run: Run, notes: str) -> str:
        """Replace the notes of a run, and return a sentence about it.

        Args:
            run: The run as it was when the editor was opened.
            notes: The new notes.

        Raises:
            RunNotFoundError: The run does not exist any more.
            StoreError: The store cannot be written now.
        """
        about = f"notes of {counted([run])}"
        texts = [notes.strip() or None]
        with self._opened() as store:
            is_newer = store.get(run.uid).notes != run.notes
            done = edit_runs(store.backend, [run.uid], author_named(None), tags={}, notes=texts)
        newer = " over newer notes" if is_newer else ""
        return self._kept(done, about, f"Saved the {about}{newer}.")

    def delete(self, runs: Sequence[Run]) -> str:
        """Move runs to the trash, and return a sentence about it.

        Raises:
            RunActiveError: One of them is running; none was moved.
            RunNotFoundError: A run does not exist any more; none was moved.
            StoreError: The store cannot be written now.
        """
        about = f"deletion of {counted(runs)}"
        with self._opened() as store:
            done = trash_runs(store.backend, _uids(runs), author_named(None), is_forced=False)
        return self._kept(done, about, f"Moved {counted(runs)} to the trash.")

    def undo(self) -> str:
        """Undo the last edit of this session, and return a sentence about it.

        Raises:
            ConflictError: The same was changed since. The edit is skipped by the next undo.
            StoreError: The store cannot be written now.
        """
        with self._lock, self._opened() as store:
            if not self._done:
                return "Nothing to undo: no edit has been made here yet."
            last = self._done[-1]
            try:
                undo_operation(store.backend, last.operation, author_named(None))
            except (ConflictError, NotFoundError):
                self._done.pop()
                raise
            self._done.pop()
        return f"Undid the {last.about}."

    def _opened(self) -> AbstractContextManager[Store]:
        return self._source.opened(patience_s=_PATIENCE_S)

    def _kept(self, done: Done, about: str, sentence: str) -> str:
        if done.operation is None:
            return f"Nothing was changed: the {about} are the same already."
        with self._lock:
            self._done.append(_Undoable(done.operation, about))
        return f"{sentence} Press u to undo."


def counted(runs: Sequence[Run]) -> str:
    """Return a run by its name, several by their number."""
    if len(runs) == 1:
        return short_name(runs[0])
    return f"{len(runs):,} runs"


def tag_changes(text: str) -> dict[str, str | None]:
    """Return the changes that a text asks for: `+best phase=pilot -old`.

    Raises:
        UsageError: The text is empty, or has a word that cannot be a tag.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"Cannot read the tags: {error}.") from error
    if not words:
        raise UsageError("No tag was named.", hint="Write for example: +best phase=pilot -old")
    changes: dict[str, str | None] = {}
    for word in words:
        key, _, value = word.removeprefix("+").partition("=")
        changes.update({word[1:]: None} if word.startswith("-") else {key: value})
    checked_tags(changes)
    return changes


def _uids(runs: Sequence[Run]) -> list[str]:
    return [run.uid for run in runs]
