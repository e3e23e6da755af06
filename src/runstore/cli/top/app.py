"""The program on a full screen: the table of runs, and what belongs around it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker

from runstore.cli.output import terminal_safe
from runstore.cli.top.details import DetailsScreen
from runstore.cli.top.differences import DifferencesScreen
from runstore.cli.top.filter_line import FilterLine
from runstore.cli.top.keys import QUIT, Key, KeysLine, KeysPage, bindings
from runstore.cli.top.pace import Attempt, Pace, attempted
from runstore.cli.top.reading import Reader, Snapshot
from runstore.cli.top.table import RunsView
from runstore.cli.top.texts import clean
from runstore.lasting import LastingStore
from runstore.store import Store

_KEYS = (
    Key("", "", "↑↓", "move", "Move the cursor; page up, page down, home and end as well."),
    Key("enter", "details", "enter", "details", "Show everything about the run."),
    Key("space", "mark", "space", "mark", "Mark the run, or take the mark away."),
    Key("d", "differences", "d", "differences", "Show what differs between the marked runs."),
    # First of all: what is typed in haste after it belongs to the filter.
    Key(
        *("slash", "filter", "/", "filter", "Type a filter; enter keeps it, esc goes back."),
        is_first=True,
    ),
    Key("s", "sort", "s", "sort", "Sort by start, duration, status, or one of the metrics."),
    Key("r", "reverse", "r", "reverse", "Sort from the other end."),
    Key("p", "pause", "p", "pause", "Stop reading the store, or go on."),
    Key("y", "copy", "y", "copy reference", "Copy the run's reference, and show it."),
    Key("question_mark", "keys", "?", "help", "Show this page."),
    QUIT,
)
_FILTER_KEYS = (
    Key("", "", "enter", "use the filter"),
    Key("", "", "esc", "leave it as it was"),
    Key("", "", "Ctrl-C", "quit"),
)
_MARKED_AT_LEAST = 2


class RunsScreen(Screen[None]):
    """The table of runs, read again and again.

    Args:
        source: The store.
        limit: Runs that are read at most.
        pace: How often.
        filter_text: The filter to begin with.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(_KEYS)
    DEFAULT_CSS = """
    RunsScreen #head { height: 1; padding: 0 1; background: $boost; }
    RunsScreen #told { height: auto; max-height: 3; padding: 0 1; display: none; }
    RunsScreen #told.-problem { background: $error 30%; }
    """

    def __init__(self, source: LastingStore, limit: int, pace: Pace, filter_text: str) -> None:
        super().__init__()
        self._source = source
        self._reader = Reader(source, limit)
        self._place = clean(_place(source.path))
        self._pace = pace
        self._filter = filter_text
        self._filter_line = FilterLine(filter_text)
        self._snapshot: Snapshot | None = None
        self._is_paused = False
        self._is_reading = False
        self._is_wanted = False
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield Static(id="head")
        yield RunsView()
        yield self._filter_line
        yield Static(id="told")
        yield KeysLine(_KEYS)

    def on_mount(self) -> None:
        """Begin to read."""
        self._table.focus()
        self._tell_head()
        self._read()

    @property
    def _table(self) -> RunsView:
        return self.query_one(RunsView)

    # Reading

    def _read(self) -> None:
        """Read now; where that is going on, again afterwards."""
        self._is_wanted = self._is_reading
        if self._is_reading:
            return
        self._is_reading = True
        if self._timer is not None:
            self._timer.stop()
        wanted = self._filter

        def attempt() -> Attempt[Snapshot]:
            return attempted(lambda: self._reader.read(wanted))

        self.run_worker(attempt, name="runs", thread=True)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show what was read, and see to it that it is read again."""
        event.stop()
        if not event.worker.is_finished or not isinstance(event.worker.result, Attempt):
            return
        found: Attempt[Snapshot] = event.worker.result
        self._is_reading = False
        if self._is_wanted:  # what was read belongs to an older filter
            self._read()
            return
        self._show(found)
        if not self._is_paused:
            self._timer = self.set_timer(self._pace.pause_s(found.took_s), self._read)

    def _show(self, found: Attempt[Snapshot]) -> None:
        self._filter_line.tell(found.problem if found.is_usage else "")
        if found.value is not None:
            self._snapshot = found.value
            self._table.show(found.value)
        if found.problem and not found.is_usage:
            self._tell(f"{found.problem} Trying again.", is_problem=True)
        elif self.query_one("#told").has_class("-problem"):
            self._tell("")
        self._tell_head()

    # Telling

    def _tell(self, text: str, *, is_problem: bool = False) -> None:
        told = self.query_one("#told", Static)
        told.set_class(is_problem, "-problem")
        told.display = bool(text)
        told.update(Text(terminal_safe(text, keep_lines=True)))

    def _tell_head(self) -> None:
        """Say what is shown: what matters most first, since the line may be cut."""
        order = self._table.order
        parts = ["paused"] if self._is_paused else []
        if self._snapshot is None:
            parts.append("reading …")
        else:
            rows = self._snapshot.rows
            going_on = sum(not row.run.status.is_final for row in rows)
            parts.append(f"{len(rows):,} runs, {going_on:,} going on")
        if self._table.marked:
            parts.append(f"{len(self._table.marked)} marked")
        if self._filter.strip():
            parts.append(f"filter: {clean(self._filter)}")
        parts.append(f"by {clean(order.name)}{', reversed' if order.is_reversed else ''}")
        parts.append(self._place)
        self.query_one("#head", Static).update(
            Text("  |  ".join(parts), no_wrap=True, overflow="ellipsis")
        )

    # Keys

    def action_details(self) -> None:
        """Show the details of the run under the cursor."""
        if (run := self._table.current) is not None:
            self.app.push_screen(DetailsScreen(self._source, run, self._pace))

    def on_runs_view_opened(self) -> None:
        """Show the details of the run that was clicked."""
        self.action_details()

    def action_mark(self) -> None:
        """Mark the run under the cursor."""
        self._table.mark()
        self._tell_head()

    def action_differences(self) -> None:
        """Show what differs between the marked runs."""
        marked = tuple(self._table.marked)
        if len(marked) < _MARKED_AT_LEAST:
            self._tell("Mark two runs or more with the space bar, then press d.")
            return
        self.app.push_screen(DifferencesScreen(self._source, marked))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Let the slash be a letter while a filter is typed."""
        return action != "filter" or not self._filter_line.is_open

    def action_filter(self) -> None:
        """Let the user type a filter."""
        self._filter_line.open()
        self.query_one(KeysLine).show(_FILTER_KEYS)

    def on_filter_line_changed(self, event: FilterLine.Changed) -> None:
        """Read the runs of another filter."""
        self._filter = event.text
        self._read()

    def on_filter_line_left(self) -> None:
        """Go on in the table."""
        self._table.focus()
        self.query_one(KeysLine).show(_KEYS)

    def action_sort(self) -> None:
        """Sort by what comes next."""
        self._table.sort(self._table.order.next(self._table.metric_keys))
        self._tell_head()

    def action_reverse(self) -> None:
        """Sort from the other end."""
        self._table.sort(self._table.order.reversed())
        self._tell_head()

    def action_pause(self) -> None:
        """Stop reading, or go on."""
        self._is_paused = not self._is_paused
        if self._timer is not None:
            self._timer.stop()
        if not self._is_paused:
            self._read()
        self._tell_head()

    def action_copy(self) -> None:
        """Copy the reference of the run under the cursor, and show it."""
        if (run := self._table.current) is not None:
            self.app.copy_to_clipboard(terminal_safe(run.reference))
            self._tell(f"Copied: {run.reference}")

    def action_keys(self) -> None:
        """Show all keys."""
        self.app.push_screen(KeysPage(_KEYS))


def _place(path: Path) -> str:
    """Return a path as it is seen from here, where it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (OSError, ValueError):  # the working directory is gone, or the path lies elsewhere
        return str(path)


class TopApp(App[None]):
    """Runs on a full screen.

    Args:
        store: The store, open; it is read until the program ends.
        limit: Runs that are read at most.
        refresh_s: From one reading to the next, in seconds; longer where reading takes long.
        filter_text: The filter to begin with.
    """

    TITLE = "runstore top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(
        self, store: Store, *, limit: int = 100, refresh_s: float = 1.0, filter_text: str = ""
    ) -> None:
        super().__init__()
        self._source = LastingStore(store)
        self._first = RunsScreen(self._source, limit, Pace(refresh_s), filter_text)

    def get_default_screen(self) -> RunsScreen:
        """Begin with the table."""
        return self._first

    def on_mount(self) -> None:
        """Restore the terminal before the program ends for a signal."""
        if not self.is_headless:
            self._listen_to_signals()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.exit)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit, None, 128 + number)

    def close(self) -> None:
        """Give back the store."""
        self._source.close()
