"""The plot of one series, with matplotlib or plotly, whichever is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstore.errors import MissingExtraError
from runstore.extras import library
from runstore.plotting import with_matplotlib, with_plotly
from runstore.value_classes import NamedTuple


class Curve(NamedTuple):
    """Points of a line."""

    xs: Sequence[Any]
    ys: Sequence[float]


def plot_series(
    name: str, x_label: str, raw: Curve, smooth: Curve | None, *, is_log: bool, ax: Any
) -> Any:
    """Draw a series.

    Args:
        name: Its key.
        x_label: Label of the x axis.
        raw: Its points.
        smooth: The same smoothed, drawn over them; None for the raw line alone.
        is_log: Whether the y axis is logarithmic.
        ax: The `Axes` of matplotlib; None for the current ones.

    Returns:
        The `Axes` of matplotlib; a `Figure` of plotly if only that is installed.

    Raises:
        MissingExtraError: Neither of them is installed.
    """
    try:
        axes = library("matplotlib.pyplot", "plot").gca() if ax is None else ax
    except MissingExtraError:
        return _figure(name, x_label, raw, smooth, is_log=is_log)
    place = len([line for line in axes.get_lines() if not line.get_label().startswith("_")])
    if smooth is not None:
        with_matplotlib.draw_line(axes, *raw, place=place, is_faint=True)
    with_matplotlib.draw_line(axes, *(smooth or raw), place=place, name=name)
    axes.set_xlabel(x_label)
    if is_log:
        axes.set_yscale("log")
    if place:
        axes.set_ylabel("")
        axes.legend(fontsize="small")
    else:
        axes.set_ylabel(with_matplotlib.plain_text(name))
        axes.grid(alpha=with_matplotlib.FAINT)
    return axes


def _figure(name: str, x_label: str, raw: Curve, smooth: Curve | None, *, is_log: bool) -> Any:
    try:
        go = library("plotly.graph_objects", "plot")
    except MissingExtraError as error:
        raise MissingExtraError(
            "Neither matplotlib nor plotly is installed.", hint=error.hint
        ) from error
    style = with_plotly.look(0, name, len(raw.xs))
    figure = go.Figure()
    if smooth is not None:
        figure.add_trace(go.Scatter(x=raw.xs, y=raw.ys, **with_plotly.faint(style)))
    curve = smooth or raw
    figure.add_trace(go.Scatter(x=curve.xs, y=curve.ys, **style))
    figure.update_xaxes(title_text=x_label)
    figure.update_yaxes(
        title_text=with_plotly.plain_text(name), type="log" if is_log else "linear"
    )
    return figure
