"""Which files moved from one version of the code to another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from runstore.analysis.compare.file_versions import FileState, Version
from runstore.model.code.patches import split_lines

_HALF = 0.5
_TRIED = 200  # files on each side; beyond, only those that are the same are found
_LINES_TRIED = 100_000  # of all files together


def renames(gone: Version, come: Version) -> Iterator[tuple[str, str]]:
    """Yield the old and the new path of files that moved: the same, or half of it or more.

    Args:
        gone: Files that are in the old version only.
        come: Files that are in the new one only.
    """
    same = dict(_same(gone, come))
    yield from same.items()
    old = {path: one for path, one in sorted(gone.items()) if path not in same}
    taken = set(same.values())
    new = {path: one for path, one in sorted(come.items()) if path not in taken}
    if max(len(old), len(new)) <= _TRIED:
        yield from _similar(old, new)


def _same(gone: Version, come: Version) -> Iterator[tuple[str, str]]:
    """Yield files whose contents are the same; not empty ones, which are alike anyway."""
    free: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for path, one in sorted(come.items(), reverse=True):
        free[one.identity, one.kind].append(path)
    for path, one in sorted(gone.items()):
        others = free[one.identity, one.kind]
        if one.identity is not None and one.text and others:
            yield path, others.pop()


def _similar(gone: Version, come: Version) -> Iterator[tuple[str, str]]:
    counts = {path: _lines_of(one) for path, one in [*gone.items(), *come.items()]}
    if sum(one.total() for one in counts.values()) > _LINES_TRIED:
        return
    free = list(come)
    for path, one in gone.items():
        alike = {
            other: _likeness(counts[path], counts[other])
            for other in free
            if come[other].kind == one.kind
        }
        best = max(alike, key=alike.__getitem__, default=None)
        if best is not None and alike[best] >= _HALF:
            free.remove(best)
            yield path, best


def _lines_of(state: FileState) -> Counter[str]:
    return Counter(split_lines(state.text or ""))


def _likeness(old: Counter[str], new: Counter[str]) -> float:
    """Return the share of lines in common, 0 to 1."""
    fewer, lines = sorted((old.total(), new.total()))
    if not lines or fewer / lines < _HALF:
        return 0.0  # or less than half, which tells nothing
    return (old & new).total() / lines
