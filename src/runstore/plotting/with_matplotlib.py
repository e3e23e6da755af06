"""Lines on the axes of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runstore.errors import visible

_DASHES = ("-", "--", "-.", ":")
_MARKERS = "oxs^Dv*P"
_MARKED = 12  # signs on a line, so that lines differ in more than colour
FAINT = 0.25


def draw_line(
    axes: Any,
    xs: Sequence[Any],
    ys: Sequence[float],
    *,
    place: int,
    name: str = "",
    is_marked: bool = False,
    is_faint: bool = False,
) -> None:
    """Draw a line, in the look of its place among all lines.

    Args:
        axes: The `Axes`.
        xs: Numbers or times.
        ys: As many numbers.
        place: From 0; the same place has the same look everywhere.
        name: Its name in the legend; empty for none.
        is_marked: Whether signs distinguish it from other lines.
        is_faint: Whether it is the raw line behind a smoothed one.
    """
    colour = f"C{place % 10}"
    if is_faint:
        axes.plot(xs, ys, color=colour, alpha=FAINT, linewidth=1)
        return
    axes.plot(
        xs,
        ys,
        color=colour,
        linewidth=1.2,
        linestyle=_DASHES[place // 10 % len(_DASHES)],
        marker=_MARKERS[place % len(_MARKERS)] if is_marked else None,
        markersize=4,
        markevery=max(1, len(xs) // _MARKED),
        label=_name(name),
    )


def mark_exit(axes: Any, x: Any, *, is_above: bool, place: int) -> None:
    """Draw a triangle at the edge of the axes where a line leaves them."""
    axes.plot(
        [x],
        [1 if is_above else 0],
        transform=axes.get_xaxis_transform(),
        color=f"C{place % 10}",
        marker="^" if is_above else "v",
        markersize=7,
        clip_on=False,
        zorder=3,
    )


def plain_text(text: str) -> str:
    """Return a text without TeX, which matplotlib reads between dollar signs."""
    return visible(text).replace("$", r"\$")


def _name(text: str) -> str:
    # matplotlib omits such names from the legend.
    plain = plain_text(text)
    return plain.replace("_", "\u200b_", 1) if plain.startswith("_") else plain
