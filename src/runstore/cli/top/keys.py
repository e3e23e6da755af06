"""The keys of a screen, the lines at the bottom that list them, and their page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from runstore.value_classes import dataclass

_GAP = 2


@dataclass(frozen=True, slots=True)
class Key:
    """A key.

    Attributes:
        key: Textual's name of it, or several with commas; empty for a key bound elsewhere.
        action: Textual's name of its action.
        sign: Its label.
        does: Its action in a word.
        help: Its action in a sentence for the page of keys; empty to leave it out there.
        is_first: Whether its action ends before the next key is handled.
    """

    key: str
    action: str
    sign: str
    does: str
    help: str = ""
    is_first: bool = False

    def binding(self) -> Binding:
        """Return Textual's binding."""
        return Binding(self.key, self.action, self.does, show=False, priority=self.is_first)


QUIT = Key("q", "app.quit", "q", "quit", "Quit; Ctrl-C quits as well, even while you type.")
BACK = Key("escape,enter", "app.pop_screen", "esc", "back")


def bindings(keys: Sequence[Key]) -> list[BindingType]:
    """Return Textual's bindings of keys."""
    return [key.binding() for key in keys if key.action and key.key]


class KeysLine(Widget):
    """The keys of a screen, in as many lines as they need; a click on one presses it."""

    DEFAULT_CSS = """
    KeysLine { height: auto; padding: 0 1; background: $panel; link-style: none; }
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__()
        self._keys = keys

    def show(self, keys: Sequence[Key]) -> None:
        """Show other keys."""
        self._keys = keys
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's
        """Return how many lines the keys need."""
        return len(_lines(self._keys, width))

    def render(self) -> Text:
        """Return the lines."""
        return Text("\n").join(_lines(self._keys, self.size.width))


def _lines(keys: Sequence[Key], width: int) -> list[Text]:
    """Return the keys in lines of at most this width, never cutting one."""
    lines = [Text()]
    for key in keys:
        needed = len(key.sign) + 1 + len(key.does)
        if lines[-1] and len(lines[-1]) + _GAP + needed > width:
            lines.append(Text())
        elif lines[-1]:
            lines[-1].append(" " * _GAP)
        click = _click(key)
        lines[-1].append(key.sign, Style(bold=True) + click)
        lines[-1].append(f" {key.does}", click)
    return lines


def _click(key: Key) -> Style:
    """Return a style by which a click presses a key."""
    if not key.action:
        return Style()
    action = key.action if "." in key.action else f"screen.{key.action}"
    return Style(meta={"@click": action})


class KeysPage(Screen[None]):
    """All keys, each with a sentence."""

    KEYS: ClassVar = (BACK, QUIT)
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(KEYS),
        Binding("question_mark", "app.pop_screen", show=False),
    ]

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__()
        self._keys = [key for key in keys if key.help]

    def compose(self) -> ComposeResult:
        """Build the page."""
        with VerticalScroll():
            yield Static(self._table())
        yield KeysLine(self.KEYS)

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 1))
        table.add_column(style="bold", no_wrap=True, justify="right")
        table.add_column(overflow="fold", ratio=1)
        for key in self._keys:
            table.add_row(Text(key.sign), Text(key.help))
        return table
