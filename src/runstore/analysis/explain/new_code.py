"""The identity of new files that count as code, for many runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from runstore.capture.git.new_files import marks_of, new_code, recorded_words, texts_of_new_files

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_DOCUMENT = "untracked"
_CHARACTERS_AT_MOST = 1 << 26


class NewCode:
    """Reads the new files of runs that count as code, each captured text once."""

    def __init__(self, backend: Backend, runs: Sequence[Run]) -> None:
        self._backend = backend
        self._words = recorded_words(*(run.facts for run in runs))
        self._known: dict[str, str | None] = {}
        self._left = _CHARACTERS_AT_MOST

    def of(self, run: Run, texts: Mapping[str, str]) -> Hashable:
        """Return an identity of these files.

        Args:
            run: The run.
            texts: Hashes of its captured texts, by name.
        """
        marks = new_code(marks_of(run.facts), run.facts, self._words)
        return self._texts(run, texts), tuple(sorted(marks.items()))

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
