"""Windows of the output of a run, and searches in it, for output of any size."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from runstore.errors import UsageError
from runstore.model.run import Run
from runstore.model.text.line_pattern import Needle, Span
from runstore.model.text.output import OutputLine, plain_text
from runstore.reading.output.order import STREAMS, LineMark, OutputOrder, OutputOrders
from runstore.reading.output.parts import Part, merged, opened_parts
from runstore.storage.backend import Backend
from runstore.storage.fulltext.pieces import texts_in
from runstore.value_classes import dataclass

# Maximum characters of one answer, except for its first line.
_WINDOW_CHARACTERS = 1 << 20
_PATIENCE_S = 0.25


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A line of output.

    Attributes:
        number: Its number among all lines, from 1.
        line: The line, with its text cut to the requested width.
        length: Number of characters of the whole text.
    """

    number: int
    line: OutputLine
    length: int


@dataclass(frozen=True, slots=True)
class OutputWindow:
    """Some lines of output of a run.

    Attributes:
        lines: The lines; empty if the index has not reached them yet.
        start: The index of the first line among the lines of the streams, from 0.
        counts: The number of lines of each stream, as far as they are counted.
        size_bytes: Size of the output.
        counted_bytes: The number of bytes whose lines are counted.
        is_growing: Whether a process still writes to it.
    """

    lines: tuple[NumberedLine, ...]
    start: int
    counts: Mapping[str, int]
    size_bytes: int
    counted_bytes: int
    is_growing: bool

    @property
    def is_counted(self) -> bool:
        """Whether all lines are counted."""
        return self.counted_bytes >= self.size_bytes


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches a search.

    Attributes:
        place: Its index among the lines of the streams, from 0.
        number: Its number among all lines, from 1.
        line: The line.
        text: Its text without colours.
        spans: The starts and ends of the matches in this text.
    """

    place: int
    number: int
    line: OutputLine
    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """Lines that match a search.

    Attributes:
        hits: The lines, in order.
        after: The number of the line to continue after; None at the end.
    """

    hits: tuple[Hit, ...]
    after: int | None


def window_of(
    backend: Backend,
    run: Run,
    *,
    start: int,
    count: int,
    streams: Collection[str] = STREAMS,
    width: int = 2000,
    patience_s: float = _PATIENCE_S,
) -> OutputWindow:
    """Return some lines of the output of a run.

    The cost depends on the requested lines. Only the first call counts the lines of an output, up
    to the time limit; the next call continues.

    Args:
        backend: The store.
        run: The run.
        start: The index of the first line among those of the streams, from 0; -1 is the last.
        count: Maximum number of lines.
        streams: The streams to show, of `stdout`, `stderr` and `logging`.
        width: Maximum number of characters per line.
        patience_s: Time limit for counting lines, in seconds.

    Raises:
        NotFoundError: A file is missing.
        StoreCorruptError: A file was changed or damaged.
        UsageError: There is no such stream.
    """
    check_streams(streams)
    with opened_parts(backend, run) as parts:
        order = backend.part(OutputOrders).of(run.uid, parts)
        with order.lock:
            order.refresh(parts)
            wanted = start + count if start >= 0 else None
            order.extend(parts, lambda mark: _is_past(mark, streams, wanted), patience_s)
            place = start
            if start < 0:
                place = max(0, order.last.lines(streams) + start)
            is_reached = order.is_complete(parts) or (
                wanted is not None and order.last.lines(streams) >= wanted
            )
            found = _lines(order, parts, place, streams) if is_reached else iter(())
            lines = tuple(_bounded(islice(found, count), width))
            return OutputWindow(
                lines,
                place,
                dict(zip(STREAMS, order.last.counts, strict=True)),
                size_bytes=sum(one.size for one in parts),
                counted_bytes=sum(order.last.offsets),
                is_growing=any(one.is_growing for one in parts),
            )


def hits_of(
    backend: Backend,
    run: Run,
    needle: Needle,
    *,
    after: int = 0,
    limit: int = 1000,
    streams: Collection[str] = STREAMS,
    patience_s: float = _PATIENCE_S,
) -> Hits:
    """Return lines of the output of a run that match a search.

    Args:
        backend: The store.
        run: The run.
        needle: The text or pattern to find.
        after: The number of a line; only later lines are searched.
        limit: Maximum number of lines.
        streams: The streams to search, of `stdout`, `stderr` and `logging`.
        patience_s: Time limit in seconds; lines found until then are returned.

    Raises:
        FilterError: A regular expression took too long.
        NotFoundError: A file is missing.
        StoreCorruptError: A file was changed or damaged.
        UsageError: There is no such stream.
    """
    check_streams(streams)
    until = time.monotonic() + patience_s
    with opened_parts(backend, run) as parts:
        order = backend.part(OutputOrders).of(run.uid, parts)
        with order.lock:
            order.refresh(parts)
            order.extend(parts, lambda mark: mark.lines(STREAMS) > after, patience_s)
            if order.last.lines(STREAMS) <= after:
                return Hits((), None if order.is_complete(parts) else after)
            begin = order.before(after, STREAMS)
        return _search(_Search(order, parts, needle, streams), begin, after, limit, until)


@dataclass(frozen=True, slots=True)
class _Search:
    """A search for a needle, from mark to mark of an index."""

    order: OutputOrder
    parts: list[Part]
    needle: Needle
    streams: Collection[str]

    def next_mark(self, mark: LineMark) -> LineMark | None:
        """Return the next mark, extending the index if necessary."""
        # Other threads read windows of the same output meanwhile.
        with self.order.lock:
            if self.order.last is mark:
                self.order.extend(self.parts, lambda one: one is not mark, 0)
            return self.order.after(mark)

    def between(self, mark: LineMark, end: LineMark, after: int) -> Iterator[Hit]:
        """Yield the hits between two marks."""
        if not self._may_be_between(mark, end):
            return
        number, place = mark.lines(STREAMS), mark.lines(self.streams)
        count = end.lines(STREAMS) - number
        for one in islice(merged(self.parts, mark.offsets), count):
            number += 1
            if one.line.stream not in self.streams:
                continue
            text = plain_text(one.line.text)
            spans = self.needle.spans(text) if number > after else ()
            if spans:
                yield Hit(place, number, one.line, text, spans)
            place += 1

    def _may_be_between(self, mark: LineMark, end: LineMark) -> bool:
        for part, first, last in zip(self.parts, mark.offsets, end.offsets, strict=True):
            data = part.span(first, last) if last > first else b""
            if self.needle.may_be_in_bytes(data) and self.needle.may_be_in(
                "\n".join(texts_in(data))
            ):
                return True
        return False


def _search(search: _Search, mark: LineMark, after: int, limit: int, until: float) -> Hits:
    hits: list[Hit] = []
    while (end := search.next_mark(mark)) is not None:
        found = search.between(mark, end, after)
        hits += islice(found, limit - len(hits))
        if len(hits) == limit:
            return Hits(tuple(hits), hits[-1].number)
        mark = end
        if time.monotonic() > until:
            return Hits(tuple(hits), max(after, mark.lines(STREAMS)))
    return Hits(tuple(hits), None)


def check_streams(streams: Collection[str]) -> None:
    """Check that there are such streams.

    Raises:
        UsageError: One does not exist, or none is named.
    """
    wrong = [one for one in streams if one not in STREAMS]
    if wrong or not streams:
        raise UsageError(
            f"There is no stream {wrong[0]!r:.60}." if wrong else "No stream was named.",
            hint=f"There are {', '.join(STREAMS)}.",
        )


def _is_past(mark: LineMark, streams: Collection[str], wanted: int | None) -> bool:
    return wanted is not None and mark.lines(streams) >= wanted


def _lines(
    order: OutputOrder, parts: list[Part], place: int, streams: Collection[str]
) -> Iterator[NumberedLine]:
    mark = order.before(place, streams)
    at, number = mark.lines(streams), mark.lines(STREAMS)
    for one in merged(parts, mark.offsets):
        number += 1
        if one.line.stream not in streams:
            continue
        if at >= place:
            yield NumberedLine(number, one.line, len(one.line.text))
        at += 1


def _bounded(lines: Iterator[NumberedLine], width: int) -> Iterator[NumberedLine]:
    """Yield lines, cut to a width, until a total number of characters."""
    room = _WINDOW_CHARACTERS
    for one in lines:
        text = one.line.text
        cut = one if len(text) <= width else _cut(one, width)
        yield cut
        room -= len(cut.line.text)
        if room <= 0:
            return


def _cut(one: NumberedLine, width: int) -> NumberedLine:
    line = OutputLine(one.line.at, one.line.stream, one.line.text[:width])
    return NumberedLine(one.number, line, one.length)
