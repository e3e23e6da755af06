"""The lines of a diff with their numbers, in windows: a diff may have a million lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from runstore.model.code.patches import split_lines
from runstore.value_classes import NamedTuple

LineKind = Literal["hunk", "context", "added", "removed", "note"]

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_KINDS: dict[str, LineKind] = {" ": "context", "+": "added", "-": "removed", "\\": "note"}
_LONGEST = 2_000  # characters of a line that are shown


class DiffLine(NamedTuple):
    """One line of a diff.

    Attributes:
        kind: A `hunk` has the place of the lines below it; a `note` is about the line above.
        old: Its number in the first version, from 1; None if it is not there.
        new: Its number in the second.
        text: The line without its sign and end; the beginning of a very long line.
        cut: Characters that were left out.
    """

    kind: LineKind
    old: int | None
    new: int | None
    text: str
    cut: int = 0


def diff_lines(diff: str) -> Iterator[DiffLine]:
    """Yield the lines of one file's diff, without its header."""
    old = new = 0
    is_inside = False
    for whole in split_lines(diff):
        line = whole.removesuffix("\n")
        hunk = _HUNK.match(line)
        if hunk is not None and line[:1] == "@":
            old, new = int(hunk[1]), int(hunk[2])
            is_inside = True
            yield _line("hunk", None, None, line)
        elif is_inside and line[:1] in _KINDS:
            kind = _KINDS[line[0]]
            has_old, has_new = kind in {"context", "removed"}, kind in {"context", "added"}
            yield _line(kind, old if has_old else None, new if has_new else None, line[1:])
            old, new = old + has_old, new + has_new


def _line(kind: LineKind, old: int | None, new: int | None, text: str) -> DiffLine:
    return DiffLine(kind, old, new, text[:_LONGEST], max(0, len(text) - _LONGEST))
