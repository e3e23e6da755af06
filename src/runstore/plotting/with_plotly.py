"""Lines in the figures of plotly."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from runstore.errors import visible

FAINT = 0.25
_DASHES = ("solid", "dash", "dot", "dashdot")
_SYMBOLS = ("circle", "x", "square", "triangle-up", "diamond", "triangle-down", "star", "cross")
_COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
    "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip
_FEW = 50  # points that are marked one by one


def look(place: int, name: str, points: int) -> dict[str, Any]:
    """Return the look of the line of a place, which is the same everywhere."""
    return {
        "name": plain_text(name),
        "legendgroup": str(place),
        "mode": "lines+markers" if points <= _FEW else "lines",
        "line": {
            "color": _COLOURS[place % len(_COLOURS)],
            "dash": _DASHES[place // 2 % len(_DASHES)],
        },
        "marker": {"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 6},
    }


def faint(style: dict[str, Any]) -> dict[str, Any]:
    """Return the look of the raw line behind a smoothed one."""
    return {**style, "opacity": FAINT, "showlegend": False, "hoverinfo": "skip"}


def exit_marks(style: dict[str, Any], are_above: Sequence[bool]) -> dict[str, Any]:
    """Return the look of triangles where a line leaves its axis."""
    symbols = ["triangle-up" if one else "triangle-down" for one in are_above]
    marker = {"symbol": symbols, "size": 11, "color": style["line"]["color"]}
    hidden = {"showlegend": False, "hoverinfo": "skip", "cliponaxis": False}
    return {**style, **hidden, "mode": "markers", "marker": marker}


def plain_text(text: str) -> str:
    """Return a text without tags and TeX, which plotly would obey."""
    return html.escape(visible(text)).replace("$", "&#36;")
