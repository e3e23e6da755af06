"""Calls of git for one work tree, with a common time limit."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from runstore.capture.git.state import SLOW_TIMEOUT_S, GitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object


class RunGit(Protocol):
    """The signature of `runstore.capture.git.state.run_git`."""

    def __call__(self, args: list[str], cwd: Path, *, limit_bytes: int, timeout_s: float) -> bytes:
        """Return the output of git, up to one byte more than the limit."""


class Asker:
    """Calls git for one work tree, with a time limit for all calls together."""

    def __init__(self, root: Path, run_git: RunGit) -> None:
        self.root = root
        self.options: tuple[str, ...] = ()
        self._run_git = run_git
        self._deadline = time.monotonic() + SLOW_TIMEOUT_S

    @property
    def has_time(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self._deadline

    def __call__(self, args: Iterable[str], limit_bytes: int) -> bytes:
        """Return the output of git, up to one byte more than the limit.

        Raises:
            GitError: git refused, or took too long.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise GitError(f"git did not answer within {SLOW_TIMEOUT_S:g} s")
        asked = [*self.options, *args]
        return self._run_git(asked, self.root, limit_bytes=limit_bytes, timeout_s=left)
