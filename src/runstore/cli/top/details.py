"""The screen with the details of one run, kept up to date while it goes on."""

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
from textual.widgets import Static
from textual.worker import Worker

from runstore.cli.output import terminal_safe
from runstore.cli.top.details_text import Details, Section
from runstore.cli.top.keys import BACK, QUIT, Key, KeysLine, bindings
from runstore.cli.top.pace import Attempt, Pace, attempted
from runstore.lasting import LastingStore
from runstore.model.run import Run

_LABEL_WIDTH = 36

Found = Attempt["tuple[Run, tuple[Section, ...]]"]


class DetailsScreen(Screen[None]):
    """Everything worth looking at about a run.

    Args:
        source: The store.
        run: The run.
        pace: How often it is read while it goes on.
    """

    KEYS: ClassVar = (BACK, Key("y", "copy", "y", "copy reference"), QUIT)
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    DEFAULT_CSS = """
    DetailsScreen VerticalScroll { height: 1fr; padding: 0 1; }
    DetailsScreen #told { height: auto; max-height: 3; padding: 0 1; background: $boost; }
    """

    def __init__(self, source: LastingStore, run: Run, pace: Pace) -> None:
        super().__init__()
        self._source = source
        self._run = run
        self._pace = pace
        self._details = Details(run.uid)
        self._sections: tuple[Section, ...] = ()

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield VerticalScroll()
        yield Static("reading …", id="told")
        yield KeysLine(self.KEYS)

    def on_mount(self) -> None:
        """Begin to read."""
        self._read()

    def _read(self) -> None:
        self.run_worker(self._attempt, name="details", thread=True)

    def _attempt(self) -> Found:
        def read() -> tuple[Run, tuple[Section, ...]]:
            with self._source.opened() as store:
                return self._details.read(store)

        return attempted(read)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show what was read."""
        event.stop()
        if not event.worker.is_finished or not isinstance(event.worker.result, Attempt):
            return
        found: Found = event.worker.result
        told = self.query_one("#told", Static)
        told.display = bool(found.problem)
        told.update(Text(found.problem, style="bold"))
        if found.value is not None:
            self._run, sections = found.value
            self.call_later(self._show, sections)
        if found.value is None or not self._run.status.is_final:
            self.set_timer(self._pace.pause_s(found.took_s), self._read)
        else:
            self._details.close()

    async def _show(self, sections: tuple[Section, ...]) -> None:
        """Replace what has changed; who looks at the end, or is on the way there, stays there."""
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

    def action_copy(self) -> None:
        """Copy the reference."""
        self.app.copy_to_clipboard(terminal_safe(self._run.reference))
        told = self.query_one("#told", Static)
        told.display = True
        told.update(Text(terminal_safe(f"Copied: {self._run.reference}")))


def _drawn(section: Section) -> RenderableType:
    """Return a section as it fits any width."""
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
