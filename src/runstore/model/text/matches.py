"""Matches of a text search: lines of notes, errors, tracebacks and output."""

from __future__ import annotations

from datetime import datetime

from runstore.model.run import Run
from runstore.value_classes import dataclass

NOTES, ERROR, TRACEBACK, OUTPUT = "notes", "error", "traceback", "output"
TEXT_FIELDS = (NOTES, ERROR, TRACEBACK, OUTPUT)


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A matching line.

    Attributes:
        field: `notes`, `error`, `traceback` or `output`.
        number: Its line number in that field, from 1.
        text: The line, without colours.
        spans: Begin and end of each match in the line.
        before: Lines above it, up to the requested number.
        after: Lines below it.
        at: When it was printed (UTC); None unless it is output.
        stream: `stdout`, `stderr` or `logging`; None unless it is output.
    """

    field: str
    number: int
    text: str
    spans: tuple[tuple[int, int], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    at: datetime | None = None
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class FoundTexts:
    """The matching lines of one run.

    Attributes:
        run: The run.
        lines: Notes first, then error, traceback and output, up to the requested number.
        has_more: Whether there are more.
    """

    run: Run
    lines: tuple[FoundLine, ...]
    has_more: bool = False
