"""A line of text that is cut to its width."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from runstore.cli.top.texts import fitted


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
