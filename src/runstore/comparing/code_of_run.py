"""The code of runs as files: their commits, uncommitted changes and new files, compared.

git is only asked to read objects: neither a work tree nor an index is looked at or written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runstore.capture.git import QUICK_TIMEOUT_S, SLOW_TIMEOUT_S, GitError, run_git
from runstore.model.code_changes import (
    BYTES,
    CodeChanges,
    FileChange,
    FileState,
    changes_between,
)
from runstore.model.patches import FilePatch, PatchError, apply_patch, parse_patch

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.store import Store

FILE_LIMIT_BYTES = 1 << 20
_ALL_LIMIT_BYTES = 1 << 26  # of all files that differ
_TREE_LIMIT_BYTES = 1 << 27
_SMALL_LIMIT_BYTES = 1 << 12
_AT_ONCE = 200  # files in one call of git
_BINARY_LOOK_BYTES = 8000  # as git looks for a NUL
_PLAIN_FILE = "100644"
_SUBMODULE = "160000"
# What a store says goes onto a command line; a commit is digits, never an option.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LARGE = f"over {FILE_LIMIT_BYTES >> 20} MB"


class _Entry(NamedTuple):
    """A file of a commit: mode and object, as git has them."""

    mode: str
    oid: str


class _CodeError(Exception):
    """The code of a run cannot be read; the text is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class _Code:
    """What is kept of the code of one run.

    Attributes:
        run: The run.
        patch: Its uncommitted changes, as text.
        patches: The same by path, after and before.
        untracked: Texts of new files by path.
        remarks: Sentences about what was not kept.
    """

    run: Run
    patch: str = ""
    patches: Mapping[str, FilePatch] = field(default_factory=dict)
    untracked: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def own(self, path: str) -> tuple[str | None, str | None]:
        """Return what the run had at a path beyond its commit."""
        patch = self.patches.get(path)
        return None if patch is None else patch.text, self.untracked.get(path)


def code_changes(store: Store, a: Run, b: Run, *, folder: Path | None = None) -> CodeChanges:
    """Return what differs between the code of two runs.

    Where git does not have both commits, the captured changes are compared, and a remark says so.

    Args:
        store: Where the runs are kept.
        a: The first run.
        b: The second run.
        folder: Where to look for a repository first; None is the working directory.
    """
    old, new = _code_of(store, a), _code_of(store, b)
    remarks = (*old.remarks, *new.remarks)
    if a.commit is not None and a.commit == b.commit and _has_same_changes(old, new):
        return CodeChanges(remarks=remarks)
    try:
        files = _compared(old, new, folder or Path.cwd())
    except (_CodeError, GitError) as error:
        files = _captured_changes(old, new)
        instead = " The captured changes are compared instead, as patches." if files else ""
        return CodeChanges(files, (f"{error}{instead}", *remarks), is_known=False)
    return CodeChanges(files, remarks)


def _has_same_changes(old: _Code, new: _Code) -> bool:
    return old.patch == new.patch and old.untracked == new.untracked


def _code_of(store: Store, run: Run) -> _Code:
    patch = store.document(run.uid, "patch") or ""
    untracked = _untracked(store.document(run.uid, "untracked"))
    parsed = parse_patch(patch)
    # A file that moved has gone from its old path, where another may have come.
    patches = {one.old: one for one in parsed if one.old is not None and not one.is_copy}
    patches |= {one.new: one for one in parsed if one.new is not None}
    return _Code(run, patch, patches, untracked, tuple(_remarks(run, patch, untracked)))


def _untracked(document: str | None) -> dict[str, str]:
    try:
        files = json.loads(document or "{}")
    except ValueError:
        return {}
    is_right = isinstance(files, dict) and all(isinstance(one, str) for one in files.values())
    return files if is_right else {}


def _remarks(run: Run, patch: str, untracked: Mapping[str, str]) -> Iterator[str]:
    """Yield sentences about what capture could not keep."""
    unknown = run.facts.unknown
    if run.workdir_dirty and not patch:
        reason = unknown.get("patch", "no patch was kept")
        yield f"{run.reference}: its uncommitted changes are not known ({reason})."
    if "patch.rest" in unknown:
        yield f"{run.reference}: {unknown['patch.rest']}."
    if "patch.masked" in unknown:
        yield f"{run.reference}: secrets in its changes were masked, and may differ as ***."
    if "untracked.rest" in unknown:
        yield f"{run.reference}: some new files were not kept: {unknown['untracked.rest']}."
    elif run.facts.values.get("git.has_untracked") and not untracked:
        reason = unknown.get("untracked", "no text of them was kept")
        yield f"{run.reference}: its new files are not known ({reason})."


# Reading git


def _compared(old: _Code, new: _Code, folder: Path) -> tuple[FileChange, ...]:
    places = [_repository(one.run, (old.run, new.run), folder) for one in (old, new)]
    trees = [_Tree(one, place) for one, place in zip((old, new), places, strict=True)]
    first, second = trees
    paths = {
        path
        for path in first.entries.keys() | second.entries.keys() | first.own | second.own
        if first.entries.get(path) != second.entries.get(path) or old.own(path) != new.own(path)
    }
    return changes_between(first.states(paths), second.states(paths))


def _repository(run: Run, runs: Sequence[Run], folder: Path) -> Path:
    """Return a folder of a repository that has the commit of a run.

    Raises:
        _CodeError: No such repository is known here.
    """
    if run.commit is None:
        reason = run.facts.unknown.get("git.commit", "no commit was recorded")
        raise _CodeError(f"The code of {run.reference} is not known: {reason}.")
    if not _COMMIT.fullmatch(run.commit):
        raise _CodeError(f"The commit of {run.reference} is not one of git.")
    roots = (one.facts.values.get("git.root") for one in (run, *runs))
    places = dict.fromkeys([folder, *(Path(root) for root in roots if isinstance(root, str))])
    for place in places:
        if place.is_dir() and _has_commit(place, run.commit):
            return place
    raise _CodeError(
        f"The commit {run.commit[:12]} of {run.reference} is in no repository that is known here."
    )


def _has_commit(place: Path, commit: str) -> bool:
    try:
        run_git(
            ["rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"],
            place,
            limit_bytes=_SMALL_LIMIT_BYTES,
            timeout_s=QUICK_TIMEOUT_S,
        )
    except GitError:
        return False
    return True


class _Tree:
    """The files of a run: its commit, and what it had beyond.

    Args:
        code: What is kept of its code.
        place: A folder of the repository with its commit.
    """

    def __init__(self, code: _Code, place: Path) -> None:
        self._code = code
        self._place = place
        self.entries = dict(self._listed())
        self.own = code.patches.keys() | code.untracked.keys()

    def _listed(self) -> Iterator[tuple[str, _Entry]]:
        """Yield every file of the commit. Source: git-ls-tree(1), 2.39."""
        for head, path in self._ls_tree([]):
            mode, _, oid = head.split()[:3]
            yield path, _Entry(mode, oid)

    def _ls_tree(self, more: Sequence[str]) -> Iterator[tuple[str, str]]:
        answer = run_git(
            [
                "ls-tree",
                "-r",
                "-z",
                "--full-tree",
                *more[:1],
                self._code.run.commit or "",
                *more[1:],
            ],
            self._place,
            limit_bytes=_TREE_LIMIT_BYTES,
            timeout_s=SLOW_TIMEOUT_S,
        )
        if len(answer) > _TREE_LIMIT_BYTES:
            raise GitError("the commit has too many files to be compared.")
        for line in answer.split(b"\0"):
            if line:
                head, _, path = line.partition(b"\t")
                yield head.decode("ascii"), path.decode("utf-8", "backslashreplace")

    def states(self, paths: set[str]) -> dict[str, FileState]:
        """Return the files of these paths that the run had, as it had them."""
        needed = {path for path in paths if path in self.entries}
        needed |= {
            one.old for path in paths if (one := self._code.patches.get(path)) and one.old
        } & self.entries.keys()
        committed = self._committed(sorted(needed))
        found = {path: self._state(path, committed) for path in sorted(paths)}
        return {path: state for path, state in found.items() if state is not None}

    def _state(self, path: str, committed: Mapping[str, FileState]) -> FileState | None:
        if path in self._code.untracked:
            return _state_of_text(self._code.untracked[path], None)
        patch = self._code.patches.get(path)
        if patch is None:
            return committed.get(path)
        if patch.new != path:
            return None
        before = committed.get(patch.old) if patch.old is not None else None
        mode = patch.mode or (before.mode if before else None)
        if before is not None and before.text is None:
            return FileState(None, None, mode, before.remark)
        try:
            text = apply_patch(before.text if before else None, patch)
        except PatchError as error:
            return FileState(None, None, mode, f"{self._code.run.reference}: {error}")
        return None if text is None else _state_of_text(text, mode)

    def _committed(self, paths: Sequence[str]) -> dict[str, FileState]:
        """Return the files of these paths as the commit has them."""
        found = {
            path: _state_of_submodule(self.entries[path])
            for path in paths
            if self.entries[path].mode == _SUBMODULE
        }
        sizes = dict(self._sizes([path for path in paths if path not in found]))
        room = _ALL_LIMIT_BYTES
        read = []
        for path, size in sizes.items():
            if size <= min(FILE_LIMIT_BYTES, room):
                room -= size
                read.append(path)
            else:
                mode, oid = self.entries[path]
                why = _LARGE if size > FILE_LIMIT_BYTES else "not read: too much differs"
                found[path] = FileState(None, oid, mode, f"{why}; {size:,} bytes")
        for begin in range(0, len(read), _AT_ONCE):
            found.update(self._read(read[begin : begin + _AT_ONCE], sizes))
        return found

    def _sizes(self, paths: Sequence[str]) -> Iterator[tuple[str, int]]:
        wanted = set(paths)
        for begin in range(0, len(paths), _AT_ONCE):
            for head, path in self._ls_tree(["-l", "--", *paths[begin : begin + _AT_ONCE]]):
                if path in wanted:
                    yield path, int(head.split()[3])

    def _read(
        self, paths: Sequence[str], sizes: Mapping[str, int]
    ) -> Iterator[tuple[str, FileState]]:
        """Read many objects in one call: git prints one right after the other."""
        whole = sum(sizes[path] for path in paths)
        data = run_git(
            [
                "show",
                "--no-textconv",
                "--no-ext-diff",
                *(self.entries[path].oid for path in paths),
            ],
            self._place,
            limit_bytes=whole,
            timeout_s=SLOW_TIMEOUT_S,
        )
        if len(data) != whole:
            raise GitError("git did not print the files as they are.")
        begin = 0
        for path in paths:
            mode, oid = self.entries[path]
            part = data[begin : begin + sizes[path]]
            begin += sizes[path]
            yield path, _state_of_bytes(part, oid, mode)


def _state_of_submodule(entry: _Entry) -> FileState:
    return FileState(f"Subproject commit {entry.oid}\n", entry.oid, entry.mode)


def _state_of_bytes(data: bytes, oid: str, mode: str) -> FileState:
    if b"\0" in data[:_BINARY_LOOK_BYTES]:
        return FileState(None, oid, mode, f"binary; {len(data):,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        # As in a captured patch, such that both can be compared.
        return FileState(data.decode("utf-8", "replace"), f"{BYTES}{oid}", mode)
    return _state_of_text(text, mode)


def _state_of_text(text: str, mode: str | None) -> FileState:
    data = text.encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(data).hexdigest()
    if len(data) > FILE_LIMIT_BYTES:
        return FileState(None, digest, mode, f"{_LARGE}; {len(data):,} bytes")
    return FileState(text, digest, mode)


# Without the commits


def _captured_changes(old: _Code, new: _Code) -> tuple[FileChange, ...]:
    """Return how the captured changes differ: the patch of a file as if it were the file."""
    return changes_between(_as_version(old), _as_version(new))


def _as_version(code: _Code) -> dict[str, FileState]:
    states = {
        f"{one.path}.patch": _state_of_text(one.text, _PLAIN_FILE) for one in code.patches.values()
    }
    return states | {
        path: _state_of_text(text, _PLAIN_FILE) for path, text in code.untracked.items()
    }
