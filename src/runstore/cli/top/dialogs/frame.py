"""The frame of a dialog: a title, a body, a message and its keys at the bottom of the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from runstore.cli.output import terminal_safe
from runstore.cli.top.keys import Key, KeysLine

T = TypeVar("T")


class Dialog(ModalScreen[T | None], Generic[T]):
    """A dialog over the screen; esc closes it without a result."""

    KEYS: ClassVar[tuple[Key, ...]] = ()  # of all dialogs of a class
    DEFAULT_CSS = """
    Dialog { align: center bottom; background: $background 40%; }
    Dialog > Vertical { height: auto; max-height: 90%; background: $surface; }
    Dialog .title { height: auto; max-height: 12; padding: 0 1; text-style: bold; }
    Dialog .message { height: auto; max-height: 4; padding: 0 1; color: $text-error; }
    Dialog Input { height: 1; border: none; padding: 0 1; background: $boost; }
    Dialog Input:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", show=False)]

    def __init__(self, title: str) -> None:
        super().__init__()
        self._heading = title
        self.keys: Sequence[Key] = self.KEYS

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with Vertical():
            yield Static(safe(self._heading), classes="title")
            yield from self.body()
            yield Static(classes="message")
            yield KeysLine(self.keys)

    def body(self) -> list[Widget]:
        """Return the widgets between the title and the keys."""
        return []

    def complain(self, problem: str) -> None:
        """Show a mistake above the keys."""
        self.query_one(".message", Static).update(safe(problem))

    def action_close(self) -> None:
        """Close the dialog without a result."""
        self.dismiss(None)


def safe(text: str) -> Text:
    """Return a text of several lines that controls nothing on a terminal."""
    return Text(terminal_safe(text, keep_lines=True).expandtabs(4))
