"""Following the output of an active run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from runstore.model.text.output import OutputLine
from runstore.reading.names import run_named
from runstore.storage.backend import Backend
from runstore.storage.files.output import Tail
from runstore.storage.files.safe_files import UnsafeFileError


class Follower:
    """Follows the output of a run until its end."""

    def __init__(self, backend: Backend, uid: str) -> None:
        self._backend = backend
        self._uid = uid
        self._tails: dict[str, Tail] = {}

    def poll(self) -> tuple[list[OutputLine], OutputLine | None, bool]:
        """Return new complete lines, an incomplete line, and whether the run has ended."""
        # Checked first, so that all output before the end is found.
        has_ended = run_named(self._backend, self._uid).status.is_final
        for path in self._paths():
            if path.name not in self._tails:
                with suppress(FileNotFoundError, UnsafeFileError):  # just imported
                    self._tails[path.name] = Tail(path)
        whole: list[OutputLine] = []
        last: OutputLine | None = None
        for tail in self._tails.values():
            new, is_open = tail.lines()
            whole += new
            last = is_open or last
        return sorted(whole, key=lambda line: line.at), last, has_ended

    def _paths(self) -> Iterator[Path]:
        yield from self._backend.spool.output_files(self._uid)
        for one in self._backend.artifacts.outputs_of(self._uid):
            if one.part not in self._tails:
                kept = self._backend.objects.whole(one.digest, one.size_bytes)
                with suppress(FileNotFoundError):
                    self._tails[one.part] = Tail(kept)

    def close(self) -> None:
        """Close the files."""
        for tail in self._tails.values():
            tail.close()
