"""The screen that draws a metric of several runs over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker

from runstore.cli.plots.choice import ordered_keys
from runstore.cli.plots.panels import Plot, View, gather
from runstore.cli.plots.terminal import LOWEST, NARROWEST, POINTS_PER_COLUMN, Paper, draw
from runstore.cli.top.data.interest import is_of_machine
from runstore.cli.top.data.pace import Attempt, Pace, attempted
from runstore.cli.top.data.runs import runs_left
from runstore.cli.top.dialogs.choice import ChoiceDialog
from runstore.cli.top.keys import QUIT, Key, KeysLine, bindings
from runstore.lasting import LastingStore
from runstore.model.display.formatting import counted
from runstore.model.run import Run
from runstore.value_classes import NamedTuple, replace

_RUNS_AT_MOST = 48  # looks of lines that can be distinguished


class _ChartRequest(NamedTuple):
    """The chart to draw: a metric, or the first one, and its view."""

    key: str | None
    view: View


class _ChartPoints(NamedTuple):
    """A chart: its metric among all, its points, and whether a run may still log."""

    wanted: _ChartRequest
    keys: tuple[str, ...]
    plot: Plot | None
    is_live: bool


class ChartScreen(Screen[None]):
    """A metric of several runs, redrawn while one of them is running."""

    KEYS: ClassVar = (
        Key("left", "switch(-1)", "←", "previous metric"),
        Key("right", "switch(1)", "→", "next metric"),
        Key("m,g", "metric", "m", "choose a metric"),
        Key("l", "log", "l", "log axis"),
        Key("y", "whole", "y", "whole axis"),
        Key("escape", "app.pop_screen", "esc", "back"),
        QUIT,
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings(KEYS)
    DEFAULT_CSS = """
    ChartScreen VerticalScroll { height: 1fr; padding: 0 1; scrollbar-size: 0 0; }
    ChartScreen #chart { height: auto; }
    ChartScreen #message { height: auto; max-height: 4; padding: 0 1; background: $boost; }
    """

    def __init__(self, source: LastingStore, runs: Sequence[Run], pace: Pace) -> None:
        super().__init__()
        self._source = source
        self._uids = [run.uid for run in runs[:_RUNS_AT_MOST]]
        self._left_out = len(runs) - len(self._uids)
        self._pace = pace
        self._wanted = _ChartRequest(None, View())
        self._found: _ChartPoints | None = None
        self._is_reading = False
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Build the screen."""
        with VerticalScroll():
            yield Static("reading …", id="chart")
        yield Static(id="message")
        yield KeysLine(self.KEYS)

    def on_mount(self) -> None:
        """Start reading."""
        self._message("")
        self._read()

    def _message(self, text: str) -> None:
        message = self.query_one("#message", Static)
        message.display = bool(text)
        message.update(Text(text))

    # Reading

    def _read(self) -> None:
        if self._is_reading:
            return
        self._is_reading = True
        if self._timer is not None:
            self._timer.stop()
        width = max(NARROWEST, self.size.width)
        view = replace(self._wanted.view, limit=width * POINTS_PER_COLUMN)
        wanted = self._wanted._replace(view=view)

        def attempt() -> Attempt[_ChartPoints]:
            return attempted(lambda: self._gather(wanted))

        self.run_worker(attempt, name="chart", thread=True)

    def _gather(self, wanted: _ChartRequest) -> _ChartPoints:
        with self._source.opened() as store:
            runs = runs_left(store, self._uids)
            keys = _keys_of(runs)
            key = wanted.key if wanted.key in keys else next(iter(keys), None)
            plot = None if key is None else gather(runs, [key], wanted.view)
            plot = plot and replace(plot, switches=("y", "l"))
        is_live = any(not run.status.is_final for run in runs)
        return _ChartPoints(wanted._replace(key=key), keys, plot, is_live)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Draw the points that were read, and plan the next reading."""
        event.stop()
        if not event.worker.is_finished or not isinstance(event.worker.result, Attempt):
            return
        found: Attempt[_ChartPoints] = event.worker.result
        self._is_reading = False
        more = counted(self._left_out, "more marked run is", "more marked runs are")
        left_out = f"{more} not drawn." if self._left_out else ""
        self._message(f"{found.problem} Trying again." if found.problem else left_out)
        if found.value is not None:
            self._found = found.value
            key = found.value.wanted.key
            # Samples of the machine are drawn until the run logs a metric.
            if self._wanted.key is None and key is not None and not is_of_machine(key):
                self._wanted = self._wanted._replace(key=key)
            self._draw()
        if not self._is_current(found.value):
            self._read()
        elif found.value is None or found.value.is_live:
            self._timer = self.set_timer(self._pace.pause_s(found.took_s), self._read)

    def _is_current(self, found: _ChartPoints | None) -> bool:
        """Return whether a key was pressed since the reading began."""
        if found is None:
            return True
        is_same = self._wanted.key in {None, found.wanted.key}
        return is_same and found.wanted.view == replace(
            self._wanted.view, limit=found.wanted.view.limit
        )

    # Drawing

    def on_resize(self, event: events.Resize) -> None:  # noqa: ARG002 - Textual's
        """Draw in the new size."""
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if self._found is None:
            return
        if self._found.plot is None:
            self.query_one("#chart", Static).update("These runs have no metrics yet.")
            return
        room = self.query_one(VerticalScroll).size
        lines = _lines(self._found.plot, max(NARROWEST, room.width), room.height)
        text = Text.from_ansi("\n".join(lines), no_wrap=True, overflow="crop")
        self.query_one("#chart", Static).update(text)

    # Keys

    def action_switch(self, by: int) -> None:
        """Draw the metric so many places further in the list."""
        if self._found is not None and self._found.keys:
            keys = self._found.keys
            place = keys.index(self._wanted.key) if self._wanted.key in keys else 0
            self._want(keys[(place + by) % len(keys)])

    def action_metric(self) -> None:
        """Choose the metric from a list."""
        if self._found is None or not self._found.keys:
            return

        def choose(chosen: tuple[str, ...] | None) -> None:
            if chosen:
                self._want(chosen[0])

        chosen = [self._wanted.key or ""]
        dialog = ChoiceDialog("Metric", self._found.keys, chosen, is_single=True)
        self.app.push_screen(dialog, choose)

    def _want(self, key: str) -> None:
        self._wanted = self._wanted._replace(key=key)
        self._read()

    def action_log(self) -> None:
        """Switch between a linear and a logarithmic y axis."""
        view = self._wanted.view
        self._look(replace(view, is_log=not view.is_log))

    def action_whole(self) -> None:
        """Switch between an axis over most lines and one over all of them."""
        view = self._wanted.view
        self._look(replace(view, is_whole=not view.is_whole))

    def _look(self, view: View) -> None:
        self._wanted = self._wanted._replace(view=view)
        self._read()


def _keys_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the metrics of runs, those with several points first."""
    return tuple(ordered_keys(one for run in runs for one in run.metrics.values()))


def _lines(plot: Plot, width: int, height: int) -> list[str]:
    """Return the lines of a plot that fills a place."""
    paper = Paper(width=width, height=LOWEST, has_colours=True, is_ascii=False)
    lines = draw(plot, paper)
    spare = height - len(lines)
    return lines if spare <= 0 else draw(plot, replace(paper, height=LOWEST + spare))
