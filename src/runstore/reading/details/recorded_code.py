"""The identity of the code of many runs: commits, uncommitted changes and new files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from runstore import background
from runstore.capture.git.new_files import marks_of, new_code, recorded_words, texts_of_new_files
from runstore.model.values import blake2b, canonical_json

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_DOCUMENT = "untracked"
_CHARACTERS_AT_MOST = 1 << 26


class RecordedCode:
    """Reads the code of runs, each captured text once; other new files do not count."""

    def __init__(self, backend: Backend, runs: Sequence[Run]) -> None:
        self._backend = backend
        self._words = recorded_words(*(run.facts for run in runs))
        self._known: dict[str, str | None] = {}
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
        return blake2b(canonical_json(found).encode(), digest_size=16).hexdigest()

    def _beyond_commit(
        self, run: Run, texts: Mapping[str, str]
    ) -> tuple[str | None, str | None, tuple[tuple[str, str], ...]]:
        marks = new_code(marks_of(run.facts), run.facts, self._words)
        return texts.get("patch"), self._texts(run, texts), tuple(sorted(marks.items()))

    def _texts(self, run: Run, texts: Mapping[str, str]) -> str | None:
        whole = texts.get(_DOCUMENT)
        if whole is None:
            return None
        if whole not in self._known:
            # Beyond the limit, runs with other data have other code.
            self._known[whole] = self._read(run) if self._left > 0 else whole
        return self._known[whole]

    def _read(self, run: Run) -> str | None:
        document = self._backend.database.document(run.uid, _DOCUMENT) or ""
        self._left -= len(document)
        code = new_code(texts_of_new_files(document), run.facts, self._words)
        if not code:
            return None
        text = json.dumps(code, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def changes_of_runs(backend: Backend, runs: Sequence[Run]) -> dict[str, str]:
    """Return a digest of the code of each run beyond its commit, by uid.

    Runs without changes, or of which none were kept, are omitted.
    """
    background.wait_until_done()  # texts of a run of this process may be on their way
    texts = backend.database.document_hashes([run.uid for run in runs])
    code = RecordedCode(backend, runs)
    found = ((run.uid, code.changes_of(run, texts.get(run.uid, {}))) for run in runs)
    return {uid: changes for uid, changes in found if changes is not None}
