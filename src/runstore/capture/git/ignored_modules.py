"""Modules in the work tree that git ignores, such as settings and compiled modules."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import machinery
from pathlib import Path

from runstore.capture.git.asking import Asker
from runstore.capture.git.source_files import masked_path
from runstore.capture.git.state import GitError
from runstore.errors import genuine
from runstore.model.facts import Facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.capture.program.modules import Marks

_LIST_LIMIT_BYTES = 1 << 24
_AT_MOST = 1_000
_LOOKED_AT = 1_000  # entries of the target folder of a link


def ignored_modules(ask: Asker, but: Sequence[str]) -> Facts:
    """Return `untracked.ignored`: one line per module, with its path and fingerprint.

    Folders that are ignored as a whole, such as environments and build output, are skipped.
    """
    try:
        paths = ignored_paths(ask, but)
    except GitError as error:
        return Facts(unknown={"untracked.ignored": str(error)})
    if not paths:
        return Facts(values={"untracked.ignored": ()})
    from runstore.capture.program.modules import Marks

    marks = Marks()
    lines = [f"{_mark(marks, ask.root, one)} {masked_path(one)}" for one in paths[:_AT_MOST]]
    if len(paths) > _AT_MOST or marks.problem:
        why = marks.problem or f"git ignores more than {_AT_MOST:,} modules"
        return Facts(unknown={"untracked.ignored": why})
    return Facts(values={"untracked.ignored": tuple(lines)})


def ignored_paths(ask: Asker, but: Sequence[str]) -> list[str]:
    """Return the paths of modules that git ignores.

    Raises:
        GitError: git did not answer.
    """
    listed = ask(
        ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z", "--",
         ".", *but],
        _LIST_LIMIT_BYTES,
    )  # fmt: skip
    names = os.fsdecode(listed).split("\0")[:-1]
    return sorted(one for one in names if _is_module(ask.root, one))


def _is_module(root: Path, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    if not stem.isidentifier() or "__pycache__" in folder.split("/"):
        return False
    if name.endswith(tuple(machinery.all_suffixes())):
        return True
    place = root / path
    return place.is_symlink() and _holds_modules(place)


def _holds_modules(folder: Path) -> bool:
    """Check whether the target folder of a link may be a package."""
    suffixes = tuple(machinery.all_suffixes())
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one, _ in zip(entries, range(_LOOKED_AT), strict=False)]
    except genuine(OSError):
        return False
    return any(one.endswith(suffixes) for one in names)


def _mark(marks: Marks, root: Path, path: str) -> str:
    place = root / path
    target = f"link:{os.fsencode(os.readlink(place)).hex()}:" if place.is_symlink() else ""  # noqa: PTH115 - text as it is
    return f"{target}{marks.of(str(place)) or 'none'}"
