"""Reading a series for a plot of one window: blocks if they are small enough, otherwise points.

From the coarsest rows down, a block is used if it lies within the window and is narrow; otherwise
it is replaced by the blocks that it summarises, and at last by the points themselves.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from operator import le, sub
from typing import Any

from runstore.storage.driver import Connection
from runstore.storage.metrics import levels
from runstore.storage.metrics.chunks import Columns, column_of_x, unpack
from runstore.storage.metrics.levels import (
    FAN_OUT,
    NO_BLOCKS,
    STEPS_MIXED,
    TIMES_MIXED,
    LevelRow,
    blocks_of,
    chunks_between,
    chunks_of,
    coarser_row,
    row_of,
    rows_between,
)
from runstore.value_classes import NamedTuple

# Minimum number of points per block for joining them to be worthwhile.
_FEW = 2


class Window(NamedTuple):
    """The requested part of a series.

    Attributes:
        over_times: Whether the x axis shows times, in microseconds, instead of steps.
        begin: Lowest step or time; None for the lowest of the series.
        end: Highest step or time; None for the highest of the series.
        blocks: Number of blocks that the window is divided into; limits the width of a block.
    """

    over_times: bool
    begin: int | None
    end: int | None
    blocks: int


class Outlined:
    """Columns of equal length: blocks of points, in logging order.

    Attributes:
        is_there: Whether the series has any points, in the window or not.
        missing: Level and place of missing rows, each after the rows that it is built from.
        width: Maximum width of a block.
        low: Step or time of the first point of each block, its lowest.
        high: Step or time of its last point.
        first: The value of its first point.
        last: The value of its last point.
        min: Its smallest value; infinity if all are NaN.
        max: Its largest value; minus infinity if all are NaN.
        counts: Its number of points.
    """

    def __init__(self) -> None:
        self.is_there = False
        self.missing: list[tuple[int, int]] = []
        self.width = 0
        self.low: array[int] = array("q")
        self.high: array[int] = array("q")
        self.first: array[float] = array("d")
        self.last: array[float] = array("d")
        self.min: array[float] = array("d")
        self.max: array[float] = array("d")
        self.counts: array[int] = array("q")

    def add_points(self, xs: Sequence[int], values: array[float]) -> None:
        """Add points, each as a block."""
        self.low.extend(xs)
        self.high.extend(xs)
        self.first.extend(values)
        self.last.extend(values)
        if math.isnan(sum(values)):
            self.min.extend(math.inf if math.isnan(one) else one for one in values)
            self.max.extend(-math.inf if math.isnan(one) else one for one in values)
        else:
            self.min.extend(values)
            self.max.extend(values)
        self.counts.extend(array("q", [1]) * len(values))

    def add_joined(
        self, xs: Sequence[int], values: array[float], begins: Sequence[int], end: int
    ) -> None:
        """Add points as blocks that begin at these indices."""
        ends = [*begins[1:], end]
        known = values.tolist()
        parts = [known[at:to] for at, to in zip(begins, ends, strict=True)]
        self.low.extend([xs[at] for at in begins])
        self.high.extend([xs[to - 1] for to in ends])
        self.first.extend([known[at] for at in begins])
        self.last.extend([known[to - 1] for to in ends])
        self.counts.extend([to - at for at, to in zip(begins, ends, strict=True)])
        if math.isnan(sum(known)):
            parts = [[one for one in part if not math.isnan(one)] for part in parts]
            self.min.extend([min(part, default=math.inf) for part in parts])
            self.max.extend([max(part, default=-math.inf) for part in parts])
        else:
            self.min.extend(map(min, parts))
            self.max.extend(map(max, parts))

    def add_blocks(self, node: _RowNode, begin: int, end: int) -> None:
        """Add some blocks of a row."""
        blocks = node.row.blocks
        pairs: tuple[tuple[array[Any], Sequence[Any]], ...] = (
            (self.low, node.low),
            (self.high, node.high),
            (self.first, blocks.first),
            (self.last, blocks.last),
            (self.min, blocks.min),
            (self.max, blocks.max),
            (self.counts, blocks.counts),
        )
        for column, more in pairs:
            column.extend(more[begin:end])


class _RowNode:
    """A row of a level, along steps or times."""

    def __init__(self, row: LevelRow, level: int, place: int, *, over_times: bool) -> None:
        self.row, self.level, self.place = row, level, place
        blocks = row.blocks
        self.low = blocks.time_low if over_times else blocks.step_low
        self.high = blocks.time_high if over_times else blocks.step_high
        flag = TIMES_MIXED if over_times else STEPS_MIXED
        self.mixed = [one & flag for one in blocks.mixed] if any(blocks.mixed) else None
        self.lowest = min(self.low, default=0)
        self.highest = max(self.high, default=0)
        widths = list(map(sub, self.high, self.low))
        self.widest, self.narrowest = max(widths, default=0), min(widths, default=0)


class _PointsNode:
    """Consecutive points, such as the points of a chunk."""

    def __init__(self, xs: Sequence[int], values: array[float]) -> None:
        self.xs, self.values = xs, values
        self.is_sorted = isinstance(xs, range) or all(map(le, xs, xs[1:]))
        if isinstance(xs, range) and xs.step < 0:
            self.is_sorted = len(xs) < 2  # noqa: PLR2004 - one point is in order
        self.lowest = xs[0] if self.is_sorted else min(xs)
        self.highest = xs[-1] if self.is_sorted else max(xs)


class Outlining:
    """Reader of a window of one series, which may be missing in the database."""

    def __init__(
        self, connection: Connection, where: Mapping[str, int] | None, window: Window
    ) -> None:
        self._connection, self._window = connection, window
        self._where = where or {}
        self._begin = self._end = self._width = 0
        self._missing: list[tuple[int, int]] = []

    def read(self, waiting: Columns | None = None) -> Outlined:
        """Return the contents of the window, with points that are not in the database yet."""
        nodes = self._nodes(waiting)
        found = Outlined()
        if not nodes:
            return found
        window = self._window
        lowest = min(node.lowest for node in nodes)
        highest = max(node.highest for node in nodes)
        self._begin = lowest if window.begin is None else window.begin
        self._end = highest if window.end is None else window.end
        self._width = max(self._end - self._begin, 0) // window.blocks
        self._take_all(found, nodes)
        if len(found.counts) < sum(found.counts) <= 2 * window.blocks:
            # So few points share their places that each is shown on its own.
            found, self._width = Outlined(), -1
            self._take_all(found, nodes)
        found.is_there, found.width, found.missing = True, self._width, self._missing
        return found

    def values_at(self, xs: Sequence[int], waiting: Columns | None = None) -> list[float | None]:
        """Return the last value logged at or before each of these sorted steps or times.

        It is None before the first point and after the last. Times are in microseconds.
        """
        nodes = self._nodes(waiting)
        if not _are_in_order(nodes):
            nodes = [self._all_in_order(nodes)]
        lows = [node.lowest for node in nodes]
        found: list[float | None] = []
        for place, some in _grouped(lows, xs):
            node = nodes[place] if place >= 0 else None
            is_last = place == len(nodes) - 1
            known = [x for x in some if node is not None and (x <= node.highest or not is_last)]
            if node is None:
                found += [None] * len(some)
            else:
                found += self._values(node, known)
                found += [None] * (len(some) - len(known))
        return found

    def _values(self, node: _RowNode | _PointsNode, xs: Sequence[int]) -> Iterator[float]:
        """Yield the last value at or before each of these places, all after the node's lowest."""
        if isinstance(node, _PointsNode):
            for x in xs:
                yield node.values[bisect_right(node.xs, x) - 1]
            return
        ends = list(accumulate(node.row.parts))
        below: tuple[int, Sequence[_RowNode | _PointsNode]] = (-1, ())
        for x in xs:
            block = bisect_right(node.low, x) - 1
            if x >= node.high[block]:
                yield node.row.blocks.last[block]
                continue
            part = bisect_right(ends, block)
            if below[0] != part:
                below = part, self._below(node.level, node.place * FAN_OUT + part)
            if below[1]:
                yield from self._values(below[1][0], [x])
            else:  # its chunk is missing
                yield math.nan

    def _all_in_order(self, nodes: Sequence[_RowNode | _PointsNode]) -> _PointsNode:
        """Return all points, sorted by step or time."""
        self._begin = min(node.lowest for node in nodes)
        self._end = max(node.highest for node in nodes)
        self._width, whole = -1, Outlined()
        self._take_all(whole, nodes)
        places = sorted(range(len(whole.low)), key=whole.low.__getitem__)
        values = array("d", [whole.last[place] for place in places])
        return _PointsNode(array("q", [whole.low[place] for place in places]), values)

    def _nodes(self, waiting: Columns | None) -> list[_RowNode | _PointsNode]:
        nodes = list(self._roots())
        if waiting is not None and len(waiting.values):
            xs = waiting.times if self._window.over_times else waiting.steps
            nodes.append(_PointsNode(xs, array("d", waiting.values)))
        return nodes

    def _take_all(self, found: Outlined, nodes: Sequence[_RowNode | _PointsNode]) -> None:
        for node in nodes:
            if isinstance(node, _PointsNode):
                self._take_points(found, node, 0, len(node.values))
            else:
                self._take(found, node, 0, len(node.low))

    # Traversal of rows and chunks

    def _roots(self) -> Iterator[_RowNode | _PointsNode]:
        if not self._where:
            return
        count, final = chunks_of(self._connection, self._where)
        covered, level = 0, 0
        size = FAN_OUT
        while final // (size * FAN_OUT):
            level, size = level + 1, size * FAN_OUT
        while level >= 0:
            end = final // size
            yield from self._rows(level, covered // size, end - 1)
            covered = end * size
            level, size = level - 1, size // FAN_OUT
        yield from self._chunks(covered, count - 1)

    def _rows(self, level: int, begin: int, end: int) -> Iterator[_RowNode]:
        """Yield rows of a level, rebuilding missing ones."""
        if begin > end:
            return
        rows = rows_between(self._connection, self._where, level, begin, end)
        for place in range(begin, end + 1):
            row = rows.get(place) or self._made(level, place)
            if row.blocks.counts:
                yield _RowNode(row, level, place, over_times=self._window.over_times)

    def _made(self, level: int, place: int) -> LevelRow:
        begin = place * FAN_OUT
        end = begin + FAN_OUT - 1
        if level:
            rows = rows_between(self._connection, self._where, level - 1, begin, end)
            row = coarser_row(
                [rows.get(one) or self._made(level - 1, one) for one in range(begin, end + 1)]
            )
        else:
            chunks = dict(chunks_between(self._connection, self._where, begin, end))
            row = row_of(
                [
                    blocks_of(unpack(chunks[one])) if one in chunks else NO_BLOCKS
                    for one in range(begin, end + 1)
                ]
            )
        self._missing.append((level, place))
        return row

    def _chunks(self, begin: int, end: int) -> Iterator[_PointsNode]:
        if begin > end:
            return
        for _, chunk in chunks_between(self._connection, self._where, begin, end):
            yield _PointsNode(*column_of_x(chunk, over_times=self._window.over_times))

    # Selection of blocks and points

    def _take(self, found: Outlined, node: _RowNode, begin: int, end: int) -> None:
        """Add some blocks of a row, or the finer data below them."""
        if node.highest < self._begin or node.lowest > self._end:
            return
        part_begin = 0
        for part, blocks in enumerate(node.row.parts):
            some = range(max(begin, part_begin), min(end, part_begin + blocks))
            if some:
                self._take_part(found, node, part, part_begin, some)
            part_begin += blocks

    def _take_part(
        self, found: Outlined, node: _RowNode, part: int, part_begin: int, some: range
    ) -> None:
        """Add blocks that summarise one row of the level below, or one chunk."""
        below: Sequence[_RowNode | _PointsNode] | None = None
        for is_taken, begin, end in self._stretches(node, some):
            if is_taken:
                found.add_blocks(node, begin, end)
                continue
            if below is None:
                below = self._below(node.level, node.place * FAN_OUT + part)
            at, to = begin - part_begin, end - part_begin
            for one in below:
                if isinstance(one, _PointsNode):
                    size = levels.POINTS_OF_BLOCK
                    self._take_points(found, one, at * size, to * size)
                else:
                    self._take(found, one, at * FAN_OUT, to * FAN_OUT)

    def _below(self, level: int, place: int) -> Sequence[_RowNode | _PointsNode]:
        """Return the row of the level below, or the chunk, at a place."""
        return list(self._rows(level - 1, place, place) if level else self._chunks(place, place))

    def _stretches(self, node: _RowNode, some: range) -> Iterator[tuple[bool, int, int]]:
        """Yield ranges of blocks with True if they are added, or False if they are refined."""
        low, high, mixed = node.low, node.high, node.mixed
        first, last, width = self._begin, self._end, self._width
        # Usually all blocks of a row are alike.
        if first <= node.lowest and node.highest <= last and not mixed:
            if node.widest <= width:
                yield True, some.start, some.stop
                return
            if node.narrowest > width:
                yield False, some.start, some.stop
                return
        kind: bool | None = None  # None: outside
        begin = some.start
        for at in some:
            if high[at] < first or low[at] > last:
                this = None
            else:
                this = (
                    low[at] >= first
                    and high[at] <= last
                    and high[at] - low[at] <= width
                    and not (mixed and mixed[at])
                )
            if this is not kind:
                if kind is not None:
                    yield kind, begin, at
                kind, begin = this, at
        if kind is not None:
            yield kind, begin, some.stop

    def _take_points(self, found: Outlined, node: _PointsNode, begin: int, end: int) -> None:
        xs, values = node.xs[begin:end], node.values[begin:end]
        if not node.is_sorted:
            chosen = [at for at, x in enumerate(xs) if self._begin <= x <= self._end]
            found.add_points([xs[at] for at in chosen], array("d", [values[at] for at in chosen]))
            return
        at, to = bisect_left(xs, self._begin), bisect_right(xs, self._end)
        begins = list(_begins(xs, at, to, self._width))
        if len(begins) < (to - at) // _FEW:
            found.add_joined(xs, values, begins, to)
        else:
            found.add_points(xs[at:to], values[at:to])


def _are_in_order(nodes: Sequence[_RowNode | _PointsNode]) -> bool:
    within = all(
        node.is_sorted
        if isinstance(node, _PointsNode)
        else not node.mixed and all(map(le, node.high, node.low[1:]))
        for node in nodes
    )
    return within and all(one.highest <= other.lowest for one, other in pairwise(nodes))


def _grouped(lows: Sequence[int], xs: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield the places that belong to one node, with its index; -1 before the first one."""
    for place, some in groupby(xs, key=lambda x: bisect_right(lows, x) - 1):
        yield place, list(some)


def _begins(xs: Sequence[int], at: int, end: int, width: int) -> Iterable[int]:
    """Return the indices at which groups of points begin that are at most this wide."""
    if isinstance(xs, range) and width >= 0:
        return range(at, end, width // xs.step + 1)
    return _searched(xs, at, end, width)


def _searched(xs: Sequence[int], at: int, end: int, width: int) -> Iterator[int]:
    while at < end:
        yield at
        at = bisect_right(xs, xs[at] + width, at + 1, end)
