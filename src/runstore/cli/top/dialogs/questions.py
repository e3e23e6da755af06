"""Dialogs for one answer: yes or no, a line, or a longer text."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, TextArea

from runstore.cli.top.dialogs.frame import Dialog
from runstore.cli.top.keys import Key, bindings
from runstore.errors import UsageError

T = TypeVar("T")
_CANCEL = Key("", "close", "esc", "cancel")


class Question(Dialog[bool]):
    """A question that only `y` answers with yes."""

    KEYS = (Key("y", "accept", "y", "yes"), Key("n", "close", "n, esc", "no"))
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)

    def action_accept(self) -> None:
        """Answer with yes."""
        self.dismiss(result=True)


class LineDialog(Dialog[T]):
    """A line to type; enter accepts it if it can be read."""

    KEYS = (Key("", "submit", "enter", "accept"), _CANCEL)

    def __init__(self, title: str, example: str, read: Callable[[str], T]) -> None:
        super().__init__(title)
        self._example = example
        self._read_text = read

    def body(self) -> list[Widget]:
        """Return the line."""
        return [Input(placeholder=self._example)]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close the dialog if the text can be read."""
        event.stop()
        self.action_submit()

    def action_submit(self) -> None:
        """Close the dialog if the text can be read."""
        try:
            result = self._read_text(self.query_one(Input).value)
        except UsageError as error:
            self.complain(str(error))
            return
        self.dismiss(result)


class TextDialog(Dialog[str]):
    """A small editor; ctrl+s saves."""

    KEYS = (Key("ctrl+s", "save", "Ctrl-S", "save", is_first=True), _CANCEL)
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(KEYS[:1]),
        Binding("escape", "close", show=False, priority=True),
    ]
    DEFAULT_CSS = "TextDialog TextArea { height: 10; border: none; }"

    def __init__(self, title: str, text: str) -> None:
        super().__init__(title)
        self._text = text

    def body(self) -> list[Widget]:
        """Return the editor."""
        return [TextArea(self._text)]

    def on_mount(self) -> None:
        """Put the cursor at the end."""
        editor = self.query_one(TextArea)
        editor.move_cursor(editor.document.end)

    def action_save(self) -> None:
        """Close the dialog with the text."""
        self.dismiss(self.query_one(TextArea).text)
