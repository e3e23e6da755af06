"""Tags, notes and the trash: the dialogs, and the edits that follow from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from textual.screen import Screen

from runstore.cli.dialogs import named_in_lines
from runstore.cli.output import terminal_safe
from runstore.cli.top.data.edits import SessionEdits, counted, tag_changes
from runstore.cli.top.data.pace import attempted
from runstore.cli.top.dialogs.questions import LineDialog, Question, TextDialog
from runstore.lasting import LastingStore
from runstore.model.run import Run

_TAG_EXAMPLE = "+best phase=pilot -old"


class Editing:
    """Edits of runs from one screen, one after the other."""

    def __init__(
        self, screen: Screen[None], source: LastingStore, report: Callable[[str, bool], None]
    ) -> None:
        self._screen = screen
        self._edits = SessionEdits(source)
        self._report = report
        # In the order of the keys, whichever thread is quicker.
        self._turn = asyncio.Lock()

    def tag(self, runs: Sequence[Run]) -> None:
        """Ask for tags, and change the tags of runs."""

        def change(changes: dict[str, str | None] | None) -> None:
            if changes is not None:
                self._begin(partial(self._edits.tag, runs, changes))

        title = _titled(f"Tag {counted(runs)}", runs)
        self._screen.app.push_screen(LineDialog(title, _TAG_EXAMPLE, tag_changes), change)

    def write_notes(self, run: Run) -> None:
        """Open the notes of a run in an editor."""
        # The editor draws characters as they are, so controls must be visible before.
        before = terminal_safe(run.notes or "", keep_lines=True)

        def save(notes: str | None) -> None:
            if notes is not None and notes.strip() != before.strip():
                self._begin(partial(self._edits.write_notes, run, notes))

        self._screen.app.push_screen(TextDialog(f"Notes of {run.reference}", before), save)

    def delete(self, runs: Sequence[Run], then: Callable[[], None]) -> None:
        """Ask whether to move runs to the trash, and do so."""

        def move(is_wanted: bool | None) -> None:  # noqa: FBT001 - Textual's
            if is_wanted:
                self._begin(partial(self._edits.delete, runs), then)

        title = _titled(f"Move {counted(runs)} to the trash?", runs)
        self._screen.app.push_screen(Question(title), move)

    def undo(self) -> None:
        """Undo the last edit of this session."""
        self._begin(self._edits.undo)

    def _begin(self, edit: Callable[[], str], then: Callable[[], None] | None = None) -> None:
        self._screen.run_worker(self._in_turn(edit, then), group="edits")

    async def _in_turn(self, edit: Callable[[], str], then: Callable[[], None] | None) -> None:
        async with self._turn:
            done = await asyncio.to_thread(attempted, edit, in_full=True)
        if then is not None and not done.problem:
            then()
        self._report(done.problem or done.value or "", bool(done.problem))


def _titled(title: str, runs: Sequence[Run]) -> str:
    return "\n".join([title, *named_in_lines(run.reference for run in runs)])
