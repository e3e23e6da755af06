"""Small charts of series for notebooks: one line, in the colour of the surrounding text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from runstore.model.display.html import Markup

_MARGIN = 2.0  # so that half of the line's width is not cut off
_DOT = 1.5


def spark_svg(
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    width: int = 120,
    height: int = 24,
    label: str = "",
) -> Markup:
    """Return a line through points as SVG; empty if none can be drawn.

    NaN and infinities are gaps; a point between two gaps is a dot.

    Args:
        xs: Positions of the points, ascending; any finite numbers.
        ys: Their values.
        width: Pixels.
        height: Pixels.
        label: Text for screen readers.
    """
    from html import escape

    from runstore.errors import visible

    finite = [value for value in ys if math.isfinite(value)]
    if not finite:
        return Markup()
    place_x = _scale(xs[0], xs[-1], _MARGIN, width - _MARGIN)
    place_y = _scale(min(finite), max(finite), height - _MARGIN, _MARGIN)
    path = "".join(
        _stretch([(place_x(x), place_y(y)) for x, y in stretch]) for stretch in _stretches(xs, ys)
    )
    name = escape(visible(label))
    return Markup(
        f'<svg role="img" aria-label="{name}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" style="max-width:100%;vertical-align:middle">'
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="1.2"'
        ' stroke-linejoin="round" stroke-linecap="round"/></svg>'
    )


class _scale:  # noqa: N801 - it is called like a function
    """Maps an interval linearly to another."""

    def __init__(self, low: float, high: float, first: float, last: float) -> None:
        # Halves first, because the distance of the largest floats would be infinite.
        self._low, self._spread = low / 2, high / 2 - low / 2
        self._first, self._last = first, last

    def __call__(self, number: float) -> float:
        share = (number / 2 - self._low) / self._spread if self._spread > 0 else 0.5
        return self._first + share * (self._last - self._first)


def _stretches(xs: Sequence[float], ys: Sequence[float]) -> list[list[tuple[float, float]]]:
    """Return the points between gaps."""
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(y):
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [one for one in found if one]


def _stretch(points: Sequence[tuple[float, float]]) -> str:
    first_x, first_y = points[0]
    if len(points) == 1:
        return f"M{first_x - _DOT:.1f} {first_y:.1f}h{2 * _DOT:.0f}"
    rest = "".join(f"L{x:.1f} {y:.1f}" for x, y in points[1:])
    return f"M{first_x:.1f} {first_y:.1f}{rest}"
