"""Plots as picture files, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from runstore.cli.plots.files import missing_library, written_aside
from runstore.cli.plots.panels import Line, Panel, Plot, x_label
from runstore.model.display.limits import Extent, exits
from runstore.plotting.with_matplotlib import FAINT, draw_line, mark_exit, plain_text

_DPI = 150
_WIDTH, _HEIGHT = 1200, 500  # pixels; the height is that of a panel


def write_picture(plot: Plot, file: Path, width: int | None, height: int | None) -> None:
    """Write a plot to a file in the format of its suffix, replacing any file of that name.

    Args:
        plot: The plot.
        file: Its name ends with `.png`, `.svg` or `.pdf`.
        width: Pixels.
        height: Pixels of each panel.

    Raises:
        MissingExtraError: matplotlib is missing.
        StoreUnavailableError: The file cannot be written.
    """
    figure = _figure(plot, (width or _WIDTH) / _DPI, (height or _HEIGHT) / _DPI)
    from matplotlib import rc_context

    kind = file.suffix.lower()[1:]
    # Without a creation time and random identifiers, the same plot is the same file.
    with written_aside(file) as aside, rc_context({"svg.hashsalt": "runstore"}):
        about = (
            {"Date": None} if kind == "svg" else {"CreationDate": None} if kind == "pdf" else {}
        )
        figure.savefig(aside, format=kind, dpi=_DPI, metadata=about)


def _figure(plot: Plot, width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing_library("matplotlib") from error
    figure = Figure(figsize=(width, height * len(plot.panels)), layout="constrained")
    figure.suptitle(plain_text(plot.title))
    every = figure.subplots(len(plot.panels), 1, squeeze=False)[:, 0]
    for axes, panel in zip(every, plot.panels, strict=True):
        _draw_panel(axes, panel, plot)
    every[-1].set_xlabel(x_label(plot)[0])
    if plot.remarks:
        # Unlike a free text, a label of the figure has room of its own in the layout.
        remarks = plain_text(" ".join(plot.remarks))
        figure.supxlabel(remarks, x=0.01, ha="left", fontsize="small", wrap=True)
    return figure


def _draw_panel(axes: Any, panel: Panel, plot: Plot) -> None:
    axes.set_ylabel(plain_text(panel.key))
    axes.grid(alpha=FAINT)
    if plot.view.is_log:
        axes.set_yscale("log")
    for line in panel.lines:
        _draw_line(axes, line, plot)
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
        for line, _ in panel.leaving:
            _mark_exits(axes, line, panel.limits, plot)
    if len(panel.lines) > 1 or len(plot.lines) > 1:
        axes.legend(fontsize="small")


def _draw_line(axes: Any, line: Line, plot: Plot) -> None:
    if line.smooth is not None:
        raw = _places(line, line.raw, plot)
        draw_line(axes, raw, list(line.raw.values), place=line.place, is_faint=True)
    draw_line(
        axes,
        _places(line, line.shown, plot),
        list(line.shown.values),
        place=line.place,
        name=line.name,
        is_marked=len(plot.lines) > 1,
    )


def _mark_exits(axes: Any, line: Line, limits: Extent, plot: Plot) -> None:
    """Draw triangles where a line leaves its axis."""
    xs = line.xs(line.shown, plot.view.x)
    for x, side in exits(xs, line.shown.values.tolist(), limits):
        mark_exit(axes, _on_axis([x], plot)[0], is_above=side > 0, place=line.place)


def _places(line: Line, points: Any, plot: Plot) -> Sequence[Any]:
    return _on_axis(line.xs(points, plot.view.x), plot)


def _on_axis(xs: Sequence[float], plot: Plot) -> Sequence[Any]:
    _, unit = x_label(plot)
    if plot.view.x == "time":
        return [datetime.fromtimestamp(x, timezone.utc).astimezone() for x in xs]
    return [x / unit for x in xs]
