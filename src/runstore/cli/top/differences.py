"""What differs between runs, and the screen that shows it with a column for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import DataTable, Static
from textual.worker import Worker

from runstore.cli.plots.panels import short_names
from runstore.cli.top.interest import differing_keys, is_of_machine
from runstore.cli.top.keys import BACK, QUIT, KeysLine, bindings
from runstore.cli.top.pace import Attempt, attempted
from runstore.cli.top.reading import Source
from runstore.cli.top.texts import NOTHING, clean, fitted, parameter_texts
from runstore.errors import NotFoundError
from runstore.model.run import Run
from runstore.store import Store

_WIDEST, _NARROWEST = 40, 14
_COMMIT_SHOWN = 12
_TRIED_AGAIN_S = 1.0

Line = tuple[str, tuple[str, ...]]
Found = Attempt["tuple[tuple[str, ...], tuple[Line, ...]]"]


def differences(runs: Sequence[Run]) -> tuple[Line, ...]:
    """Return what differs: its name, and what each run has there."""
    kinds = (
        ("params", [parameter_texts(run.parameter_sets) for run in runs]),
        ("metrics", [_metrics(run) for run in runs]),
        ("tags", [{key: value or "(set)" for key, value in run.tags.items()} for run in runs]),
        ("", [_code(run) for run in runs]),
    )
    return tuple(
        (f"{kind}.{key}" if kind else key, tuple(one.get(key, NOTHING) for one in found))
        for kind, found in kinds
        for key in differing_keys(found)
    )


def _metrics(run: Run) -> Mapping[str, str]:
    """Return the last values; what the machine did comes after the rest."""
    keys = sorted(run.metrics.items(), key=lambda pair: is_of_machine(pair[0]))
    return {key: f"{one.last:.6g}" for key, one in keys}


def _code(run: Run) -> Mapping[str, str]:
    if run.commit is None:
        return {}
    changes = " with changes" if run.workdir_dirty else ""
    return {"commit": f"{run.commit[:_COMMIT_SHOWN]}{changes}"}


def _read(store: Store, uids: Sequence[str]) -> tuple[tuple[str, ...], tuple[Line, ...]]:
    """Return the names of the runs that are still there, and what differs between them."""
    runs = []
    for uid in uids:
        try:
            runs.append(store.get(uid))
        except NotFoundError:  # deleted since it was marked
            continue
    names = short_names(runs)
    return tuple(names[run.uid] or run.reference for run in runs), differences(runs)


class DifferencesScreen(Screen[None]):
    """What differs between the marked runs.

    Args:
        source: The store.
        uids: The runs, in the order of their columns.
    """

    KEYS: ClassVar = (BACK, QUIT)
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    DEFAULT_CSS = """
    DifferencesScreen DataTable { height: 1fr; }
    DifferencesScreen Static { padding: 0 1; }
    """

    def __init__(self, source: Source, uids: Sequence[str]) -> None:
        super().__init__()
        self._source = source
        self._uids = uids

    def compose(self) -> ComposeResult:
        """Build the screen."""
        yield Static("reading …", id="told")
        yield DataTable[Text](cursor_type="row", zebra_stripes=True, fixed_columns=1)
        yield KeysLine(self.KEYS)

    def on_mount(self) -> None:
        """Begin to read."""
        self._begin()

    def _begin(self) -> None:
        self.run_worker(self._attempt, name="differences", thread=True)

    def _attempt(self) -> Found:
        def read() -> tuple[tuple[str, ...], tuple[Line, ...]]:
            with self._source.opened() as store:
                return _read(store, self._uids)

        return attempted(read)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show what was read."""
        event.stop()
        if not event.worker.is_finished or not isinstance(event.worker.result, Attempt):
            return
        found: Found = event.worker.result
        told = self.query_one("#told", Static)
        if found.value is None:
            told.update(Text(f"{found.problem} Trying again."))
            self.set_timer(_TRIED_AGAIN_S, self._begin)
            return
        names, lines = found.value
        self._show(names, lines)
        same = "Parameters, metrics, tags and commit are the same."
        told.update(Text(f"What differs between {len(names)} runs" if lines else same))

    def _show(self, names: Sequence[str], lines: Sequence[Line]) -> None:
        table: DataTable[Text] = self.query_one(DataTable)
        # The names stand still while the values are scrolled, so they leave room for these.
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
