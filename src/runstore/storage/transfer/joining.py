"""Joining of a series that two stores have of one run: the points of both.

Points are equal if step, time and value are. A point that a series has twice stays there twice.
If one series contains the other, it is the result, in its own order. Otherwise the points of both
are ordered by time. The same series results in every store, whatever is transferred first.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, pairwise, takewhile

from runstore.storage.database import Database
from runstore.storage.driver import Connection, one_moment
from runstore.storage.metrics import chunks
from runstore.storage.metrics.chunks import Columns, bytes_of, column_of
from runstore.storage.metrics.levels import FAN_OUT
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.metrics.rewinding import NEVER_REMOVED
from runstore.storage.metrics.table import Total, summed
from runstore.storage.transfer.branches import Branch, Removal
from runstore.storage.transfer.points import chunks_of_series
from runstore.storage.transfer.records import Summary
from runstore.value_classes import NamedTuple

# Time, step, bits of the value: also the order of joined points.
Point = tuple[int, int, int]


class Joined(NamedTuple):
    """Points of a series that neither store has like this.

    Attributes:
        summary: Its summary; None if no point is left.
        kept: Number of chunks at its beginning that both stores have.
        rest: The points after them.
    """

    summary: Summary | None
    kept: int
    rest: Sequence[Point]


class PointJoiner:
    """Joins series of one run.

    Attributes:
        found: The joined points of series that the target does not have like this; None if the
            source has exactly these points.
    """

    def __init__(self, source: Database, target: Database) -> None:
        self._source = source
        self._target = target
        self.found: dict[KeyOf, Joined | None] = {}

    def __call__(self, mine: Branch, theirs: Branch, key: KeyOf) -> Summary | None:
        """Return the summary of the joined points; None if no point is left."""
        with (
            self._target.driver.read() as here,
            one_moment(here),
            self._source.driver.read() as there,
            one_moment(there),
        ):
            result = joined(here, there, mine, theirs, key)
        if isinstance(result, Joined):
            self.found[key] = result
            return result.summary
        if result is theirs:
            self.found[key] = None
        return result.record.series[key]


def joined(
    here: Connection, there: Connection, mine: Branch, theirs: Branch, key: KeyOf
) -> Branch | Joined:
    """Return the copy with the points of both in its series, or their joined points.

    Raises:
        StoreCorruptError: The points are damaged.
    """
    sides = (mine, theirs)
    known = [one.record.series.get(key) for one in sides]

    def summary_of(one: Branch) -> str:
        return repr(one.record.series[key])

    is_whole = key.key.startswith(NEVER_REMOVED) or not (mine.removals or theirs.removals)
    if is_whole and known[0] is not None and known[1] is not None:
        contains = _continuing(
            chunks_of_series(here, mine.record.row.id, key),
            chunks_of_series(there, theirs.record.row.id, key),
        )
        if any(contains):
            return max(compress(sides, contains), key=summary_of)
    stored = [
        () if summary is None else tuple(chunks_of_series(connection, one.record.row.id, key))
        for connection, one, summary in zip((here, there), sides, known, strict=True)
    ]
    kept = _equal_chunks(*stored)
    rests = [_points(one[kept:]) for one in stored]
    all_stay = key.key.startswith(NEVER_REMOVED) or rests[0] == rests[1]
    left = [
        rest if all_stay else _without(rest, one.removals)
        for rest, one in zip(rests, sides, strict=True)
    ]
    rest = _united(*left)
    if rest is None:
        rest = sorted((Counter(left[0]) | Counter(left[1])).elements())
        if not _is_ordered(chain(_each_point(stored[0][:kept]), rest)):
            kept, rest = 0, sorted(chain(_each_point(stored[0][:kept]), rest))
    equal = [
        one
        for one, summary, before in zip(sides, known, rests, strict=True)
        if summary is not None and before == rest
    ]
    if equal:
        return max(equal, key=summary_of)
    return Joined(_summary(stored[0][:kept], rest), kept, rest)


def _continuing(mine: Iterator[bytes], theirs: Iterator[bytes]) -> tuple[bool, bool]:
    """Check for each of two series whether it begins with all points of the other.

    This is the usual case: one of them was continued. A few chunks are in memory at once.
    """
    left, others = _no_points(), _no_points()
    while True:
        if not left[0] and not others[0]:
            pair = next(mine, None), next(theirs, None)
            if None not in pair and pair[0] == pair[1]:
                continue
            left, others = map(_exact, pair)
        left = left if left[0] else _exact(next(mine, None))
        others = others if others[0] else _exact(next(theirs, None))
        if not left[0] or not others[0]:
            return not others[0], not left[0]
        count = min(len(left[0]), len(others[0]))
        if any(one[:count] != other[:count] for one, other in zip(left, others, strict=True)):
            return False, False
        left = [one[count:] for one in left]
        others = [one[count:] for one in others]


def _no_points() -> list[array[int]]:
    return [array("q"), array("q"), array("q")]


def _exact(chunk: bytes | None) -> list[array[int]]:
    """Return times, steps and the bits of the values in a chunk; empty without one."""
    if chunk is None:
        return _no_points()
    columns = chunks.unpack(chunk)
    bits = column_of("q", bytes_of(array("d", columns.values)))
    return [array("q", columns.times), array("q", columns.steps), bits]


def columns_of(points: Iterable[Point]) -> Columns:
    """Return points as columns."""
    times, steps, bits = (array("q", column) for column in zip(*points, strict=True))
    return Columns(steps, times, column_of("d", bytes_of(bits)))


def _equal_chunks(mine: Sequence[bytes], theirs: Sequence[bytes]) -> int:
    """Return the number of equal chunks at the beginning, which later points leave alone."""
    equal = takewhile(lambda pair: pair[0] == pair[1], zip(mine, theirs))  # noqa: B905 - to the shorter end
    count = sum(1 for _ in takewhile(lambda pair: _is_full(pair[0]), equal))
    # Levels of detail are made for so many chunks at once.
    return count - count % FAN_OUT


def _is_full(chunk: bytes) -> bool:
    return chunks.count_in(chunk) >= chunks.FILLED_UP


def _points(stored: Iterable[bytes]) -> list[Point]:
    return list(_each_point(stored))


def _each_point(stored: Iterable[bytes]) -> Iterator[Point]:
    for chunk in stored:
        columns = chunks.unpack(chunk)
        bits = column_of("q", bytes_of(array("d", columns.values)))
        yield from zip(columns.times, columns.steps, bits, strict=True)


def _without(points: list[Point], removals: Sequence[Removal]) -> list[Point]:
    if not removals:
        return points
    return [
        one for one in points if not any(removal.covers(one[1], one[0]) for removal in removals)
    ]


def _united(mine: list[Point], theirs: list[Point]) -> list[Point] | None:
    """Return the series that contains the other one, or None if there is none."""
    if mine == theirs:
        return mine
    shorter, longer = sorted((mine, theirs), key=len)
    if longer[: len(shorter)] == shorter:  # the usual case: one of them was continued
        return longer
    missing = Counter(shorter)
    missing.subtract(longer)
    is_within = all(count <= 0 for count in missing.values())
    return longer if is_within and len(shorter) < len(longer) else None


def _is_ordered(points: Iterable[Point]) -> bool:
    return all(one <= after for one, after in pairwise(points))


def _summary(stored: Iterable[bytes], rest: Sequence[Point]) -> Summary | None:
    """Return the summary of the points in some chunks, and those after them."""
    total: Total | None = None
    last = None
    for last in chain(map(chunks.unpack, stored), [columns_of(rest)] if rest else []):
        total = summed(last.values, total)
    if total is None or last is None:
        return None
    return Summary(*total, last.steps[-1], last.times[-1])
