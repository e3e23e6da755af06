"""runstore plot: the metrics of runs as curves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.completions import complete_metrics, complete_runs
from runstore.cli.context import open_store
from runstore.cli.options import PathToWrite, refuse_together, words_argument
from runstore.cli.plots.choice import DEFAULT_PANELS
from runstore.cli.plots.panels import X_AXES, View, gather
from runstore.cli.words import runs_meant
from runstore.errors import NotFoundError, UsageError
from runstore.storage.sqlite.paths import is_folder
from runstore.value_classes import dataclass, replace

if TYPE_CHECKING:
    from runstore.cli.plots.panels import Plot
    from runstore.cli.plots.terminal import Paper
    from runstore.model.run import Run
    from runstore.store import Store

_REDRAWN_EVERY_S = 1.0
_LOAD_SHARE = 3  # drawing uses at most a third of the time
_SUFFIXES = (".png", ".svg", ".pdf", ".html")
_FILE_POINTS = 2000
_LARGEST_SIZE = 10_000
_RUNS = 8  # lines that can be followed
_RUNS_AT_MOST = 100
_RUNS_LOOKED_AT = 1000


@click.command(short_help="Draw metrics in the terminal or to a file.")
@words_argument("[RUN | EXPERIMENT]... [FILTER]", complete_runs)
@click.option(
    "-m",
    "--metric",
    "keys",
    multiple=True,
    metavar="KEY",
    shell_complete=complete_metrics,
    help="Metric to draw, or a pattern such as 'val/*'; repeatable (default: all, up to"
    f" {DEFAULT_PANELS}).",
)
@click.option(
    "-n",
    "--limit",
    "limit",
    type=click.IntRange(1, _RUNS_AT_MOST),
    metavar="N",
    help=f"Maximum number of runs (default: {_RUNS} of an experiment or filter).",
)
@click.option(
    "-x",
    "x",
    type=click.Choice(X_AXES),
    default="step",
    show_default=True,
    help="Quantity on the x axis; relative is the time since the start of the run.",
)
@click.option("--log-y", "is_log", is_flag=True, help="Logarithmic y axis.")
@click.option(
    "--full-y",
    "is_whole",
    is_flag=True,
    help="Y axis over all lines, including runs that diverged.",
)
@click.option(
    "--smooth",
    "smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    metavar="WEIGHT",
    help="Weight of the past in a moving average, such as 0.9.",
)
@click.option("-f", "--follow", is_flag=True, help="Redraw every second until the runs end.")
@click.option(
    "-o",
    "--output",
    "file",
    type=PathToWrite(),
    help="Output file: .png, .svg, .pdf or .html.",
)
@click.option(
    "--width",
    type=click.IntRange(20, _LARGEST_SIZE),
    help="Columns of the terminal, or pixels of a file.",
)
@click.option(
    "--height",
    type=click.IntRange(6, _LARGEST_SIZE),
    help="Height of each panel: lines of the terminal, or pixels of a file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the points drawn as JSON.")
def command(
    words: Sequence[str],
    keys: Sequence[str],
    limit: int | None,
    x: str,
    smoothing: float,
    file: Path | None,
    width: int | None,
    height: int | None,
    *,
    is_log: bool,
    is_whole: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Draw metrics of runs (default: the newest run).

    \b
    runstore plot digits#7
    runstore plot digits -m loss -m 'val/*'
    runstore plot digits "params.lr < 0.1" -m loss

    Each metric is a panel, with a line for each run and each parameter set. In a pipe the plot is
    plain text. Long series are sampled, but extremes are kept. If a run
    diverged, its line leaves the y axis at the signs ^ or v, and the run is named below.
    """  # noqa: D301 - click keeps lines after the mark as they are
    _check(file, follow=follow, as_json=as_json)
    view = View(x=x, is_log=is_log, is_whole=is_whole, smoothing=smoothing, limit=_FILE_POINTS)
    with open_store() as store:
        wanted = _wanted(store, words, keys, view, limit)
        if as_json:
            _print_json(wanted.plot())
        elif file is not None:
            plot = wanted.plot()
            _write(plot, file, width, height)
            _print_remarks(plot.remarks)
        elif follow:
            _follow(store, wanted, (width, height))
        else:
            _print(wanted, (width, height))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A plot to draw."""

    runs: Sequence[Run]
    keys: Sequence[str]
    view: View
    most: int | None

    def plot(self, limit: int | None = None) -> Plot:
        """Read the points, up to a maximum number for each line."""
        view = self.view if limit is None else replace(self.view, limit=limit)
        return gather(self.runs, self.keys, view, most=self.most)


def _wanted(
    store: Store, words: Sequence[str], keys: Sequence[str], view: View, limit: int | None
) -> _Wanted:
    words = words or ("latest",)
    runs = runs_meant(store, words, limit=_RUNS_LOOKED_AT)
    if not runs:
        raise NotFoundError("No run matches.", hint="List the runs with: runstore ls")
    if limit is None and len(runs) > len(words):
        limit = _RUNS
    return _Wanted(runs=runs, keys=keys, view=view, most=limit)


def _check(file: Path | None, *, follow: bool, as_json: bool) -> None:
    if file is not None and file.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"Cannot draw into {file.name!r}.",
            kept="Nothing was written.",
            hint=f"Use a name that ends with {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}.",
        )
    if file is not None and is_folder(file):
        raise UsageError(f"{file} is a folder.", kept="Nothing was written.")
    refuse_together(("--json", as_json), ("--output", file))
    if follow and (as_json or file is not None or not output.is_terminal()):
        raise UsageError(
            "--follow only works in a terminal.", hint="Leave it out to draw the current state."
        )


def _print_remarks(remarks: Sequence[str]) -> None:
    for remark in remarks:
        output.say(f"runstore: {remark}", err=True)


def _write(plot: Plot, file: Path, width: int | None, height: int | None) -> None:
    if file.suffix.lower() == ".html":
        from runstore.cli.plots.page import write_page

        write_page(plot, file, width, height)
    else:
        from runstore.cli.plots.pictures import write_picture

        write_picture(plot, file, width, height)
    output.say(str(file))


def _print_json(plot: Plot) -> None:
    lines = [
        {
            "run": line.run.reference,
            "uid": line.run.uid,
            "key": line.summary.key,
            "set_name": line.summary.set_name,
            "count": line.summary.count,
            "left_out": line.left_out,
            "steps": list(line.raw.steps),
            "times_s": list(line.raw.times),
            "values": list(line.raw.values),
            **({"smoothed": list(line.smooth.values)} if line.smooth is not None else {}),
        }
        for panel in plot.panels
        for line in panel.lines
    ]
    output.print_json({"lines": lines})


Size = tuple["int | None", "int | None"]


def _print(wanted: _Wanted, size: Size) -> None:
    from runstore.cli.plots.terminal import draw, paper

    on = paper(*size)
    for line in draw(_sampled(wanted, on), on):
        output.say_coloured(line)


def _sampled(wanted: _Wanted, on: Paper) -> Plot:
    from runstore.cli.plots.terminal import POINTS_PER_COLUMN

    return wanted.plot(on.width * POINTS_PER_COLUMN)


def _follow(store: Store, wanted: _Wanted, size: Size) -> None:
    """Draw on the alternate screen, and leave the last plot below the command."""
    from rich.live import Live
    from rich.text import Text

    last: list[str] = []
    try:
        # If stdout were redirected, its encoding would be unknown.
        with Live(
            console=output.console(), screen=True, auto_refresh=False, redirect_stdout=False
        ) as live:
            while True:
                begun = time.monotonic()
                wanted = replace(wanted, runs=[store.get(run.uid) for run in wanted.runs])
                has_ended = all(run.status.is_final for run in wanted.runs)
                try:
                    last = _fitted(wanted, size, live.console.height - 1)
                except NotFoundError as error:
                    if has_ended:
                        raise
                    last = [output.terminal_safe(f"Waiting: {error.what}")]
                if has_ended:
                    break
                shown = "\n".join([*last, "running; press Ctrl-C to leave"])
                live.update(Text.from_ansi(shown, no_wrap=True), refresh=True)
                took = time.monotonic() - begun
                time.sleep(max(_REDRAWN_EVERY_S, (_LOAD_SHARE - 1) * took))
    finally:
        for line in last:
            output.say_coloured(line)


def _fitted(wanted: _Wanted, size: Size, room: int) -> list[str]:
    """Return the lines of a plot that fits on the screen; panels that do not fit are left out."""
    from runstore.cli.plots.terminal import LOWEST, draw, paper

    width, height = size
    on = paper(width, height or LOWEST)
    plot = _sampled(wanted, on)
    lines = draw(plot, on)
    spare = (room - len(lines)) // len(plot.panels)
    if height is None and spare > 0:
        lines = draw(plot, replace(on, height=on.height + spare))
    return lines if len(lines) <= room else [*lines[: room - 1], "(more panels do not fit)"]
