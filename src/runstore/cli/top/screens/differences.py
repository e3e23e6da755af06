"""The screen with the differences between runs, a column for each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Static
from textual.worker import Worker

from runstore.analysis.compare.comparison import compare_runs
from runstore.analysis.compare.differences import MISSING, Difference
from runstore.analysis.compare.texts import texts_of
from runstore.cli.top.data.pace import Attempt, attempted
from runstore.cli.top.data.runs import runs_left
from runstore.cli.top.keys import BACK, QUIT, KeysLine, bindings
from runstore.cli.top.texts import NOTHING, clean, fitted
from runstore.lasting import LastingStore
from runstore.store import Store

_WIDEST, _NARROWEST = 40, 14
_FEWEST = 2
_SECTIONS = ("params", "code", "metrics", "tags")
_TRIED_AGAIN_S = 1.0

Line = tuple[str, tuple[str, ...]]
Found = Attempt["tuple[tuple[str, ...], tuple[Line, ...]]"]


def _read(store: Store, uids: Sequence[str]) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    """Return the names of the runs that still exist, and the differences between them."""
    runs = runs_left(store, uids)
    if len(runs) < _FEWEST:
        return tuple(run.reference for run in runs), ()
    found = compare_runs(store.backend, runs, sections=_SECTIONS)
    return found.names, tuple((one.name, _texts(one)) for one in found)


def _texts(one: Difference) -> tuple[str, ...]:
    both = zip(one.values, texts_of(one), strict=True)
    return tuple(NOTHING if value is MISSING else text for value, text in both)


class DifferencesScreen(Screen[None]):
    """Differences between the marked runs."""

    KEYS: ClassVar = (BACK, QUIT)
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    DEFAULT_CSS = """
    DifferencesScreen DataTable { height: 1fr; }
    DifferencesScreen Static { padding: 0 1; }
    """

    def __init__(self, source: LastingStore, uids: Sequence[str]) -> None:
        super().__init__()
        self._source = source
        self._uids = uids

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield Static("reading …", id="message")
        yield DataTable[Text](cursor_type="row", zebra_stripes=True, fixed_columns=1)
        yield KeysLine(self.KEYS)

    def on_mount(self) -> None:
        """Start reading."""
        self._begin()

    def _begin(self) -> None:
        self.run_worker(self._attempt, name="differences", thread=True)

    def _attempt(self) -> Found:
        def read() -> tuple[tuple[str, ...], tuple[Line, ...]]:
            with self._source.opened() as store:
                return _read(store, self._uids)

        return attempted(read)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show the differences that were read."""
        event.stop()
        if not event.worker.is_finished or not isinstance(event.worker.result, Attempt):
            return
        found: Found = event.worker.result
        message = self.query_one("#message", Static)
        if found.value is None:
            message.update(Text(f"{found.problem} Trying again."))
            self.set_timer(_TRIED_AGAIN_S, self._begin)
            return
        names, lines = found.value
        self._show(names, lines)
        same = "Parameters, code, metrics and tags are the same."
        message.update(Text(f"Differences between {len(names)} runs" if lines else same))

    def _show(self, names: Sequence[str], lines: Sequence[Line]) -> None:
        table: DataTable[Text] = self.query_one(DataTable)
        # The names stay in place while the values are scrolled, so they leave room for these.
        width = max(_NARROWEST, min(_WIDEST, self.size.width // 3))
        table.add_column("")
        for name in names:
            table.add_column(_cell(name))
        for name, values in lines:
            shown = fitted(clean(name), width, keeps_end=True).rstrip()
            table.add_row(Text(shown), *map(_cell, values))
        table.focus()


def _cell(text: str) -> Text:
    cell = Text(clean(text))
    cell.truncate(_WIDEST, overflow="ellipsis")
    return cell
