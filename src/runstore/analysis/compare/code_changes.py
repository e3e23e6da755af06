"""Differences between two versions of the code, file by file, in the form of git."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runstore.analysis.compare.file_versions import (
    PLAIN_FILE,
    FileState,
    Version,
    differs,
    has_other_bytes,
    mode_remark,
)
from runstore.analysis.compare.git_diff import Lines, Pair, compared
from runstore.capture.git.state import GitError
from runstore.model.code.patches import quoted
from runstore.value_classes import dataclass, field


@dataclass(frozen=True, slots=True)
class FileChange:
    """How one file differs.

    Attributes:
        old: Its path in the first version; None if absent.
        new: Its path in the second; None if absent.
        diff: The lines as a patch, with the header git gives it; the header alone if they are
            not known.
        added: Lines that only the second has.
        removed: Lines that only the first has.
        remark: A remark beside the lines, such as `binary`; empty for none.
        is_exact: Whether the patch turns one file into the other, byte for byte.
        before: Its contents in the first version; None if absent.
        after: The same in the second.
    """

    old: str | None
    new: str | None
    diff: str = ""
    added: int = 0
    removed: int = 0
    remark: str = ""
    is_exact: bool = True
    before: FileState | None = field(default=None, repr=False, compare=False)
    after: FileState | None = field(default=None, repr=False, compare=False)

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
    """The differences between the code of two runs.

    Attributes:
        files: By path.
        remarks: Sentences about parts that could not be compared, or not as code.
        is_known: Whether the code of both could be read; False if at most the captured changes
            were compared.
        reached: Files that the program may use; None if unknown.
        unread: Runs whose changes of source code were not all kept.
        data: Paths of new files that differ and do not count as code.
    """

    files: tuple[FileChange, ...] = ()
    remarks: tuple[str, ...] = ()
    is_known: bool = True
    reached: frozenset[str] | None = None
    unread: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


def changes_between(old: Version, new: Version) -> tuple[FileChange, ...]:
    """Return the differences between two versions, with renames.

    Args:
        old: The files of the first version that may differ, by path.
        new: Those of the second.
    """
    # A file that became a link, or was one, is another file under the same name.
    same = {path for path in old.keys() & new.keys() if old[path].kind == new[path].kind}
    gone = {path: one for path, one in old.items() if path not in same}
    come = {path: one for path, one in new.items() if path not in same}
    changed = {path for path in same if differs(old[path], new[path])}
    # Where one side is no text, git would take the other one for a file that came or went; and
    # empty files are alike, but none has moved.
    texts = {path for path in changed if None not in {old[path].text, new[path].text}}
    texts |= {path for one in (gone, come) for path in one if one[path].text}
    lines, problem = _lines(
        {path: one for path, one in old.items() if path in texts},
        {path: one for path, one in new.items() if path in texts},
    )
    moved = {pair for pair in lines if None not in pair and pair[0] != pair[1]}
    left, arrived = ({pair[side] for pair in moved} for side in (0, 1))
    pairs: list[Pair] = [*moved, *((path, path) for path in changed)]
    pairs += [(path, None) for path in gone if path not in left]
    pairs += [(None, path) for path in come if path not in arrived]
    found = [_change(pair, old, new, lines.get(pair, Lines()), problem) for pair in pairs]
    # A file that makes room for another one under its name comes first.
    return tuple(sorted(found, key=lambda one: (one.path, one.new is not None, one.old or "")))


def _lines(old: Version, new: Version) -> tuple[Mapping[Pair, Lines], str]:
    """Return the lines that differ, or why they are not known."""
    try:
        return (compared(old, new) if old or new else {}), ""
    except GitError as error:
        return {}, f"lines not known: {error}"


def _change(pair: Pair, olds: Version, news: Version, lines: Lines, problem: str) -> FileChange:
    old, new = pair
    before = None if old is None else olds[old]
    after = None if new is None else news[new]
    both = [one for one in (before, after) if one is not None]
    head = "".join(f"{line}\n" for line in _header(old, new, before, after))
    unknown = "; ".join(dict.fromkeys(one.remark for one in both if one.remark)) or problem
    remark = unknown or mode_remark(before, after)
    if not unknown and not lines.text and before and after and has_other_bytes(before, after):
        remark = "other bytes that are not UTF-8"
    if lines.text:
        head += f"--- {_named('a', old)}\n+++ {_named('b', new)}\n"
    return FileChange(
        old,
        new,
        f"{head}{lines.text}",
        lines.added,
        lines.removed,
        remark,
        is_exact=not unknown and all(one.is_exact for one in both),
        before=before,
        after=after,
    )


def _header(
    old: str | None, new: str | None, before: FileState | None, after: FileState | None
) -> Iterator[str]:
    """Yield the lines above the changes. Source: git-diff(1) 2.39."""
    path = new or old or ""
    yield f"diff --git {quoted(f'a/{old or path}')} {quoted(f'b/{path}')}"
    if after and old is None:
        yield f"new file mode {after.mode or PLAIN_FILE}"
    elif before and new is None:
        yield f"deleted file mode {before.mode or PLAIN_FILE}"
    elif mode_remark(before, after) and before and after:
        yield f"old mode {before.mode}"
        yield f"new mode {after.mode}"
    if old and new and old != new:
        yield f"rename from {quoted(old)}"
        yield f"rename to {quoted(new)}"


def _named(side: str, path: str | None) -> str:
    if path is None:
        return "/dev/null"
    name = quoted(f"{side}/{path}")
    # As git does, so that the end of a name with blanks is visible.
    return f"{name}\t" if " " in name and name[0] != '"' else name
