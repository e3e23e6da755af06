"""The code of runs as files: their commits, uncommitted changes and new files, compared."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runstore import background
from runstore.analysis.compare.code_changes import CodeChanges, FileChange, changes_between
from runstore.analysis.compare.commits import Commit, has_commit
from runstore.analysis.compare.file_versions import PLAIN_FILE, FileState, Version
from runstore.analysis.explain.known_names import is_source
from runstore.capture.git.new_files import (
    marks_of,
    new_code,
    reasons_of,
    recorded_words,
    texts_of_new_files,
    unkept_code,
)
from runstore.capture.git.state import GitError, GitUnavailableError
from runstore.model.code.binary_patches import apply_binary, object_after
from runstore.model.code.documents import LEFT_OUT, RESUMED_CODE
from runstore.model.code.patches import FilePatch, PatchError, apply_patch, parse_patch
from runstore.model.display.suggestions import some_of
from runstore.reading.names import run_of
from runstore.storage.sqlite.paths import can_be_entered
from runstore.value_classes import dataclass, field, replace

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

# A commit from a store becomes an argument of git: it must be digits, never an option.
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NAMED_AT_MOST = 5


class CodeUnknownError(Exception):
    """The code of a run cannot be read; the text is a sentence with the reason."""


@dataclass(frozen=True, slots=True)
class _Code:
    """The recorded code of one run.

    Attributes:
        run: The run.
        patch: Its uncommitted changes, as text.
        patches: The same by path, after and before.
        untracked: Texts of new files by path.
        counted: Those of them that count as code.
        marks: Fingerprint of further ones, and why the text was not kept, by path.
        data: Text or fingerprint of the others, by path.
        remarks: Sentences about parts that were not kept.
    """

    run: Run
    patch: str = ""
    patches: Mapping[str, FilePatch] = field(default_factory=dict)
    untracked: Mapping[str, str] = field(default_factory=dict)
    counted: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def own(self, path: str) -> tuple[str | None, str | None, tuple[str, str] | None]:
        """Return the file of the run at a path, beyond its commit."""
        patch = self.patches.get(path)
        text = None if patch is None else patch.text
        return text, self.untracked.get(path), self.marks.get(path)


def code_changes(backend: Backend, a: Run, b: Run, *, folder: Path | None = None) -> CodeChanges:
    """Return the differences between the code of two runs.

    If git does not have both commits, the captured changes are compared, with a remark. New files
    that do not count as code are only named.

    Args:
        backend: The store.
        a: The first run.
        b: The second run.
        folder: Where to look for a repository first; None is the working directory.
    """
    background.wait_until_done()  # facts about a run of this process may be on their way
    words = recorded_words(a.facts, b.facts)
    old, new = _code_of(backend, a, words), _code_of(backend, b, words)
    remarks = (*old.remarks, *new.remarks)
    unread = tuple(one.run.reference for one in (old, new) if _is_unread(one))
    are_same = old.patch == new.patch and old.counted == new.counted and old.marks == new.marks
    if a.commit is not None and a.commit == b.commit and are_same:
        data = _changed_data(old, new)
        return CodeChanges(remarks=(*remarks, *_on_data(data)), unread=unread, data=data)
    try:
        files, data = _compared(old, new, folder or Path.cwd())
    except (CodeUnknownError, GitError) as error:
        reason = (
            str(error)
            if isinstance(error, CodeUnknownError)
            else f"The code is not known: {error}."
        )
        files = changes_between(_as_version(old), _as_version(new))
        instead = " The captured changes are compared instead, as patches." if files else ""
        data = _changed_data(old, new)
        remarks = (f"{reason}{instead}", *remarks, *_on_data(data))
        return CodeChanges(files, remarks, is_known=False, unread=unread, data=data)
    files = tuple(_with_origin(backend, new, one) for one in files)
    return CodeChanges(files, (*remarks, *_on_data(data)), unread=unread, data=data)


def _changed_data(old: _Code, new: _Code, tracked: Collection[str] = ()) -> tuple[str, ...]:
    """Return the new files that differ and do not count as code.

    A file that git tracks in one of the runs is a file of the code there.
    """
    paths = (old.data.keys() | new.data.keys()) - old.patches.keys() - new.patches.keys()
    return tuple(
        path
        for path in sorted(paths.difference(tracked))
        if old.data.get(path) != new.data.get(path)
    )


def _on_data(paths: Sequence[str]) -> Iterator[str]:
    """Yield a remark on new files that differ, if there are any."""
    if paths:
        yield f"New files that do not count as code differ: {some_of(paths, _NAMED_AT_MOST)}."


def _with_origin(backend: Backend, code: _Code, change: FileChange) -> FileChange:
    """Return the change of a file; for the contents of an artifact, with its run as a remark."""
    is_new = change.kind == "added" and change.path in code.untracked
    if not is_new or change.after is None or change.after.identity is None:
        return change
    uid = backend.artifacts.saved_by(change.after.identity, but=code.run.uid)
    if uid is None:
        return change
    return replace(change, remark=f"an artifact of {run_of(backend, uid).reference}")


def _is_unread(code: _Code) -> bool:
    """Return whether uncommitted changes of source code were not kept."""
    left_out = code.run.facts.unknown.get("patch.rest")
    if left_out is not None:
        return any(map(is_source, re.findall(r"[^\s,:()]+", left_out)))
    return bool(code.run.workdir_dirty) and not code.patch


def _as_version(code: _Code) -> Version:
    """Return the captured changes as files, each patch as if it were the file."""
    patches = {f"{one.path}.patch": one.text for one in code.patches.values()}
    texts = {**patches, **code.counted}
    found = {path: FileState.of_text(text, PLAIN_FILE) for path, text in texts.items()}
    return {**found, **{path: _marked(code, path) for path in code.marks}}


class CodeFiles:
    """All files of the code of a run, as it had them.

    Its repository is looked for in `folder` first (None: the working directory), then in those of
    the runs beside it.

    Raises:
        CodeUnknownError: The commit is not known here.
        GitError: git did not answer.
    """

    def __init__(
        self, backend: Backend, run: Run, beside: Sequence[Run] = (), *, folder: Path | None = None
    ) -> None:
        words = recorded_words(run.facts, *(one.facts for one in beside))
        self._code = _code_of(backend, run, words)
        place = _repository(run, beside, folder or Path.cwd())
        self._commit = Commit(place, run.commit or "")

    @property
    def paths(self) -> set[str]:
        """Every file that it has, or that its changes are about."""
        code = self._code
        return {*self._commit.entries, *code.counted, *code.marks, *code.patches}

    def read(self, paths: Collection[str]) -> Version:
        """Return some of the files, as far as they exist."""
        return _version(self._code, self._commit, set(paths) & self.paths)


# Captured changes


def _code_of(backend: Backend, run: Run, words: frozenset[str]) -> _Code:
    patch = backend.database.document(run.uid, "patch") or ""
    untracked = texts_of_new_files(backend.database.document(run.uid, "untracked"))
    counted = new_code(untracked, run.facts, words)
    every_mark, reasons = marks_of(run.facts), reasons_of(run.facts)
    marks = {
        path: (mark, reasons.get(path, "not kept"))
        for path, mark in new_code(every_mark, run.facts, words).items()
    }
    data = {
        path: one
        for path, one in {**untracked, **every_mark}.items()
        if path not in counted and path not in marks
    }
    parsed = parse_patch(patch)
    # A moved file is absent from its old path, unless another one took it.
    patches = {one.old: one for one in parsed if one.old is not None and not one.is_copy}
    patches |= {one.new: one for one in parsed if one.new is not None}
    remarks = (*_remarks(run, patch), *_remarks_on_new_files(run, untracked, words))
    return _Code(run, patch, patches, untracked, counted, marks, data, remarks)


def _remarks(run: Run, patch: str) -> Iterator[str]:
    """Yield sentences about parts that capture could not keep."""
    unknown = run.facts.unknown
    if run.workdir_dirty and not patch:
        reason = unknown.get("patch", "no patch was kept")
        yield f"{run.reference}: its uncommitted changes are not known ({reason})."
    if RESUMED_CODE in unknown:
        yield f"{run.reference}: {unknown[RESUMED_CODE]}."
    if "patch.rest" in unknown:
        yield f"{run.reference}: {unknown['patch.rest']}."
    if "patch.masked" in unknown:
        yield f"{run.reference}: secrets in its changes were masked, and may differ as ***."


def _remarks_on_new_files(
    run: Run, texts: Collection[str], words: frozenset[str]
) -> Iterator[str]:
    """Yield sentences about new files that may count as code and were not kept."""
    unkept = unkept_code(texts, run.facts, words)
    if unkept:
        yield f"{run.reference}: some new files were not kept: {'; '.join(unkept)}."
    elif run.facts.values.get("git.has_untracked") and not (
        texts or LEFT_OUT in run.facts.unknown
    ):
        reason = run.facts.unknown.get("untracked", "no text of them was kept")
        yield f"{run.reference}: its new files are not known ({reason})."


# With the commits


def _compared(
    old: _Code, new: _Code, folder: Path
) -> tuple[tuple[FileChange, ...], tuple[str, ...]]:
    """Return the files that differ, and the names of those that do not count as code."""
    places = [_repository(one.run, (old.run, new.run), folder) for one in (old, new)]
    commits = [
        Commit(place, one.run.commit or "") for one, place in zip((old, new), places, strict=True)
    ]
    entries = [one.entries for one in commits]
    own = {path for one in (old, new) for path in (*one.patches, *one.counted, *one.marks)}
    tracked = entries[0].keys() | entries[1].keys()
    paths = {
        path
        for path in tracked | own
        if entries[0].get(path) != entries[1].get(path) or old.own(path) != new.own(path)
    }
    files = changes_between(_version(old, commits[0], paths), _version(new, commits[1], paths))
    return files, _changed_data(old, new, tracked)


def _repository(run: Run, runs: Sequence[Run], folder: Path) -> Path:
    """Return a folder of a repository that has the commit of a run."""
    if run.commit is None:
        reason = run.facts.unknown.get("git.commit", "no commit was recorded")
        raise CodeUnknownError(f"The code of {run.reference} is not known: {reason}.")
    if not _COMMIT.fullmatch(run.commit):
        raise CodeUnknownError(f"The commit of {run.reference} is not a git commit.")
    roots = (one.facts.values.get("git.root") for one in (run, *runs))
    places = dict.fromkeys([folder, *(Path(root) for root in roots if isinstance(root, str))])
    refused = ""
    for place in places:
        try:
            if can_be_entered(place) and has_commit(place, run.commit):
                return place
        except GitUnavailableError as error:  # another place may have it
            refused = f" {error}."
    raise CodeUnknownError(
        f"The commit {run.commit[:12]} of {run.reference} was not found in any known repository."
        f"{refused}"
    )


def _version(code: _Code, commit: Commit, paths: set[str]) -> Version:
    """Return the files of these paths that a run had, as it had them."""
    before = {one.old for path in paths if (one := code.patches.get(path)) and one.old}
    committed = commit.read(paths | before)
    found = {path: _state(code, committed, path) for path in sorted(paths)}
    return {path: one for path, one in found.items() if one is not None}


def _state(code: _Code, committed: Version, path: str) -> FileState | None:
    """Return a file as the run had it; None if absent."""
    if path in code.untracked:
        return FileState.of_text(code.untracked[path], None)
    if path in code.marks:
        return _marked(code, path)
    patch = code.patches.get(path)
    if patch is None:
        return committed.get(path)
    if patch.new != path:
        return None
    before = committed.get(patch.old) if patch.old is not None else None
    return _patched(code, patch, before)


def _marked(code: _Code, path: str) -> FileState:
    mark, reason = code.marks[path]
    return FileState(None, mark, None, reason)


def _patched(code: _Code, patch: FilePatch, before: FileState | None) -> FileState | None:
    mode = patch.mode or (before.mode if before else None)
    if patch.is_binary:
        return _binary_state(patch, before, mode)
    if before is not None and before.text is None:
        return FileState(None, None, mode, before.remark)
    try:
        text = apply_patch(before.text if before else None, patch)
    except PatchError as error:
        return FileState(None, None, mode, f"{code.run.reference}: {error}")
    return None if text is None else FileState.of_text(text, mode)


def _binary_state(patch: FilePatch, before: FileState | None, mode: str | None) -> FileState:
    """Return a file kept as git keeps binary ones: as a whole, or as a change of bytes."""
    contents = before.contents if before else None
    # Named as git names it, so that it is the same as in a commit.
    name = object_after(patch.text)
    try:
        return FileState.of_bytes(apply_binary(contents or b"", patch.text), name, mode)
    except PatchError:
        return FileState(None, name or None, mode, "binary")
