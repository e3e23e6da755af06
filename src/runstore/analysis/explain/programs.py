"""The programs of two runs: the files they may use, and other runs with the same ones."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.analysis.compare.code import CodeFiles, CodeUnknownError
from runstore.analysis.explain.code_meaning import meaning
from runstore.analysis.explain.reached_files import reached_files
from runstore.capture.git.state import GitError
from runstore.reading.details.recorded_code import RecordedCode

if TYPE_CHECKING:
    from runstore.analysis.compare.file_versions import FileState
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_VERSIONS_AT_MOST = 40  # of the code that are read; git takes some milliseconds for each


class Programs:
    """The code that the programs of two runs use.

    Attributes:
        reached: Files that either may use; None if unknown for one of them.
    """

    def __init__(
        self, backend: Backend, runs: tuple[Run, Run], *, folder: Path | None = None
    ) -> None:
        self._backend = backend
        self._runs = runs
        self._folder = folder
        self._recorded = RecordedCode(backend, runs)
        self._known: dict[Hashable, Hashable] = {}
        self._meanings: dict[tuple[str, str | None], str | None] = {}
        reached = [self._reached_by(run) for run in runs]
        self.reached = (
            None if reached[0] is None or reached[1] is None else reached[0] | reached[1]
        )

    def _reached_by(self, run: Run) -> frozenset[str] | None:
        try:
            return reached_files(run, self._files(run))
        except (CodeUnknownError, GitError):
            return None

    def _files(self, run: Run) -> CodeFiles:
        return CodeFiles(self._backend, run, self._runs, folder=self._folder)

    def code_of(self, run: Run, texts: Mapping[str, str]) -> Hashable:
        """Return an identity of the code of a run's program, comments and layout aside."""
        exact = self._recorded.of(run, texts)
        if self.reached is None or run.commit is None:
            return exact
        if exact not in self._known and len(self._known) < _VERSIONS_AT_MOST:
            self._known[exact] = self._used_by(run) or exact
        return self._known.get(exact, exact)

    def _used_by(self, run: Run) -> Hashable | None:
        try:
            states = self._files(run).read(self.reached or ())
        except (CodeUnknownError, GitError):
            return None
        return tuple((path, self._meaning(path, states[path])) for path in sorted(states))

    def _meaning(self, path: str, state: FileState) -> str | None:
        if state.text is None or not state.is_exact:
            return state.identity
        key = path, state.identity
        if key not in self._meanings:
            self._meanings[key] = meaning(path, state.text)
        return self._meanings[key]
