"""The identity of the code of many runs: commits, uncommitted changes and new files."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from runstore import background
from runstore.capture.git.new_files import marks_of, new_code, recorded_words, texts_of_new_files
from runstore.model.code.documents import OTHER_CHANGES
from runstore.model.values import blake2b, canonical_json

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_DOCUMENT = "untracked"
_CHARACTERS_AT_MOST = 1 << 26


class RecordedCode:
    """Reads the code of runs, each captured text once; other new files do not count.

    Args:
        backend: The store.
        runs: Runs whose commands name new files that count for all of them; None if the command of
            each run counts for itself, so that its code does not depend on other runs.
    """

    def __init__(self, backend: Backend, runs: Sequence[Run] | None = None) -> None:
        self._backend = backend
        self._words = None if runs is None else recorded_words(*(run.facts for run in runs))
        # Digests of the new files, by path.
        self._known: dict[str, Mapping[str, str] | None] = {}
        self._left = _CHARACTERS_AT_MOST

    def of(self, run: Run, texts: Mapping[str, str]) -> Hashable:
        """Return an identity of the code of a run.

        Args:
            run: The run.
            texts: Hashes of its captured texts, by name.
        """
        return run.commit, *self._beyond_commit(run, texts)

    def changes_of(self, run: Run, texts: Mapping[str, str]) -> str | None:
        """Return a digest of the code beyond the commit; None if there is none, or none kept."""
        found = self._beyond_commit(run, texts)
        if not any(found):
            return None
        return _digest(canonical_json(found))

    def _beyond_commit(self, run: Run, texts: Mapping[str, str]) -> tuple[object, ...]:
        words = recorded_words(run.facts) if self._words is None else self._words
        marks = new_code(marks_of(run.facts), run.facts, words)
        changed = run.facts.values.get(OTHER_CHANGES)
        new = self._new_texts(run, texts, words)
        return texts.get("patch"), new, tuple(sorted(marks.items())), changed

    def _new_texts(
        self, run: Run, texts: Mapping[str, str], words: frozenset[str]
    ) -> Hashable | None:
        whole = texts.get(_DOCUMENT)
        if whole is None:
            return None
        if whole not in self._known:
            self._known[whole] = self._read(run) if self._left > 0 else None
        files = self._known[whole]
        if files is None:  # beyond the limit, runs with other data have other code
            return whole
        return tuple(sorted(new_code(files, run.facts, words).items()))

    def _read(self, run: Run) -> Mapping[str, str]:
        document = self._backend.database.document(run.uid, _DOCUMENT) or ""
        self._left -= len(document)
        return {path: _digest(text) for path, text in texts_of_new_files(document).items()}


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def changes_of_runs(backend: Backend, runs: Sequence[Run]) -> dict[str, str]:
    """Return a digest of the code of each run beyond its commit, by uid.

    Runs without changes, or of which none were kept, are omitted.
    """
    background.wait_until_done()  # texts of a run of this process may be on their way
    texts = backend.database.document_hashes([run.uid for run in runs])
    code = RecordedCode(backend)
    found = ((run.uid, code.changes_of(run, texts.get(run.uid, {}))) for run in runs)
    return {uid: changes for uid, changes in found if changes is not None}
