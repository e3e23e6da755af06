"""A list to choose from, with a search line above it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, OptionList

from runstore.cli.top.dialogs.frame import Dialog
from runstore.cli.top.keys import Key
from runstore.cli.top.texts import clean

_PAGE = 10


class ChoiceDialog(Dialog["tuple[str, ...]"]):
    """A list; enter chooses a name, and closes the dialog if one name is wanted."""

    SINGLE = (Key("", "choose", "enter", "choose"), Key("", "close", "esc", "cancel"))
    SEVERAL = (
        Key("", "choose", "enter", "show or hide"),
        Key("ctrl+r", "reset", "Ctrl-R", "automatic choice"),
        Key("", "close", "esc", "done"),
    )
    DEFAULT_CSS = """
    ChoiceDialog OptionList { height: auto; max-height: 14; border: none; padding: 0; }
    ChoiceDialog OptionList:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("pagedown", f"move({_PAGE})", show=False, priority=True),
        Binding("pageup", f"move(-{_PAGE})", show=False, priority=True),
        Binding("ctrl+r", "reset", show=False, priority=True),
    ]

    def __init__(
        self, title: str, names: Sequence[str], chosen: Collection[str], *, is_single: bool
    ) -> None:
        super().__init__(title)
        self._every = tuple(dict.fromkeys(names))
        self._chosen = dict.fromkeys(name for name in self._every if name in chosen)
        self._is_single = is_single
        self._shown: tuple[str, ...] = ()
        self.keys = self.SINGLE if is_single else self.SEVERAL

    def body(self) -> list[Widget]:
        """Return the search line and the list."""
        return [Input(placeholder="search"), OptionList()]

    def on_mount(self) -> None:
        """Show all names."""
        self.query_one(Input).focus()
        self._show("")
        if self._is_single and self._chosen:
            self._list.highlighted = self._shown.index(next(iter(self._chosen)))

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def _show(self, search: str) -> None:
        wanted = search.strip().casefold()
        self._shown = tuple(name for name in self._every if wanted in name.casefold())
        self._list.clear_options()
        self._list.add_options([self._line(name) for name in self._shown])
        self._list.highlighted = 0 if self._shown else None

    def _line(self, name: str) -> Text:
        return Text(f"{'●' if name in self._chosen else ' '} {clean(name)}")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the names that contain the text."""
        event.stop()
        self._show(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Choose the highlighted name."""
        event.stop()
        self.action_choose()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Choose the name that was clicked."""
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Choose the highlighted name, or remove it from the chosen ones."""
        place = self._list.highlighted
        if place is None:
            return
        name = self._shown[place]
        if self._is_single:
            self.dismiss((name,))
            return
        if name in self._chosen:
            del self._chosen[name]
        else:
            self._chosen[name] = None
        self._list.replace_option_prompt_at_index(place, self._line(name))

    def action_move(self, by: int) -> None:
        """Move the highlight by so many names."""
        if self._shown:
            place = (self._list.highlighted or 0) + by
            self._list.highlighted = max(0, min(place, len(self._shown) - 1))

    def action_reset(self) -> None:
        """Close the dialog, and return to the automatic choice."""
        if not self._is_single:
            self.dismiss(())

    def action_close(self) -> None:
        """Close the dialog; of several names, the chosen ones are its result."""
        self.dismiss(None if self._is_single else tuple(self._chosen))
