"""Parsing and application of patches written by `git diff`.

A captured patch may have been masked, so that `git apply` rejects it as a whole. Here a masked
context line matches any line of the file, and a file whose patch cannot be applied does not affect
the others.
Source: git-diff(1) 2.39, "Generating patch text with -p", and git-config(1), core.quotePath.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runstore.value_classes import NamedTuple

MARK = "GIT binary patch"
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_FILE = "diff --git "
_NO_NEWLINE = "\\"
_MASK = "***"
_ESCAPED = re.compile(r'\\([0-7]{3}|[abtnvfr"\\])')
_ESCAPES = {
    "a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92,
}  # fmt: skip


class PatchError(ValueError):
    """A patch does not match the file; the text is the reason."""


class Hunk(NamedTuple):
    """Consecutive lines.

    Attributes:
        start: Line of the old file before which they are, from 0.
        lines: Each with its sign in front (blank, `-`, `+`), and its newline if it has one.
    """

    start: int
    lines: tuple[str, ...]


class FilePatch(NamedTuple):
    """The changes of a patch to one file.

    Attributes:
        old: Its path before; None for a new file.
        new: Its path after; None for a deleted one.
        mode: Its mode after, if the patch has it: `100644`.
        hunks: Changed lines, from the beginning to the end.
        is_copy: Whether the old file remains.
        is_binary: Whether the contents are binary.
        is_broken: Whether the number of lines is wrong, as after masking secrets.
        text: The part of the patch.
    """

    old: str | None
    new: str | None
    mode: str | None
    hunks: tuple[Hunk, ...]
    is_copy: bool
    is_binary: bool
    is_broken: bool
    text: str

    @property
    def path(self) -> str:
        """The path of the file after the patch, or before it if deleted."""
        return self.new or self.old or ""


def parse_patch(text: str) -> tuple[FilePatch, ...]:
    """Return the changes of a patch, file by file."""
    lines = split_lines(text)
    starts = [place for place, line in enumerate(lines) if line.startswith(_FILE)]
    ends = [*starts, len(lines)][1:]
    return tuple(_file_patch(lines[start:end]) for start, end in zip(starts, ends, strict=True))


def split_lines(text: str) -> list[str]:
    """Split code into lines with their newlines, and at no other character."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _file_patch(lines: Sequence[str]) -> FilePatch:
    head_end = next(
        (place for place, line in enumerate(lines) if line.startswith("@@ ")), len(lines)
    )
    head = [line.rstrip("\n") for line in lines[:head_end]]
    hunks, is_broken = _hunks(lines[head_end:])
    old, new = _paths(head)
    modes = [
        line.rpartition(" ")[2] for line in head if line.startswith(("new file mode", "new mode"))
    ]
    return FilePatch(
        old=None if any(line.startswith("new file mode") for line in head) else old,
        new=None if any(line.startswith("deleted file mode") for line in head) else new,
        mode=modes[0] if modes else None,
        hunks=hunks,
        is_copy=any(line.startswith("copy to ") for line in head),
        is_binary=any(line.startswith(("Binary files ", "GIT binary patch")) for line in head),
        is_broken=is_broken,
        text="".join(lines),
    )


def _hunks(lines: Sequence[str]) -> tuple[tuple[Hunk, ...], bool]:
    hunks: list[Hunk] = []
    place = 0
    while place < len(lines):
        header = _HUNK.match(lines[place])
        if header is None:
            return tuple(hunks), True
        # The default number of lines is one; a hunk without old lines is after its line.
        old, new = (1 if count is None else int(count) for count in (header[2], header[4]))
        start = int(header[1]) - (1 if old else 0)
        taken: list[str] = []
        place += 1
        while (old > 0 or new > 0) and place < len(lines) and lines[place][0] in " -+":
            sign = lines[place][0]
            old, new = old - (sign != "+"), new - (sign != "-")
            taken.append(lines[place])
            place += 1
            if place < len(lines) and lines[place][0] == _NO_NEWLINE:
                taken[-1] = taken[-1].removesuffix("\n")
                place += 1
        hunks.append(Hunk(start, tuple(taken)))
        if old or new:
            return tuple(hunks), True
    return tuple(hunks), False


def _paths(head: Sequence[str]) -> tuple[str, str]:
    """Return the paths before and after, with or without `a/` and `b/`."""
    renamed = dict(_renames(head))
    if len(renamed) == 2:  # noqa: PLR2004 - from, to
        return renamed["from"], renamed["to"]
    both = head[0][len(_FILE) :]
    # The same name twice, separated by a blank.
    half = len(both) // 2
    left, right = unquoted(both[:half]), unquoted(both[half + 1 :])
    if left[1:2] == "/" and left[0] != right[:1] and left[2:] == right[2:]:
        return left[2:], right[2:]
    return left, right


def _renames(head: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in head:
        kind, _, rest = line.partition(" ")
        way, _, path = rest.partition(" ")
        if kind in {"rename", "copy"} and way in {"from", "to"}:
            yield way, unquoted(path)


def unquoted(name: str) -> str:
    """Return a file name that git may have quoted."""
    if len(name) < 2 or not (name[0] == name[-1] == '"'):  # noqa: PLR2004 - the quotes
        return name
    data, end = bytearray(), 1
    for match in _ESCAPED.finditer(name, 1, len(name) - 1):
        data += name[end : match.start()].encode("utf-8", "surrogatepass")
        code = match[1]
        data.append(_ESCAPES[code] if code in _ESCAPES else int(code, 8) & 0xFF)
        end = match.end()
    data += name[end:-1].encode("utf-8", "surrogatepass")
    return data.decode("utf-8", "backslashreplace")


def quoted(name: str) -> str:
    """Return a file name as quoted by git in a patch."""
    if not any(one in '"\\' or not one.isprintable() for one in name):
        return name
    codes = {code: f"\\{letter}" for letter, code in _ESCAPES.items()}
    inside = "".join(
        one
        if one.isprintable() and one not in '"\\'
        else "".join(
            codes.get(byte, f"\\{byte:03o}") for byte in one.encode("utf-8", "surrogatepass")
        )
        for one in name
    )
    return f'"{inside}"'


def apply_patch(text: str | None, patch: FilePatch) -> str | None:
    """Return the text of a file after a patch; None if it is deleted.

    Args:
        text: The file before; None if there was none.
        patch: The changes.

    Raises:
        PatchError: It does not match, or lacks the contents.
    """
    if patch.new is None:
        return None
    if patch.is_binary:
        raise PatchError("the patch does not contain binary contents")
    if patch.is_broken:
        raise PatchError("secrets in the patch were masked")
    before = split_lines(text or "")
    after: list[str] = []
    done = 0
    for hunk in patch.hunks:
        if not done <= hunk.start <= len(before):
            raise PatchError("the patch does not match the commit")
        after += before[done : hunk.start]
        done = hunk.start
        for line in hunk.lines:
            if line[0] == "+":
                after.append(line[1:])
                continue
            if done >= len(before) or not (before[done] == line[1:] or _MASK in line):
                raise PatchError("the patch does not match the commit")
            if line[0] == " ":
                after.append(before[done])
            done += 1
    return "".join([*after, *before[done:]])
