"""Changes that git ignores on request: files assumed unchanged, or outside a sparse checkout.

Source: git-update-index(1) 2.39, --assume-unchanged and --skip-worktree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from runstore.capture.git.asking import Asker
from runstore.capture.git.state import GitError
from runstore.errors import genuine

_LIST_LIMIT_BYTES = 1 << 24
_FILE_LIMIT_BYTES = 1 << 24
_AT_MOST = 400


def changed_among(ask: Asker, flagged: Sequence[str]) -> list[str]:
    """Return the paths of changed files that git reports as unchanged.

    It ignores changes of flagged files on request.
    """
    try:
        there = [path for path in flagged if _is_there(ask, path)][:_AT_MOST]
        return _changed(ask, there) if there else []
    except GitError:
        return []


def _is_there(ask: Asker, path: str) -> bool:
    try:
        about = (ask.root / path).lstat()
    except genuine(OSError):
        return False
    return stat.S_ISREG(about.st_mode) and about.st_size <= _FILE_LIMIT_BYTES


def _changed(ask: Asker, paths: Sequence[str]) -> list[str]:
    literal = [f":(top,literal){path}" for path in paths]
    known = os.fsdecode(ask(["ls-files", "-s", "-z", "--", *literal], _LIST_LIMIT_BYTES))
    objects = {
        path: head.split()[1]
        for head, _, path in (line.partition("\t") for line in known.split("\0")[:-1])
    }
    now = ask(["hash-object", "--", *paths], _LIST_LIMIT_BYTES).decode("ascii").split()
    return [path for path, name in zip(paths, now, strict=False) if objects.get(path) != name]
