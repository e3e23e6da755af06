"""The line in which a filter is typed, with its mistake below it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static

from runstore.cli.output import terminal_safe


class FilterLine(Vertical):
    """An input line, hidden until it is opened."""

    DEFAULT_CSS = """
    FilterLine { height: auto; }
    FilterLine Input { height: 1; border: none; padding: 0 1; background: $boost; }
    FilterLine Input:focus { border: none; }
    FilterLine Static { height: auto; max-height: 6; padding: 0 1; color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    class Changed(Message):
        """The filter was changed."""

    class Opened(Message):
        """The line is open: letters belong to the filter."""

    class Left(Message):
        """The line was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        # Escape restores the filter from before, but never a wrong one.
        self._before = self._last_good = text
        self._problem = ""
        self.display = False

    def compose(self) -> ComposeResult:
        """Build the line and the room for a mistake below it."""
        yield Input(
            self._text,
            placeholder="a filter, or text in names, status, notes, parameters",
            select_on_focus=False,
        )
        yield Static()

    @property
    def is_open(self) -> bool:
        """Whether the line is open."""
        return self.display

    @property
    def text(self) -> str:
        """The filter as it is now."""
        return self._text

    @property
    def problem(self) -> str:
        """The mistake in the filter; empty for none."""
        return self._problem

    def open(self) -> None:
        """Let the user type."""
        self._before = self._last_good
        self._open()

    def _open(self) -> None:
        self.display = True
        line = self.query_one(Input)
        self.screen.set_focus(line)
        line.cursor_position = len(line.value)
        self.post_message(self.Opened())

    def show_result(self, problem: str) -> None:
        """Show the mistake in the current filter; empty if its runs were read."""
        self._problem = terminal_safe(problem, keep_lines=True).expandtabs(4)
        self.query_one(Static).update(Text(self._problem))
        if not problem:
            self._last_good = self._text
        elif not self.is_open:
            # Enter was faster than the reading that found the mistake.
            self._open()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Request the runs of the text so far."""
        event.stop()
        self._set(event.value)

    def on_input_submitted(self, event: events.Event) -> None:
        """Keep the filter unless it has a mistake."""
        event.stop()
        if not self._problem:
            self._close()

    def action_leave(self) -> None:
        """Restore the last good filter from before."""
        self.query_one(Input).value = self._before
        self._set(self._before)
        self._close()

    def _set(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self.post_message(self.Changed())

    def _close(self) -> None:
        self.display = False
        self.post_message(self.Left())
