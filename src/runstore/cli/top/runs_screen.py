"""The screen with the table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from runstore.cli.output import terminal_safe
from runstore.cli.top.data.order import TopOrder, names_in
from runstore.cli.top.data.pace import Attempt, Pace, attempted
from runstore.cli.top.data.reading import Reader, Snapshot
from runstore.cli.top.dialogs.choice import ChoiceDialog
from runstore.cli.top.dialogs.filter_line import FilterLine
from runstore.cli.top.editing import Editing
from runstore.cli.top.keys import QUIT, Key, KeysLine, KeysPage, bindings
from runstore.cli.top.screens.chart import ChartScreen
from runstore.cli.top.screens.details import DetailsScreen
from runstore.cli.top.screens.differences import DifferencesScreen
from runstore.cli.top.table.columns import OTHERS
from runstore.cli.top.table.view import RunsView
from runstore.cli.top.texts import clean, fitted
from runstore.lasting import LastingStore
from runstore.model.display.formatting import counted

_FILTER_HELP = "Type a filter; enter keeps it, esc restores the previous one."
_KEYS = (
    Key("", "", "↑↓", "move", "Move the cursor; page up, page down, home and end as well."),
    Key("enter", "details", "enter", "details", "Show everything about the run."),
    Key("space", "mark", "space", "mark", "Mark or unmark the run."),
    Key("escape", "unmark", "esc", "unmark", "Unmark all runs."),
    Key("g", "chart", "g", "chart", "Draw the metrics of the marked runs, or of the run."),
    Key("d", "differences", "d", "differences", "Show differences between the marked runs."),
    Key("t", "tag", "t", "tag", "Change tags of the marked runs, or of the run."),
    Key("n", "notes", "n", "notes", "Edit the notes of the run."),
    Key("delete,x", "delete", "x", "trash", "Move the marked runs, or the run, to the trash."),
    Key("u", "undo", "u", "undo", "Undo the last edit made here: tags, notes or trash."),
    # Letters typed quickly after the slash belong to the filter.
    Key("slash", "filter", "/", "filter", _FILTER_HELP, is_first=True),
    Key("s", "sort", "s", "sort", "Choose the sort key."),
    Key("r", "reverse", "r", "reverse", "Reverse the order."),
    Key("c", "columns", "c", "columns", "Choose the columns."),
    Key("f", "fold", "f", "fold", "Hide or show the children of the run."),
    Key("p", "pause", "p", "pause", "Pause or resume reading."),
    Key("y", "copy", "y", "copy", "Copy the reference of the run, and show it."),
    Key("question_mark", "keys", "?", "help", "Show this page."),
    QUIT,
)
_FILTER_KEYS = (
    Key("", "", "enter", "use the filter"),
    Key("", "", "esc", "restore the last filter"),
    Key("", "app.quit", "Ctrl-C", "quit"),
)
_MARKED_AT_LEAST = 2
_LOWEST_FOR_MACHINE = 12


class OneLine(Widget):
    """A text in one line; `…` marks a cut."""

    DEFAULT_CSS = "OneLine { height: 1; padding: 0 1; background: $boost; }"

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self._text = ""

    def update(self, text: str) -> None:
        """Show another text."""
        self._text = text
        self.refresh()

    def render(self) -> Text:
        """Return the text, cut to the width."""
        return Text(fitted(self._text, self.size.width))


class RunsScreen(Screen[None]):
    """The table of runs, refreshed until the program ends."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)
    DEFAULT_CSS = """
    RunsScreen #machine { color: $text-muted; }
    RunsScreen #message { height: auto; max-height: 4; padding: 0 1; display: none; }
    RunsScreen #message.-problem { background: $error 30%; }
    """

    def __init__(self, source: LastingStore, limit: int, pace: Pace, filter_text: str) -> None:
        super().__init__()
        self._source = source
        self._reader = Reader(source, limit)
        self._place = clean(_place(source.place))
        self._pace = pace
        self._filter = filter_text  # of the runs that are shown, or being read
        self._filter_line = FilterLine(filter_text)
        self._snapshot: Snapshot | None = None
        self._is_paused = False
        self._is_reading = False
        self._is_wanted = False
        self._has_failed = False
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield OneLine("machine")
        yield OneLine("head")
        yield RunsView()
        yield self._filter_line
        yield Static(id="message")
        yield KeysLine(_KEYS)

    def on_mount(self) -> None:
        """Start reading."""
        self._editing = Editing(self, self._source, self._report_edit)
        self._table.focus()
        self._show_head()
        self._read()

    def close(self) -> None:
        """End the reading."""
        self._reader.close()

    def on_resize(self, event: events.Resize) -> None:
        """Leave the line about the machine out of a low terminal."""
        self.query_one("#machine").display = event.size.height >= _LOWEST_FOR_MACHINE

    @property
    def _table(self) -> RunsView:
        return self.query_one(RunsView)

    # Reading

    def _read(self) -> None:
        """Read now, or again after the current reading."""
        self._is_wanted = self._is_reading
        if self._is_reading:
            return
        self._is_reading = True
        if self._timer is not None:
            self._timer.stop()
        self._filter = wanted = self._filter_line.text
        keys = self._table.wanted_metrics

        def attempt() -> Attempt[Snapshot]:
            return attempted(lambda: self._reader.read(wanted, keys))

        self.run_worker(attempt, name="runs", thread=True)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show the runs that were read, and plan the next reading."""
        event.stop()
        if not event.worker.is_finished or not isinstance(event.worker.result, Attempt):
            return
        found: Attempt[Snapshot] = event.worker.result
        self._is_reading = False
        if self._is_wanted or self._filter != self._filter_line.text:  # it has changed since
            self._read()
            return
        self._show(found)
        if not self._is_paused:
            self._timer = self.set_timer(self._pace.pause_s(found.took_s), self._read)

    def _show(self, found: Attempt[Snapshot]) -> None:
        self._filter_line.show_result(found.problem if found.is_usage else "")
        if found.value is not None:
            self._show_hints(found.value.hints)
            self._snapshot = found.value
            self._table.show(found.value)
            self.query_one("#machine", OneLine).update(found.value.machine)
        if found.problem and not found.is_usage:
            self._has_failed = True
            self._message(f"{found.problem} Trying again.", is_problem=True)
        elif self._has_failed:
            self._has_failed = False
            self._message("")
        self._show_head()

    def _show_hints(self, hints: Sequence[str]) -> None:
        """Show sentences about unknown names in the filter, once for each filter."""
        before = () if self._snapshot is None else self._snapshot.hints
        if tuple(hints) != tuple(before):
            self._message("\n".join(hints))

    # Messages

    def _message(self, text: str, *, is_problem: bool = False) -> None:
        message = self.query_one("#message", Static)
        message.set_class(is_problem, "-problem")
        message.display = bool(text)
        message.update(Text(terminal_safe(text, keep_lines=True)))

    def _report_edit(self, sentence: str, is_problem: bool) -> None:  # noqa: FBT001 - a callback
        self._message(sentence, is_problem=is_problem)
        self._show_head()
        self._read()

    def _show_head(self) -> None:
        """Show the state of the screen, most important first, since the line may be cut."""
        order = self._table.order
        parts = ["paused"] if self._is_paused else []
        if self._snapshot is None:
            parts.append("reading …")
        else:
            rows = self._snapshot.rows
            running = sum(not row.run.status.is_final for row in rows)
            parts.append(f"{counted(len(rows), 'run')}, {running:,} running")
        if self._table.marked:
            parts.append(f"{len(self._table.marked)} marked")
        if self._filter.strip():
            parts.append(f"filter: {clean(self._filter)}")
        parts.append(f"by {clean(order.by)}{', reversed' if order.is_reversed else ''}")
        parts.append(self._place)
        self.query_one("#head", OneLine).update("  |  ".join(parts))

    # Keys that open another screen

    def action_details(self) -> None:
        """Show the details of the run under the cursor."""
        if (run := self._table.current) is not None:
            self.app.push_screen(DetailsScreen(self._source, run, self._pace))

    def on_runs_view_opened(self) -> None:
        """Show the details of the run that was clicked."""
        self.action_details()

    def action_chart(self) -> None:
        """Draw the metrics of the selected runs."""
        if runs := self._table.selected:
            self.app.push_screen(ChartScreen(self._source, runs, self._pace))

    def action_differences(self) -> None:
        """Show differences between the marked runs."""
        marked = tuple(self._table.marked)
        if len(marked) < _MARKED_AT_LEAST:
            self._message("Mark two or more runs with the space bar, then press d.")
            return
        self.app.push_screen(DifferencesScreen(self._source, marked))

    def action_keys(self) -> None:
        """Show all keys."""
        self.app.push_screen(KeysPage(_KEYS))

    # Keys that edit runs

    def action_tag(self) -> None:
        """Change tags of the selected runs."""
        if runs := self._table.selected:
            self._editing.tag(runs)

    def action_notes(self) -> None:
        """Edit the notes of the run under the cursor."""
        if (run := self._table.current) is not None:
            self._editing.write_notes(run)

    def action_delete(self) -> None:
        """Move the selected runs to the trash after a question."""
        if runs := self._table.selected:
            uids = [run.uid for run in runs]
            self._editing.delete(runs, lambda: self._table.unmark(uids))

    def action_undo(self) -> None:
        """Undo the last edit of this session."""
        self._editing.undo()

    # The filter

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Leave the slash to the filter line while it is open."""
        return action != "filter" or not self._filter_line.is_open

    def action_filter(self) -> None:
        """Open the filter line."""
        self._filter_line.open()

    def on_filter_line_opened(self) -> None:
        """Show the keys of the filter line."""
        self.query_one(KeysLine).show(_FILTER_KEYS)

    def on_filter_line_changed(self) -> None:
        """Read the runs of the new filter."""
        self._read()

    def on_filter_line_left(self) -> None:
        """Return to the table."""
        self._table.focus()
        self.query_one(KeysLine).show(_KEYS)

    # Keys of the table

    def action_mark(self) -> None:
        """Mark or unmark the run under the cursor."""
        self._table.mark()
        self._show_head()

    def action_unmark(self) -> None:
        """Unmark all runs, and hide the message."""
        self._table.unmark(self._table.marked)
        self._message("")
        self._show_head()

    def _names(self) -> tuple[str, ...]:
        return () if self._snapshot is None else names_in(self._snapshot.rows)

    def action_sort(self) -> None:
        """Choose the sort key from a list."""

        def sort(chosen: tuple[str, ...] | None) -> None:
            if chosen:
                self._table.sort(TopOrder(chosen[0]))
                self._show_head()

        names = ("started", "took", "status", *self._names())
        by = self._table.order.by
        self.app.push_screen(ChoiceDialog("Sort by", names, [by], is_single=True), sort)

    def action_reverse(self) -> None:
        """Reverse the order."""
        self._table.sort(self._table.order.reversed())
        self._show_head()

    def action_columns(self) -> None:
        """Choose the columns from a list."""
        before = self._table.shown_names

        def show(chosen: tuple[str, ...] | None) -> None:
            if chosen is not None and (not chosen or set(chosen) != set(before)):
                self._table.choose(chosen or None)
                self._read()  # for sparklines

        dialog = ChoiceDialog("Columns", (*OTHERS, *self._names()), before, is_single=False)
        self.app.push_screen(dialog, show)

    def action_fold(self) -> None:
        """Hide or show the children of the run under the cursor."""
        if not self._table.fold():
            self._message("This run has neither a parent nor children in the table.")

    def action_pause(self) -> None:
        """Pause or resume reading."""
        self._is_paused = not self._is_paused
        if self._timer is not None:
            self._timer.stop()
        if not self._is_paused:
            self._read()
        self._show_head()

    def action_copy(self) -> None:
        """Copy the reference of the run under the cursor, and show it."""
        if (run := self._table.current) is not None:
            self.app.copy_to_clipboard(terminal_safe(run.reference))
            self._message(f"Copied: {run.reference}")


def _place(place: str) -> str:
    """Return a path relative to the working directory if it lies below it; a URL unchanged."""
    try:
        return str(Path(place).relative_to(Path.cwd()))
    except (OSError, ValueError):  # the working directory is gone, or the store lies elsewhere
        return place
