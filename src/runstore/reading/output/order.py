"""The order of the output of a run: an index of lines, for files of any size.

The output of a run may be in several files, whose lines are read in the order of their times. For
about every 64 KiB, an index in memory has the position in each file and the number of lines of
each stream before it. So any line is found by reading a few kilobytes. Indexing a gigabyte takes
about a second; it is done gradually, up to the requested lines.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

from runstore.model.text.output import LOGGING, STDERR, STDOUT
from runstore.reading.output.parts import BLOCK_BYTES, Part, heads, key_of, letters
from runstore.storage.backend import Backend
from runstore.storage.files.output import LETTERS
from runstore.value_classes import NamedTuple

STREAMS = (STDOUT, STDERR, LOGGING)
_KEPT = 32  # runs whose output is being viewed
_LETTERS = tuple(LETTERS[one] for one in STREAMS)


class LineMark(NamedTuple):
    """A position between two lines.

    Attributes:
        offsets: The position in each file.
        counts: The number of lines of each of `STREAMS` before it.
    """

    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    def lines(self, streams: Collection[str]) -> int:
        """Return the number of lines of some streams before the mark."""
        return sum(
            count for name, count in zip(STREAMS, self.counts, strict=True) if name in streams
        )


class OutputOrder:
    """The index of the output of a run."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.lock = threading.Lock()
        self._marks = [LineMark((0,) * len(names), (0,) * len(STREAMS))]
        self._seen: list[tuple[int, int, int]] = [(0, 0, 0)] * len(names)

    @property
    def last(self) -> LineMark:
        """The end of the index so far."""
        return self._marks[-1]

    def is_complete(self, parts: Sequence[Part]) -> bool:
        """Check whether the index is complete."""
        return self.last.offsets == tuple(one.size for one in parts)

    def refresh(self, parts: Sequence[Part]) -> None:
        """Discard positions that may have moved: programs overwrite their last lines."""
        limits = []
        for part, (size, changed, settled) in zip(parts, self._seen, strict=True):
            is_same = (part.size, part.changed) == (size, changed)
            limits.append(part.size if is_same else min(settled, part.size))
        while any(at > most for at, most in zip(self.last.offsets, limits, strict=True)):
            self._marks.pop()
        self._seen = [(one.size, one.changed, one.settled) for one in parts]

    def before(self, place: int, streams: Collection[str]) -> LineMark:
        """Return the last mark with at most this number of lines of some streams before it."""
        found = bisect_right(self._marks, place, key=lambda mark: mark.lines(streams))
        return self._marks[max(0, found - 1)]

    def after(self, mark: LineMark) -> LineMark | None:
        """Return the next mark after a mark; None for the last."""
        at = bisect_right(self._marks, sum(mark.offsets), key=lambda one: sum(one.offsets))
        return self._marks[at] if at < len(self._marks) else None

    def extend(
        self, parts: Sequence[Part], is_enough: Callable[[LineMark], bool], patience_s: float
    ) -> None:
        """Continue reading until there is enough, nothing more, or the time is over."""
        until = time.monotonic() + patience_s
        fronts = [_Front(part, at) for part, at in zip(parts, self.last.offsets, strict=True)]
        counts = list(self.last.counts)
        while not is_enough(self.last):
            waiting = [one for one in fronts if not one.is_over]
            if not waiting:
                break
            if len(waiting) == 1:
                waiting[0].take_block(counts)
            else:
                _take_next(waiting, counts)
            offsets = tuple(one.offset for one in fronts)
            if sum(offsets) - sum(self.last.offsets) >= BLOCK_BYTES or all(
                one.is_over for one in fronts
            ):
                self._marks.append(LineMark(offsets, tuple(counts)))
                if time.monotonic() > until:
                    break


class _Front:
    """The part of a file after the index, with its next lines."""

    def __init__(self, part: Part, offset: int) -> None:
        self._part = part
        self.offset = offset
        self._keys: list[int] = []
        self._letters: list[bytes] = []
        self._ends: list[int] = []
        self._at = 0

    @property
    def is_over(self) -> bool:
        """Whether the end is reached."""
        return self.offset >= self._part.size

    def take_block(self, counts: list[int]) -> None:
        """Advance by a block at once: no other part has lines in between."""
        data = self._part.block(self.offset)
        found = letters(data)
        for place, letter in enumerate(_LETTERS):
            counts[place] += found.count(letter)
        # A file that became shorter meanwhile ends here.
        self.offset = self.offset + len(data) if data else self._part.size

    def key(self) -> int | None:
        """Return the time of the next line; None if there is none."""
        while self._at == len(self._keys):
            if self.is_over:
                return None
            self._read()
        return self._keys[self._at]

    def take(self, until: int, *, is_first: bool, counts: list[int]) -> None:
        """Advance by lines of this block up to a time, including it if this part is first."""
        at, keys = self._at, self._keys
        most = until if is_first else until - 1
        while at < len(keys) and keys[at] <= most:
            counts[_LETTERS.index(self._letters[at])] += 1
            at += 1
        if at > self._at:
            self.offset = self._ends[at - 1]
        self._at = at

    def _read(self) -> None:
        data = self._part.block(self.offset)
        found = heads(data)
        self._at = 0
        self._keys = [key_of(one) for one in found]
        self._letters = [one[3] for one in found]
        end = self.offset + len(data) if data else self._part.size
        self._ends = [*(self.offset + one.start() for one in found[1:]), end]
        if not found:
            self._ends = []
            self.offset = end


def _take_next(fronts: list[_Front], counts: list[int]) -> None:
    """Advance by the next lines of one part that come before those of all others."""
    there = [(key, place) for place, one in enumerate(fronts) if (key := one.key()) is not None]
    if not there:
        return
    there.sort()
    place = there[0][1]
    if len(there) == 1:
        until, is_first = there[0][0], True
    else:
        until, is_first = there[1][0], place < there[1][1]
    fronts[place].take(until, is_first=is_first, counts=counts)


class OutputOrders:
    """The indexes of the runs of a store whose output was read recently."""

    def __init__(self, _backend: Backend) -> None:
        self._lock = threading.Lock()
        self._orders: OrderedDict[str, OutputOrder] = OrderedDict()

    def of(self, uid: str, parts: Sequence[Part]) -> OutputOrder:
        """Return the index of a run, a new one if its parts have changed."""
        names = tuple(one.name for one in parts)
        with self._lock:
            found = self._orders.pop(uid, None)
            if found is None or found.names != names:
                found = OutputOrder(names)
            self._orders[uid] = found
            while len(self._orders) > _KEPT:
                self._orders.popitem(last=False)
            return found
