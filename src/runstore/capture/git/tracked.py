"""The tracked files, of the commit or of the next one.

Source: git-ls-files(1) 2.39, -v.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from runstore.capture.git.asking import Asker
from runstore.capture.git.state import GitError
from runstore.model.once import once

_LIST_LIMIT_BYTES = 1 << 24
_ASKED_LIMIT_BYTES = 1 << 24


class Tracked:
    """The tracked files of one work tree, read once."""

    def __init__(self, ask: Asker) -> None:
        self._ask = ask

    def among(self, paths: Sequence[str]) -> set[str]:
        """Return the paths among these that git tracks; none if git does not answer."""
        if not paths:
            return set()
        if self._is_cut:
            return self._asked(paths)
        return set(paths).intersection(line[2:] for line in self._lines)

    def flagged(self) -> list[str]:
        """Return the paths whose changes git ignores on request."""
        # A lowercase letter marks a file assumed unchanged, S one that is not checked out.
        return [line[2:] for line in self._lines if line[:1].islower() or line[:1] == "S"]

    @property
    def _is_cut(self) -> bool:
        return len(self._listed) > _LIST_LIMIT_BYTES

    @once
    def _listed(self) -> bytes:
        try:
            return self._ask(["ls-files", "-v", "-z"], _LIST_LIMIT_BYTES)
        except GitError:
            return b""

    @once
    def _lines(self) -> list[str]:
        # The last entry is empty, or cut.
        return os.fsdecode(self._listed).split("\0")[:-1]

    def _asked(self, paths: Sequence[str]) -> set[str]:
        literal = [f":(top,literal){one}" for one in paths]
        try:
            kept = self._ask(["ls-files", "-z", "--", *literal], _ASKED_LIMIT_BYTES)
        except GitError:
            return set()
        return set(os.fsdecode(kept).split("\0")[:-1])
