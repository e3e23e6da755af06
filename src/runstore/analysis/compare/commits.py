"""Files of a commit, read from a repository.

git is only asked to read objects: neither a work tree nor an index is looked at or written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from runstore.analysis.compare.file_versions import FILE_LIMIT_BYTES, LARGE, SUBMODULE, FileState
from runstore.capture.git.state import (
    QUICK_TIMEOUT_S,
    SLOW_TIMEOUT_S,
    GitError,
    GitUnavailableError,
    run_git,
)
from runstore.value_classes import NamedTuple

_ALL_LIMIT_BYTES = 1 << 26  # of all files that are read
_TREE_LIMIT_BYTES = 1 << 27
_SMALL_LIMIT_BYTES = 1 << 12
_AT_ONCE = 200  # files in one call of git


class CommitFile(NamedTuple):
    """A file of a commit: mode and object, as git has them."""

    mode: str
    oid: str


def has_commit(place: Path, commit: str) -> bool:
    """Return whether the repository of a folder has a commit.

    Raises:
        GitUnavailableError: git is missing, or did not answer.
    """
    try:
        run_git(
            ["rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"],
            place,
            limit_bytes=_SMALL_LIMIT_BYTES,
            timeout_s=QUICK_TIMEOUT_S,
        )
    except GitUnavailableError:
        raise
    except GitError:
        return False
    return True


class Commit:
    """The files of a commit."""

    def __init__(self, place: Path, commit: str) -> None:
        self._place = place
        self._commit = commit
        self.entries = dict(self._listed())

    def _listed(self) -> Iterator[tuple[str, CommitFile]]:
        """Yield every file. Source: git-ls-tree(1), 2.39."""
        for head, path in self._ls_tree():
            mode, _, oid = head.split()[:3]
            yield path, CommitFile(mode, oid)

    def _ls_tree(
        self, options: Sequence[str] = (), paths: Sequence[str] = ()
    ) -> Iterator[tuple[str, str]]:
        answer = run_git(
            ["ls-tree", "-r", "-z", "--full-tree", *options, self._commit, "--", *paths],
            self._place,
            limit_bytes=_TREE_LIMIT_BYTES,
            timeout_s=SLOW_TIMEOUT_S,
        )
        if len(answer) > _TREE_LIMIT_BYTES:
            raise GitError("the commit has too many files to be compared")
        for line in answer.split(b"\0"):
            if line:
                head, _, path = line.partition(b"\t")
                yield head.decode("ascii"), path.decode("utf-8", "backslashreplace")

    def read(self, paths: Collection[str]) -> dict[str, FileState]:
        """Return these of the files, as many as fit into memory; the others with a remark.

        Raises:
            GitError: git did not print them.
        """
        ordered = sorted(paths & self.entries.keys())
        found = {
            path: _state_of_submodule(self.entries[path])
            for path in ordered
            if self.entries[path].mode == SUBMODULE
        }
        sizes = dict(self._sizes([path for path in ordered if path not in found]))
        room = _ALL_LIMIT_BYTES
        fitting = []
        for path, size in sizes.items():
            if size <= min(FILE_LIMIT_BYTES, room):
                room -= size
                fitting.append(path)
            else:
                mode, oid = self.entries[path]
                why = LARGE if size > FILE_LIMIT_BYTES else "not read: too much differs"
                found[path] = FileState(None, oid, mode, f"{why}; {size:,} bytes")
        for some in _batches(fitting):
            found.update(self._contents(some, sizes))
        return found

    def _sizes(self, paths: Sequence[str]) -> Iterator[tuple[str, int]]:
        wanted = set(paths)
        for some in _batches(paths):
            for head, path in self._ls_tree(["-l"], some):
                if path in wanted:
                    yield path, int(head.split()[3])

    def _contents(
        self, paths: Sequence[str], sizes: Mapping[str, int]
    ) -> Iterator[tuple[str, FileState]]:
        """Read many objects in one call: git prints one right after the other."""
        whole = sum(sizes[path] for path in paths)
        objects = (self.entries[path].oid for path in paths)
        data = run_git(
            ["show", "--no-textconv", "--no-ext-diff", *objects],
            self._place,
            limit_bytes=whole,
            timeout_s=SLOW_TIMEOUT_S,
        )
        if len(data) != whole:
            raise GitError("git did not print the files as they are")
        begin = 0
        for path in paths:
            mode, oid = self.entries[path]
            part = data[begin : begin + sizes[path]]
            begin += sizes[path]
            yield path, FileState.of_bytes(part, oid, mode)


def _batches(paths: Sequence[str]) -> Iterable[Sequence[str]]:
    return (paths[begin : begin + _AT_ONCE] for begin in range(0, len(paths), _AT_ONCE))


def _state_of_submodule(entry: CommitFile) -> FileState:
    return FileState(f"Subproject commit {entry.oid}\n", entry.oid, entry.mode)
