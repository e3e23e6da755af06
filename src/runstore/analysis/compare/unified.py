"""Lines of a unified diff, as git writes them."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from runstore.model.code.patches import split_lines

CONTEXT_LINES = 3
_STEPS_AT_MOST = 10_000_000  # below a second
_DEPTH = 8  # of parts within parts

Opcode = tuple[str, int, int, int, int]


def unified(old: str | None, new: str | None) -> tuple[str, int, int]:
    """Return the lines of a unified diff without names, and how many are added and removed."""
    before, after = split_lines(old or ""), split_lines(new or "")
    opcodes = _opcodes(before, after)
    groups = _Known(opcodes).get_grouped_opcodes(CONTEXT_LINES)
    text = "".join(part for group in groups for part in _hunk(group, before, after))
    added = sum(end - begin for tag, _, _, begin, end in opcodes if tag != "equal")
    removed = sum(end - begin for tag, begin, end, _, _ in opcodes if tag != "equal")
    return text, added, removed


class _Known(difflib.SequenceMatcher[str]):
    """Groups opcodes that were found before, with the lines around them."""

    def __init__(self, opcodes: Sequence[Opcode]) -> None:
        super().__init__()
        self._opcodes = opcodes

    def get_opcodes(self) -> Any:
        return self._opcodes


def _opcodes(before: Sequence[str], after: Sequence[str]) -> list[Opcode]:
    """Return what turns one into the other, in the words of `difflib`."""
    found: list[Opcode] = []
    for tag, a, b, c, d in _compared(before, after, 0, 0):
        is_more = bool(found) and found[-1][0] == tag
        _, i, _, k, _ = found.pop() if is_more else (tag, a, b, c, d)
        found.append((tag, i, b, k, d))
    return found


def _compared(
    before: Sequence[str], after: Sequence[str], a: int, c: int, depth: int = 0
) -> Iterator[Opcode]:
    """Yield the opcodes of a part of both, which begins at line `a` and line `c`."""
    first = 0
    shortest = min(len(before), len(after))
    while first < shortest and before[first] == after[first]:
        first += 1
    last = 0
    while last < shortest - first and before[-1 - last] == after[-1 - last]:
        last += 1
    old, new = before[first : len(before) - last], after[first : len(after) - last]
    if first:
        yield "equal", a, a + first, c, c + first
    a, c = a + first, c + first
    yield from _inner(old, new, a, c, depth)
    a, c = a + len(old), c + len(new)
    if last:
        yield "equal", a, a + last, c, c + last


def _inner(old: Sequence[str], new: Sequence[str], a: int, c: int, depth: int) -> Iterator[Opcode]:
    if not old and not new:
        return
    whole = (a, a + len(old), c, c + len(new))
    if not old or not new:
        yield ("delete" if old else "insert", *whole)
    elif _steps(old, new) <= _STEPS_AT_MOST:
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        for tag, i, j, k, m in matcher.get_opcodes():
            yield tag, a + i, a + j, c + k, c + m
    elif depth < _DEPTH and (anchors := _anchors(old, new)):
        i = k = 0
        for one, other in [*anchors, (len(old), len(new))]:
            yield from _compared(old[i:one], new[k:other], a + i, c + k, depth + 1)
            i, k = one, other
    else:
        # Right, though not the shortest: all of one instead of all of the other.
        yield ("replace", *whole)


def _steps(old: Sequence[str], new: Sequence[str]) -> int:
    """Return about what `difflib` needs: all lines once more for each two that are equal."""
    counts = Counter(new)
    return sum(counts[line] for line in old) * (len(old) + len(new))


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return places of lines that each has once, as many as are in the same order in both."""
    counts, others = Counter(old), Counter(new)
    places = {line: place for place, line in enumerate(new) if others[line] == 1}
    pairs = [
        (place, places[line])
        for place, line in enumerate(old)
        if counts[line] == 1 and line in places
    ]
    return _longest_rising(pairs)


def _longest_rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the most pairs whose second numbers rise, as their first ones do."""
    ends: list[int] = []  # the lowest second number that so many pairs can end with
    places: list[int] = []  # and the place of its pair
    previous: list[int] = []
    for place, (_, number) in enumerate(pairs):
        length = bisect_left(ends, number)
        previous.append(places[length - 1] if length else -1)
        ends[length : length + 1] = [number]
        places[length : length + 1] = [place]
    found = []
    place = places[-1] if places else -1
    while place >= 0:
        found.append(pairs[place])
        place = previous[place]
    return found[::-1]


def _hunk(group: Sequence[Opcode], before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    old, new = _range(group[0][1], group[-1][2]), _range(group[0][3], group[-1][4])
    yield f"@@ -{old} +{new} @@\n"
    for tag, a, b, c, d in group:
        if tag == "equal":
            yield from (_line(" ", line) for line in before[a:b])
            continue
        yield from (_line("-", line) for line in before[a:b])
        yield from (_line("+", line) for line in after[c:d])


def _range(begin: int, end: int) -> str:
    count = end - begin
    # A range without lines is told by the line before it.
    start = begin + 1 if count else begin
    return str(start) if count == 1 else f"{start},{count}"


def _line(sign: str, line: str) -> str:
    return (
        f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"
    )
