"""runstore plot: the metrics of runs as curves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.completions import complete_metrics, complete_runs
from runstore.cli.context import open_store
from runstore.cli.plots.panels import X_AXES, View, gather
from runstore.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from runstore.cli.plots.panels import Plot
    from runstore.cli.plots.terminal import Paper
    from runstore.model.run import Run
    from runstore.store import Store

_REDRAWN_EVERY_S = 1.0
_LOAD_SHARE = 3  # of the time, what drawing takes at most: a third
_SUFFIXES = (".png", ".svg", ".pdf", ".html")
_FILE_POINTS = 2000
_LARGEST_SIZE = 10_000


@click.command(short_help="Draw metrics in the terminal or into a file.")
@click.argument("runs", metavar="[RUN]...", nargs=-1, shell_complete=complete_runs)
@click.option(
    "-m",
    "--metric",
    "keys",
    multiple=True,
    metavar="KEY",
    shell_complete=complete_metrics,
    help="What to draw; may be repeated. Without it, all metrics if they are few.",
)
@click.option(
    "-x",
    "x",
    type=click.Choice(X_AXES),
    default="step",
    show_default=True,
    help="What goes to the right; relative is the time since the start of the run.",
)
@click.option("--log-y", "is_log", is_flag=True, help="Draw values on a logarithmic axis.")
@click.option(
    "--smooth",
    "smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    metavar="WEIGHT",
    help="Show a moving average in which the past has this weight, such as 0.9.",
)
@click.option("-f", "--follow", is_flag=True, help="Draw anew each second until the runs end.")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path),
    help="Draw into a file: .png, .svg, .pdf or .html.",
)
@click.option(
    "--width",
    type=click.IntRange(20, _LARGEST_SIZE),
    help="Columns of the terminal, or pixels of a file.",
)
@click.option(
    "--height",
    type=click.IntRange(6, _LARGEST_SIZE),
    help="Lines of each panel in the terminal, or pixels of it in a file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the points drawn as JSON.")
def command(
    runs: Sequence[str],
    keys: Sequence[str],
    x: str,
    smoothing: float,
    file: Path | None,
    width: int | None,
    height: int | None,
    *,
    is_log: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """Draw metrics of each RUN; without one, of the newest.

    There is a panel for each metric, and in it a line for each run and each parameter set. In a
    pipe the plot is plain text. Long series are sampled; every extreme is kept.
    """
    _check(file, follow=follow, as_json=as_json)
    view = View(x=x, is_log=is_log, smoothing=smoothing, limit=_FILE_POINTS)
    with open_store() as store:
        found = _each_once(store, runs or ("latest",))
        if as_json:
            _print_json(gather(found, keys, view))
        elif file is not None:
            plot = gather(found, keys, view)
            _write(plot, file, width, height)
            _tell(plot.remarks)
        elif follow:
            _follow(store, found, keys, view, (width, height))
        else:
            _print(found, keys, view, (width, height))


def _check(file: Path | None, *, follow: bool, as_json: bool) -> None:
    if file is not None and file.suffix.lower() not in _SUFFIXES:
        what = f"{file.suffix!r} is no" if file.suffix else f"{file.name!r} does not end with a"
        raise UsageError(
            f"{what} kind of picture that can be drawn.",
            kept="Nothing was written.",
            hint=f"End the name with {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}.",
        )
    if file is not None and file.is_dir():
        raise UsageError(f"{file} is a folder.", kept="Nothing was written.")
    if as_json and file is not None:
        raise UsageError("--json prints; it does not write a file.", hint="Leave out one of them.")
    if follow and (as_json or file is not None or not output.is_terminal()):
        raise UsageError(
            "--follow draws in a terminal only.", hint="Without it, the state of now is drawn."
        )


def _each_once(store: Store, names: Sequence[str]) -> list[Run]:
    return list({run.uid: run for run in map(store.get, names)}.values())


def _tell(remarks: Sequence[str]) -> None:
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


def _print(runs: Sequence[Run], keys: Sequence[str], view: View, size: Size) -> None:
    from runstore.cli.plots.terminal import draw, paper

    on = paper(*size)
    for line in draw(_gathered(runs, keys, view, on), on):
        output.say_coloured(line)


def _gathered(runs: Sequence[Run], keys: Sequence[str], view: View, on: Paper) -> Plot:
    from runstore.cli.plots.terminal import POINTS_PER_COLUMN

    return gather(runs, keys, replace(view, limit=on.width * POINTS_PER_COLUMN))


def _follow(
    store: Store, runs: Sequence[Run], keys: Sequence[str], view: View, size: Size
) -> None:
    """Draw on a screen of its own; what was drawn last stays below the command."""
    from rich.live import Live
    from rich.text import Text

    last: list[str] = []
    try:
        # Redirected, stdout would not tell its encoding.
        with Live(
            console=output.console(), screen=True, auto_refresh=False, redirect_stdout=False
        ) as live:
            while True:
                begun = time.monotonic()
                runs = [store.get(run.uid) for run in runs]
                has_ended = all(run.status.is_final for run in runs)
                try:
                    last = _fitted(runs, keys, view, size, live.console.height - 1)
                except NotFoundError as error:
                    if has_ended:
                        raise
                    last = [output.terminal_safe(f"Waiting: {error.what}")]
                if has_ended:
                    break
                shown = "\n".join([*last, "running; Ctrl-C leaves"])
                live.update(Text.from_ansi(shown, no_wrap=True), refresh=True)
                took = time.monotonic() - begun
                time.sleep(max(_REDRAWN_EVERY_S, (_LOAD_SHARE - 1) * took))
    finally:
        for line in last:
            output.say_coloured(line)


def _fitted(
    runs: Sequence[Run], keys: Sequence[str], view: View, size: Size, room: int
) -> list[str]:
    """Return the lines of a plot that fills the screen; of too many panels, the first ones."""
    from runstore.cli.plots.terminal import LOWEST, draw, paper

    width, height = size
    on = paper(width, height or LOWEST)
    plot = _gathered(runs, keys, view, on)
    lines = draw(plot, on)
    spare = (room - len(lines)) // len(plot.panels)
    if height is None and spare > 0:
        lines = draw(plot, replace(on, height=on.height + spare))
    return lines if len(lines) <= room else [*lines[: room - 1], "(more does not fit)"]
