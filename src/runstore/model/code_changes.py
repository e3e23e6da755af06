"""What differs between two versions of the code, file by file, as git writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runstore.model.patches import quoted, split_lines

CONTEXT_LINES = 3
BYTES = "bytes:"
_PLAIN_FILE = "100644"
_HALF = 0.5
_RENAMES_TRIED = 200  # files on each side; beyond, only those that are the same are found
# Pairs of equal lines, which is what a comparison of lines costs.
_PAIRS_AT_MOST = 2_000_000

Opcode = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileState:
    """One file in one version of the code.

    Attributes:
        text: Its contents; None where they are no text, too large or not known.
        identity: What equal contents share; None where they are not known. It begins with `BYTES`
            where the contents are not UTF-8, and the text has signs in their place.
        mode: As git has it: `100644`, `100755`, `120000` for a link; None when unknown.
        remark: Why there is no text.
    """

    text: str | None
    identity: str | None
    mode: str | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """How one file differs.

    Attributes:
        old: Its path in the first version; None where it is not there.
        new: Its path in the second; None where it is not there.
        diff: The lines as a patch, with the header git gives it; empty where that is not known.
        added: Lines that only the second has.
        removed: Lines that only the first has.
        remark: What the lines do not say, e.g. `binary`; empty for nothing.
    """

    old: str | None
    new: str | None
    diff: str = ""
    added: int = 0
    removed: int = 0
    remark: str = ""

    @property
    def kind(self) -> str:
        """`added`, `deleted`, `renamed` or `changed`."""
        if self.old is None:
            return "added"
        if self.new is None:
            return "deleted"
        return "changed" if self.old == self.new else "renamed"

    @property
    def path(self) -> str:
        """Where it is, or was."""
        return self.new or self.old or ""

    @property
    def name(self) -> str:
        """Its path; both of a file that was renamed."""
        return f"{self.old} → {self.new}" if self.kind == "renamed" else self.path


@dataclass(frozen=True, slots=True)
class CodeChanges:
    """What differs between the code of two runs.

    Attributes:
        files: By path.
        remarks: Sentences about what could not be compared, or not as code.
        is_known: Whether the code of both could be read; False where at most the captured changes
            were compared.
    """

    files: tuple[FileChange, ...] = ()
    remarks: tuple[str, ...] = ()
    is_known: bool = True


Version = Mapping[str, FileState]


def changes_between(old: Version, new: Version) -> tuple[FileChange, ...]:
    """Return what differs between two versions, renamed files found.

    Args:
        old: The files of the first version that may differ, by path.
        new: Those of the second.
    """
    gone = {path: one for path, one in old.items() if path not in new}
    come = {path: one for path, one in new.items() if path not in old}
    pairs = dict(_renamed(gone, come))
    found = [
        change(path, path, old[path], new[path])
        for path in old.keys() & new.keys()
        if differs(old[path], new[path])
    ]
    found += [change(before, after, gone[before], come[after]) for before, after in pairs.items()]
    found += [change(path, None, one, None) for path, one in gone.items() if path not in pairs]
    taken = set(pairs.values())
    found += [change(None, path, None, one) for path, one in come.items() if path not in taken]
    return tuple(sorted(found, key=lambda one: (one.path, one.old or "")))


def differs(old: FileState, new: FileState) -> bool:
    """Tell whether two states are different, as far as that is known."""
    if _mode_remark(old, new):
        return True
    if old.text is not None and new.text is not None:
        return old.text != new.text or _has_other_bytes(old, new)
    return old.identity is None or old.identity != new.identity


def _has_other_bytes(old: FileState, new: FileState) -> bool:
    """Tell whether files of the same text are different, since it does not say all of them."""
    both = (old.identity or "", new.identity or "")
    return both[0] != both[1] and all(one.startswith(BYTES) for one in both)


def _renamed(gone: Version, come: Version) -> Iterator[tuple[str, str]]:
    """Yield the old and the new path of files that moved: the same, or more than half of it."""
    free = dict(sorted(come.items()))
    rest = {}
    for path, state in sorted(gone.items()):
        same = next(
            (
                other
                for other, one in free.items()
                if state.identity is not None and one.identity == state.identity and state.text
            ),
            None,
        )
        if same is None:
            rest[path] = state
        else:
            del free[same]
            yield path, same
    if max(len(rest), len(free)) > _RENAMES_TRIED:
        return
    counts = {path: _lines_of(one) for path, one in [*rest.items(), *free.items()]}
    for path in rest:
        likeness = {other: _likeness(counts[path], counts[other]) for other in free}
        best = max(likeness, key=likeness.__getitem__, default=None)
        if best is not None and likeness[best] >= _HALF:
            del free[best]
            yield path, best


def _lines_of(state: FileState) -> Counter[str]:
    return Counter(split_lines(state.text or ""))


def _likeness(old: Counter[str], new: Counter[str]) -> float:
    """Return the share of lines in common, 0 to 1."""
    lines = max(old.total(), new.total())
    return (old & new).total() / lines if lines else 0.0


def change(
    old: str | None, new: str | None, before: FileState | None, after: FileState | None
) -> FileChange:
    """Return how a file differs.

    Args:
        old: Its path in the first version; None where it is not there.
        new: The same in the second.
        before: What it was; None where it was not.
        after: What it is; None where it is not.
    """
    head = "".join(f"{line}\n" for line in _header(old, new, before, after))
    remark = "; ".join(dict.fromkeys(one.remark for one in (before, after) if one and one.remark))
    if remark:
        return FileChange(old, new, head, remark=remark)
    lines, added, removed = unified(before.text if before else None, after.text if after else None)
    is_of_bytes = not lines and before and after and _has_other_bytes(before, after)
    if lines:
        head += f"--- {_named('a', old)}\n+++ {_named('b', new)}\n"
    return FileChange(
        old,
        new,
        f"{head}{lines}",
        added,
        removed,
        "other bytes that are not UTF-8" if is_of_bytes else _mode_remark(before, after),
    )


def _mode_remark(before: FileState | None, after: FileState | None) -> str:
    if not before or not after or None in {before.mode, after.mode} or before.mode == after.mode:
        return ""
    return f"mode {before.mode} → {after.mode}"


def _header(
    old: str | None, new: str | None, before: FileState | None, after: FileState | None
) -> Iterator[str]:
    """Yield the lines above the changes. Source: git-diff(1) 2.39."""
    path = new or old or ""
    yield f"diff --git {quoted(f'a/{old or path}')} {quoted(f'b/{path}')}"
    if after and old is None:
        yield f"new file mode {after.mode or _PLAIN_FILE}"
    elif before and new is None:
        yield f"deleted file mode {before.mode or _PLAIN_FILE}"
    elif _mode_remark(before, after) and before and after:
        yield f"old mode {before.mode}"
        yield f"new mode {after.mode}"
    if old and new and old != new:
        yield f"rename from {quoted(old)}"
        yield f"rename to {quoted(new)}"


def _named(side: str, path: str | None) -> str:
    if path is None:
        return "/dev/null"
    name = quoted(f"{side}/{path}")
    # As git does, so that readers see where a name with blanks ends.
    return f"{name}\t" if " " in name and name[0] != '"' else name


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
