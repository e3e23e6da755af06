"""Lines of a unified diff, as git writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runstore.model.patches import split_lines

CONTEXT_LINES = 3
# Pairs of equal lines, which is what a comparison of lines costs.
_PAIRS_AT_MOST = 2_000_000

Opcode = tuple[str, int, int, int, int]


def unified(old: str | None, new: str | None) -> tuple[str, int, int]:
    """Return the lines of a unified diff without names, and how many are added and removed."""
    before, after = split_lines(old or ""), split_lines(new or "")
    opcodes = _opcodes(before, after)
    text = "".join(part for group in _grouped(opcodes) for part in _hunk(group, before, after))
    added = sum(end - begin for tag, _, _, begin, end in opcodes if tag != "equal")
    removed = sum(end - begin for tag, begin, end, _, _ in opcodes if tag != "equal")
    return text, added, removed


def _opcodes(before: Sequence[str], after: Sequence[str]) -> list[Opcode]:
    """Return what turns one into the other, in the words of `difflib`."""
    first = 0
    shortest = min(len(before), len(after))
    while first < shortest and before[first] == after[first]:
        first += 1
    last = 0
    while last < shortest - first and before[-1 - last] == after[-1 - last]:
        last += 1
    old, new = before[first : len(before) - last], after[first : len(after) - last]
    found: list[Opcode] = [("equal", 0, first, 0, first)] if first else []
    found += [
        (tag, a + first, b + first, c + first, d + first) for tag, a, b, c, d in _inner(old, new)
    ]
    if last:
        found.append(("equal", len(before) - last, len(before), len(after) - last, len(after)))
    return found


def _inner(old: Sequence[str], new: Sequence[str]) -> list[Opcode]:
    import difflib

    if not old and not new:
        return []
    counts = Counter(new)
    pairs = sum(counts[line] for line in old)
    if not old or not new or pairs > _PAIRS_AT_MOST:
        # Right, though not the shortest: all of one instead of all of the other.
        tag = "insert" if not old else "delete" if not new else "replace"
        return [(tag, 0, len(old), 0, len(new))]
    return list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _grouped(opcodes: Sequence[Opcode]) -> Iterator[list[Opcode]]:
    """Yield changes that are near each other, with the lines around them."""
    group: list[Opcode] = []
    for place, (tag, a, b, c, d) in enumerate(opcodes):
        if tag != "equal":
            group.append((tag, a, b, c, d))
            continue
        is_first, is_last = place == 0, place == len(opcodes) - 1
        if is_first or is_last or b - a > 2 * CONTEXT_LINES:
            if not is_first:
                kept = min(CONTEXT_LINES, b - a)
                yield [*group, (tag, a, a + kept, c, c + kept)]
            kept = min(CONTEXT_LINES, b - a)
            group = [] if is_last else [(tag, b - kept, b, d - kept, d)]
        else:
            group.append((tag, a, b, c, d))
    if any(tag != "equal" for tag, *_ in group):
        yield group


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
