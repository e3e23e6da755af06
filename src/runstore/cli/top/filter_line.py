"""The line that a filter is typed in, with what is wrong about it beneath."""

from __future__ import annotations

from dataclasses import dataclass
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
    """A line to type in; hidden while nobody types.

    Args:
        text: The filter to begin with.
    """

    DEFAULT_CSS = """
    FilterLine { height: auto; }
    FilterLine Input { height: 1; border: none; padding: 0 1; background: $boost; }
    FilterLine Input:focus { border: none; }
    FilterLine Static { height: auto; max-height: 6; padding: 0 1; color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", show=False)]

    @dataclass
    class Changed(Message):
        """Another filter is wanted.

        Attributes:
            text: The filter.
        """

        text: str

    @dataclass
    class Left(Message):
        """Nobody types any more."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = self._before = text
        self._problem = ""
        self.display = False

    def compose(self) -> ComposeResult:
        """Build the line and what stands beneath."""
        yield Input(
            self._text,
            placeholder="a filter, or text in names, status, notes, parameters",
            select_on_focus=False,
        )
        yield Static()

    @property
    def is_open(self) -> bool:
        """Whether it is typed in."""
        return self.display

    @property
    def problem(self) -> str:
        """What is wrong with the filter; empty when nothing is."""
        return self._problem

    def open(self) -> None:
        """Let the user type."""
        self._before = self._text
        self.display = True
        line = self.query_one(Input)
        self.screen.set_focus(line)
        line.cursor_position = len(line.value)

    def tell(self, problem: str) -> None:
        """Say what is wrong with the filter; empty for nothing."""
        self._problem = terminal_safe(problem, keep_lines=True).expandtabs(4)
        self.query_one(Static).update(Text(self._problem))
        if problem and not self.is_open:
            self.open()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Ask for the runs of what is typed so far."""
        event.stop()
        self._take(event.value)

    def on_input_submitted(self, event: events.Event) -> None:
        """Keep the filter, unless something is wrong with it."""
        event.stop()
        if not self._problem:
            self._close()

    def action_leave(self) -> None:
        """Go back to the filter from before."""
        self.query_one(Input).value = self._before
        self._take(self._before)
        self._close()

    def _take(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self.post_message(self.Changed(text))

    def _close(self) -> None:
        self.display = False
        self.post_message(self.Left())
