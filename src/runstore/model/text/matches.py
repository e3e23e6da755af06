"""What a search in texts found: lines of notes, errors, tracebacks and output of runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runstore.model.run import Run

NOTES, ERROR, TRACEBACK, OUTPUT = "notes", "error", "traceback", "output"
TEXT_FIELDS = (NOTES, ERROR, TRACEBACK, OUTPUT)


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A line that was found.

    Attributes:
        field: `notes`, `error`, `traceback` or `output`.
        number: Its number in there, from 1.
        text: The line, without colours.
        spans: Where in it what was looked for is: begins and ends.
        before: Lines above it, as many as were asked for.
        after: Lines below it.
        at: When it was printed (UTC); None for what was not printed.
        stream: `stdout`, `stderr` or `logging`; None for what was not printed.
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
    """The lines of one run that were found.

    Attributes:
        run: The run.
        lines: Notes first, then error, traceback and output; as many as were asked for.
        has_more: Whether it has more such lines.
    """

    run: Run
    lines: tuple[FoundLine, ...]
    has_more: bool = False
