"""The screen with the details of one run, refreshed while it is running."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input, Static
from textual.worker import Worker

from runstore.cli.output import terminal_safe
from runstore.cli.top.data.pace import Attempt, Pace, attempted
from runstore.cli.top.keys import QUIT, Key, KeysLine, bindings
from runstore.cli.top.screens.details_text import Details, Section
from runstore.lasting import LastingStore
from runstore.model.run import Run

_LABEL_WIDTH = 36

Found = Attempt["tuple[str, Run, tuple[Section, ...]]"]


class DetailsScreen(Screen[None]):
    """Everything about a run, or the lines of it that contain a text."""

    KEYS: ClassVar = (
        Key("escape,enter", "leave", "esc", "back"),
        Key("slash", "search", "/", "search", is_first=True),
        Key("y", "copy", "y", "copy reference"),
        QUIT,
    )
    SEARCH_KEYS: ClassVar = (
        Key("", "", "enter", "keep the search"),
        Key("", "leave", "esc", "end the search"),
        Key("", "app.quit", "Ctrl-C", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    DEFAULT_CSS = """
    DetailsScreen VerticalScroll { height: 1fr; padding: 0 1; }
    DetailsScreen Input { height: 1; border: none; padding: 0 1; display: none; }
    DetailsScreen Input:focus { border: none; }
    DetailsScreen #message { height: auto; max-height: 3; padding: 0 1; background: $boost; }
    """

    def __init__(self, source: LastingStore, run: Run, pace: Pace) -> None:
        super().__init__()
        self._source = source
        self._run = run
        self._pace = pace
        self._details = Details(run.uid)
        self._sections: tuple[Section, ...] = ()
        self._search = ""
        self._is_reading = False
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield VerticalScroll()
        yield Input(placeholder="text in the output and the details")
        yield Static("reading …", id="message")
        yield KeysLine(self.KEYS)

    def on_mount(self) -> None:
        """Start reading."""
        self.query_one(VerticalScroll).focus()
        self._read()

    # Reading

    def _read(self) -> None:
        if self._is_reading:
            return
        self._is_reading = True
        if self._timer is not None:
            self._timer.stop()
        search = self._search

        def read() -> tuple[str, Run, tuple[Section, ...]]:
            with self._source.opened() as store:
                return search, *self._details.read(store, search)

        self.run_worker(lambda: attempted(read), name="details", thread=True)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show the details that were read, and plan the next reading."""
        event.stop()
        if not event.worker.is_finished or not isinstance(event.worker.result, Attempt):
            return
        found: Found = event.worker.result
        self._is_reading = False
        self._message(found.problem)
        is_current = True
        if found.value is not None:
            search, self._run, sections = found.value
            is_current = search == self._search
            self.call_later(self._show, sections)
        if not is_current:
            self._read()
        elif found.value is None or not self._run.status.is_final:
            self._timer = self.set_timer(self._pace.pause_s(found.took_s), self._read)
        else:
            self._details.close()

    def _message(self, text: str) -> None:
        message = self.query_one("#message", Static)
        message.display = bool(text)
        message.update(Text(terminal_safe(text, keep_lines=True), style="bold"))

    async def _show(self, sections: tuple[Section, ...]) -> None:
        """Replace the sections that changed; a view of the end stays at the end."""
        body = self.query_one(VerticalScroll)
        follows = body.max_scroll_y > 0 and body.scroll_target_y >= body.max_scroll_y
        if [one.title for one in sections] != [one.title for one in self._sections]:
            await body.remove_children()
            await body.mount(*(Static(_drawn(one)) for one in sections))
        else:
            for drawn, one, before in zip(
                body.query(Static), sections, self._sections, strict=True
            ):
                if one != before:
                    drawn.update(_drawn(one))
        self._sections = sections
        if follows:
            body.scroll_end(animate=False)

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Leave the slash to the search line while it is open."""
        return action != "search" or not self.query_one(Input).display

    def action_search(self) -> None:
        """Open the search line."""
        line = self.query_one(Input)
        line.display = True
        line.focus()
        self.query_one(KeysLine).show(self.SEARCH_KEYS)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search the text so far."""
        event.stop()
        self._search = event.value
        self._read()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the search, and return to the lines."""
        event.stop()
        self._end_typing()

    def _end_typing(self) -> None:
        line = self.query_one(Input)
        line.display = bool(line.value)
        self.query_one(VerticalScroll).focus()
        self.query_one(KeysLine).show(self.KEYS)

    def action_leave(self) -> None:
        """End the search, or return to the table."""
        line = self.query_one(Input)
        if not line.display:
            self.app.pop_screen()
            return
        line.value = ""
        self._end_typing()

    def action_copy(self) -> None:
        """Copy the reference, and show it."""
        self.app.copy_to_clipboard(terminal_safe(self._run.reference))
        self._message(f"Copied: {self._run.reference}")


def _drawn(section: Section) -> RenderableType:
    """Return a section that fits any width."""
    title = Text(terminal_safe(section.title), style="bold underline")
    labels = [terminal_safe(label) for label, _ in section.lines]
    width = min(_LABEL_WIDTH, max(map(len, labels)))
    lines: list[RenderableType] = [title] if section.title else []
    if not width:
        lines += [text for _, text in section.lines]
    else:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(max_width=width, overflow="fold", style="dim")
        table.add_column(overflow="fold", ratio=1)
        for label, (_, text) in zip(labels, section.lines, strict=True):
            table.add_row(Text(label), text)
        lines.append(table)
    return Padding(Group(*lines), (0, 0, 1, 0))
