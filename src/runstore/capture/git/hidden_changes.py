"""Changes that git was told not to see: files assumed unchanged, or outside of a sparse checkout.

Source: git-update-index(1) 2.39, --assume-unchanged and --skip-worktree; git-ls-files(1), -v.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from runstore.capture.git.patch import Asker
from runstore.capture.git.state import GitError

_LIST_LIMIT_BYTES = 1 << 24
_FILE_LIMIT_BYTES = 1 << 24
_AT_MOST = 400


def hidden_changes(ask: Asker) -> list[str]:
    """Return the paths of files that git reports as unchanged, and that are not.

    Args:
        ask: Asks git about a work tree.
    """
    try:
        listed = os.fsdecode(ask(["ls-files", "-v", "-z"], _LIST_LIMIT_BYTES)).split("\0")[:-1]
        # A small letter is a file assumed unchanged, an S one that is not checked out.
        flagged = [one[2:] for one in listed if one[:1].islower() or one[:1] == "S"]
        there = [path for path in flagged if _is_there(ask, path)][:_AT_MOST]
        return _changed(ask, there) if there else []
    except GitError:
        return []


def _is_there(ask: Asker, path: str) -> bool:
    try:
        about = (ask.root / path).lstat()
    except OSError:
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
