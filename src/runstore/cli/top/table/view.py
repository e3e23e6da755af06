"""The table of runs: a cursor, marks, and as many columns as fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from runstore.cli.top.data.families import PlacedRow, arranged
from runstore.cli.top.data.order import METRIC, TopOrder, ordered
from runstore.cli.top.data.reading import Snapshot
from runstore.cli.top.table.columns import MARK, TopColumn, columns_of, line_of, widths_of
from runstore.cli.top.texts import fitted
from runstore.model.run import Run
from runstore.value_classes import dataclass

_MARKED = "●"
_HEADER_LINES = 1


class RunsView(ScrollView, can_focus=True, inherit_bindings=False):
    """Runs, one in each line; cursor and marks stay with their runs."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"runs--header", "runs--cursor"}
    DEFAULT_CSS = """
    RunsView { height: 1fr; overflow-x: hidden; overflow-y: auto; padding: 0; }
    RunsView > .runs--header { text-style: bold; background: $panel; }
    RunsView > .runs--cursor { background: $primary 40%; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
    ]

    @dataclass
    class Opened(Message):
        """The run under the cursor was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.order = TopOrder()
        self.marked: dict[str, Run] = {}
        self._chosen: tuple[str, ...] | None = None
        self._folded: set[str] = set()
        self._placed: list[PlacedRow] = []
        self._snapshot: Snapshot | None = None
        self._columns: tuple[TopColumn, ...] = ()
        self._widths: dict[int, int] = {}
        self._runs: dict[str, Run] = {}
        self._uids: list[str] = []
        self._cursor = 0

    @property
    def current(self) -> Run | None:
        """The run under the cursor; None if there are no runs."""
        return self._runs[self._uids[self._cursor]] if self._uids else None

    @property
    def selected(self) -> tuple[Run, ...]:
        """The marked runs, or else the run under the cursor."""
        if self.marked:
            return tuple(self.marked.values())
        return () if self.current is None else (self.current,)

    @property
    def shown_names(self) -> tuple[str, ...]:
        """The names of the columns that can be hidden."""
        return tuple(one.name for one in self._columns if one.name not in {MARK, "run"})

    @property
    def wanted_metrics(self) -> tuple[str, ...] | None:
        """Metrics that need a sparkline; None for an automatic choice."""
        if self._chosen is None:
            return None
        names = [name for name in self._chosen if name.startswith(METRIC)]
        return tuple(name.removeprefix(METRIC) for name in names)

    def show(self, snapshot: Snapshot) -> None:
        """Show runs; the cursor and the view stay with theirs."""
        self._snapshot = snapshot
        self._runs = {row.run.uid: row.run for row in snapshot.rows}
        self.marked = {uid: self._runs.get(uid, run) for uid, run in self.marked.items()}
        self._place()

    def sort(self, order: TopOrder) -> None:
        """Show the runs in another order."""
        self.order = order
        self._place()

    def choose(self, names: tuple[str, ...] | None) -> None:
        """Show other columns; None for an automatic choice."""
        self._chosen = names
        self._place()

    def fold(self) -> bool:
        """Hide or show the children of the run under the cursor, or of its parent.

        Returns:
            Whether there was a parent to fold.
        """
        run = self.current
        parents = {one.row.run.parent_uid for one in self._placed} | self._folded
        if run is not None and run.uid not in parents:
            run = self._runs.get(run.parent_uid or "")
        if run is None:
            return False
        self._folded ^= {run.uid}
        self._cursor = self._uids.index(run.uid)
        self._place()
        return True

    def mark(self) -> None:
        """Mark or unmark the run under the cursor, and move to the next one."""
        if (run := self.current) is None:
            return
        if self.marked.pop(run.uid, None) is None:
            self.marked[run.uid] = run
        self.action_move(1)
        self.refresh()

    def unmark(self, uids: Iterable[str]) -> None:
        """Unmark runs."""
        for uid in tuple(uids):
            self.marked.pop(uid, None)
        self.refresh()

    def _place(self) -> None:
        """Put the rows in order, and keep the cursor and the view at their runs."""
        if self._snapshot is None:
            return
        top = self.scroll_offset.y
        before, cursor_before = self._uids, self._cursor
        self._placed = arranged(ordered(self._snapshot, self.order), self._folded)
        self._columns = columns_of(self._snapshot, self._placed, self._chosen, self.order.by)
        self._uids = [one.uid for one in self._placed]
        places = {uid: place for place, uid in enumerate(self._uids)}
        was_seen = not before or top <= cursor_before < top + self._page
        if before:
            last = max(0, len(self._uids) - 1)
            self._cursor = places.get(before[cursor_before], min(cursor_before, last))
        self.virtual_size = Size(1, len(self._uids) + _HEADER_LINES)
        if top and before:
            # The cursor stays at its line; if it was out of view, the uppermost run does.
            held = before[cursor_before] if was_seen else before[min(top, len(before) - 1)]
            if held in places:
                self._scroll(top + places[held] - before.index(held))
        if was_seen:
            self._scroll_to_cursor()
        self._fit()

    def _fit(self) -> None:
        self._widths = widths_of(self._columns, self.size.width)
        self.refresh()

    def on_resize(self) -> None:
        """Choose the columns that fit."""
        self._fit()
        self._scroll_to_cursor()

    # Moving

    @property
    def _page(self) -> int:
        return max(1, self.size.height - _HEADER_LINES)

    def _scroll(self, top: int) -> None:
        self.scroll_to(y=max(0, top), animate=False, force=True, immediate=True)

    def _scroll_to_cursor(self) -> None:
        top = self.scroll_offset.y
        if self._cursor < top:
            self._scroll(self._cursor)
        elif self._cursor >= top + self._page:
            self._scroll(self._cursor - self._page + 1)

    def _move_to(self, place: int) -> None:
        self._cursor = max(0, min(place, len(self._uids) - 1))
        self._scroll_to_cursor()
        self.refresh()

    def action_move(self, by: int) -> None:
        """Move the cursor by so many runs."""
        self._move_to(self._cursor + by)

    def action_move_page(self, by: int) -> None:
        """Move the cursor by so many pages."""
        self._move_to(self._cursor + by * self._page)

    def action_first(self) -> None:
        """Move the cursor to the first run."""
        self._move_to(0)

    def action_last(self) -> None:
        """Move the cursor to the last run."""
        self._move_to(len(self._uids) - 1)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to a run; a click on the run under the cursor opens it."""
        place = event.y - _HEADER_LINES + self.scroll_offset.y
        if event.y < _HEADER_LINES or place >= len(self._uids):
            return
        if place == self._cursor:
            self.post_message(self.Opened())
        self._move_to(place)

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        if y < _HEADER_LINES:
            style = self.get_component_rich_style("runs--header")
            return self._strip([self._header(place) for place in self._widths], style)
        place = y - _HEADER_LINES + self.scroll_offset.y
        if place >= len(self._uids):
            return Strip.blank(self.size.width, self.rich_style)
        uid = self._uids[place]
        cells = [self._cell(self._columns[at], uid, width) for at, width in self._widths.items()]
        is_here = place == self._cursor
        style = self.get_component_rich_style("runs--cursor") if is_here else self.rich_style
        return self._strip(cells, style)

    def _header(self, place: int) -> Text:
        column, width = self._columns[place], self._widths[place]
        is_sorted = column.name == self.order.by
        sign = ("▲" if self.order.is_reversed else "▼") if is_sorted else ""
        return Text(fitted(sign + column.header, width))

    def _cell(self, column: TopColumn, uid: str, width: int) -> Text:
        if column.name == MARK:
            return Text(_MARKED if uid in self.marked else " ")
        return column.cell(uid, width)

    def _strip(self, cells: Sequence[Text], style: Style) -> Strip:
        segments = line_of(cells).render(self.app.console)
        return Strip(segments).apply_style(style).adjust_cell_length(self.size.width, style)
