"""Plots as an HTML page that works without a network, drawn by plotly."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import Any

from runstore.cli.output import terminal_safe
from runstore.cli.plots.files import missing_library, written_aside
from runstore.cli.plots.panels import Line, Panel, Plot, x_label
from runstore.model.display.limits import Extent, exits
from runstore.plotting.with_plotly import exit_marks, faint, look, plain_text

_HEIGHT = 420
_FRAME = 140  # pixels of a page besides its panels
_BELOW_LABEL = 50  # pixels from the last panel to the end of its labels
_LINE = 18
_REMARK_WIDTH = 110  # characters
_GAP = 0.2  # between panels, in heights of a panel


def write_page(plot: Plot, file: Path, width: int | None, height: int | None) -> None:
    """Write a plot as one self-contained HTML file, replacing any file of that name.

    Args:
        plot: The plot.
        file: Its name ends with `.html`.
        width: Pixels; None for the width of the window.
        height: Pixels of each panel.

    Raises:
        MissingExtraError: plotly is missing.
        UsageError: The file cannot be written.
    """
    figure = _figure(plot)
    figure.update_layout(
        height=(height or _HEIGHT) * len(plot.panels) + _FRAME,
        width=width,
        template="plotly_white",
        title=plain_text(plot.title),
        hovermode="x unified",
    )
    if plot.remarks:
        _write_below(figure, plot.remarks)
    with written_aside(file) as aside:
        page = figure.to_html(full_html=True, include_plotlyjs=True)
        title = f"<head><title>{html.escape(terminal_safe(plot.title))}</title>"
        aside.write_text(page.replace("<head>", title, 1), encoding="utf-8")


def _write_below(figure: Any, remarks: Sequence[str]) -> None:
    """Write remarks below the last panel, in a margin that has room for them."""
    lines = [line for remark in remarks for line in wrap(remark, _REMARK_WIDTH)]
    figure.add_annotation(
        text="<br>".join(map(plain_text, lines)),
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        yshift=-_BELOW_LABEL,  # in pixels, however high the panels are
        xanchor="left",
        yanchor="top",
        align="left",
        showarrow=False,
    )
    room = _BELOW_LABEL + _LINE * (len(lines) + 1)
    figure.update_layout(margin={"b": room}, height=figure.layout.height + room)


def _figure(plot: Plot) -> Any:
    try:
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise missing_library("plotly") from error
    # Steps of different metrics are unrelated; times are the same for all.
    is_shared = plot.view.x != "step"
    figure = make_subplots(
        rows=len(plot.panels),
        cols=1,
        shared_xaxes=is_shared,
        vertical_spacing=_GAP / len(plot.panels),
    )
    shown: set[int] = set()
    for row, panel in enumerate(plot.panels, 1):
        _draw_panel(figure, panel, plot, row, shown)
    last = len(plot.panels)
    for row in range(last if is_shared else 1, last + 1):
        figure.update_xaxes(title_text=x_label(plot)[0], row=row, col=1)
    return figure


def _draw_panel(figure: Any, panel: Panel, plot: Plot, row: int, shown: set[int]) -> None:
    figure.update_yaxes(title_text=plain_text(panel.key), row=row, col=1)
    if plot.view.is_log:
        figure.update_yaxes(type="log", row=row, col=1)
    for line in panel.lines:
        if line.smooth is not None:
            _draw(figure, line, line.raw, plot, row, faint(_style(line)))
        # Each run has one entry in the legend, even if it is in several panels.
        style = {**_style(line), "showlegend": line.place not in shown and len(plot.lines) > 1}
        shown.add(line.place)
        _draw(figure, line, line.shown, plot, row, style)
    if panel.limits is not None:
        figure.update_yaxes(range=panel.limits, row=row, col=1)
        for line, _ in panel.leaving:
            _mark_exits(figure, line, panel.limits, plot, row)


def _mark_exits(figure: Any, line: Line, limits: Extent, plot: Plot, row: int) -> None:
    """Draw triangles where a line leaves its axis."""
    from plotly.graph_objects import Scatter

    found = list(exits(line.xs(line.shown, plot.view.x), line.shown.values.tolist(), limits))
    xs = _on_axis([x for x, _ in found], plot)
    ys = [limits[side > 0] for _, side in found]
    marks = exit_marks(_style(line), [side > 0 for _, side in found])
    figure.add_trace(Scatter(x=xs, y=ys, **marks), row=row, col=1)


def _style(line: Line) -> dict[str, Any]:
    return look(line.place, line.name, len(line.shown))


def _draw(
    figure: Any, line: Line, points: Any, plot: Plot, row: int, style: dict[str, Any]
) -> None:
    from plotly.graph_objects import Scatter

    xs, ys = _places(line, points, plot), list(points.values)
    figure.add_trace(Scatter(x=xs, y=ys, **style), row=row, col=1)


def _places(line: Line, points: Any, plot: Plot) -> Sequence[Any]:
    return _on_axis(line.xs(points, plot.view.x), plot)


def _on_axis(xs: Sequence[float], plot: Plot) -> Sequence[Any]:
    _, unit = x_label(plot)
    if plot.view.x == "time":
        return [datetime.fromtimestamp(x).astimezone().replace(tzinfo=None) for x in xs]
    return [x / unit for x in xs]
