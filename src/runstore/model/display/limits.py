"""Limits of an axis over several lines, of which some may leave the others far behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

Extent = tuple[float, float]
Point = tuple[float, float]

# Most lines would take less than this part of the axis; and no line would be seen beside another.
_MANY_TIMES, _OUT_OF_SIGHT = 20.0, 1000.0


def robust_limits(extents: Sequence[Extent]) -> Extent | None:
    """Return the limits of a linear axis without lines that diverged; None to show all lines.

    The smallest lines are kept, if the next one is 20 times as large and most lines are kept, or
    if it is 1,000 times as large. What is below 1 counts as 1: beside a value that converged to
    0, none has diverged. Within the limits, a line that leaves them is shown as well.

    Args:
        extents: The smallest and the largest value of each line, all finite.
    """
    by_size = sorted(extents, key=_size)
    for count, (last, following) in enumerate(pairwise(by_size), 1):
        times = _MANY_TIMES if 2 * count > len(by_size) else _OUT_OF_SIGHT
        if not _size(last) or max(1.0, _size(last)) * times > _size(following):
            continue
        low, high = _whole(by_size[:count])
        least, most = _whole(by_size)
        if (high / 2 - low / 2) * times <= most / 2 - least / 2:
            return _with_near_ends(by_size, low, high)
    return None


def _with_near_ends(extents: Sequence[Extent], low: float, high: float) -> Extent:
    """Return limits widened to the ends of lines that are near, such as those that fell first."""
    near = high / 2 - low / 2
    lows = [one for one, _ in extents if one >= low - near]
    highs = [one for _, one in extents if one <= high + near]
    return min([low, *lows]), max([high, *highs])


def _size(extent: Extent) -> float:
    return max(abs(extent[0]), abs(extent[1]))


def _whole(extents: Sequence[Extent]) -> Extent:
    return min(low for low, _ in extents), max(high for _, high in extents)


def with_margin(limits: Extent) -> Extent:
    """Return limits with a twentieth of their range around them."""
    low, high = limits
    margin = (high / 2 - low / 2) / 10 or max(abs(high) / 10, 1e-9)
    return low - margin, high + margin


def pieces_within(
    xs: Sequence[float], ys: Sequence[float], limits: Extent
) -> Iterator[list[Point]]:
    """Yield the parts of a line that lie within limits, cut where it crosses them."""
    piece: list[Point] = []
    points = list(zip(xs, ys, strict=True))
    if points and _side(points[0][1], limits) == 0:
        piece = [points[0]]
    for before, after in pairwise(points):
        sides = _side(before[1], limits), _side(after[1], limits)
        if sides[0] != 0 and sides[0] != sides[1]:
            piece = [_crossing(before, after, limits[sides[0] > 0])]
        if sides[1] == 0:
            piece.append(after)
        elif sides[0] != sides[1]:
            yield [*piece, _crossing(before, after, limits[sides[1] > 0])]
            piece = []
    if piece:
        yield piece


def exits(xs: Sequence[float], ys: Sequence[float], limits: Extent) -> Iterator[tuple[float, int]]:
    """Yield the x at which a line leaves limits, and the side: 1 above, -1 below.

    A line that begins outside leaves them at its first point.
    """
    points = list(zip(xs, ys, strict=True))
    if points and (side := _side(points[0][1], limits)):
        yield points[0][0], side
    for before, after in pairwise(points):
        side = _side(after[1], limits)
        if side and side != _side(before[1], limits):
            yield _crossing(before, after, limits[side > 0])[0], side


def _side(y: float, limits: Extent) -> int:
    return (y > limits[1]) - (y < limits[0])


def _crossing(before: Point, after: Point, edge: float) -> Point:
    # Halves, because the distance of two numbers may be beyond the largest float.
    share = (edge / 2 - before[1] / 2) / (after[1] / 2 - before[1] / 2)
    return before[0] + share * (after[0] - before[0]), edge
