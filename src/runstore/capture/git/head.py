"""The commit that is checked out, read from the files of a repository without git.

git may be missing, refuse, or be slow; these few bytes can still be read.
Source: gitrepository-layout(5) and git-pack-refs(1), 2.39.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from runstore.errors import genuine
from runstore.model.facts import FactValue

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_POINTER = "gitdir: "
_BRANCH = "ref: refs/heads/"
_LIMIT_BYTES = 1 << 12
_PACKED_LIMIT_BYTES = 1 << 26


def head_in_files(root: str | None) -> dict[str, FactValue]:
    """Return `git.commit` and `git.branch` if the files contain them; else an empty mapping.

    Without a work tree, `GIT_DIR` is used.
    """
    try:
        folder = _git_folder(root)
        head = _small_text(folder / "HEAD")
        common = _common_folder(folder)
        if not head.startswith("ref: "):
            return _facts(head, "(detached)")
        name = head.removeprefix("ref: ")
        branch = head.removeprefix(_BRANCH) if head.startswith(_BRANCH) else name
        # Branches belong to all work trees of a repository, HEAD to each.
        return _facts(_loose(common, name) or _packed(common, name), branch)
    except genuine(OSError, ValueError):
        return {}


def _facts(commit: str, branch: str) -> dict[str, FactValue]:
    if not _COMMIT.fullmatch(commit):
        return {}
    return {"git.commit": commit, "git.branch": branch}


def _git_folder(root: str | None) -> Path:
    named = os.environ.get("GIT_DIR")
    if named:
        return Path(named).absolute()
    place = Path(root or "", ".git")
    if place.is_dir():
        return place
    pointer = _small_text(place)
    if not pointer.startswith(_POINTER):
        raise ValueError(place)
    return Path(place.parent, pointer.removeprefix(_POINTER))


def _common_folder(folder: Path) -> Path:
    """Return the folder that linked work trees share."""
    try:
        return Path(folder, _small_text(folder / "commondir"))
    except genuine(OSError):
        return folder


def _loose(common: Path, name: str) -> str:
    if ".." in name or not name.startswith("refs/"):
        raise ValueError(name)
    try:
        return _small_text(common / name)
    except genuine(OSError):
        return ""


def _packed(common: Path, name: str) -> str:
    with (common / "packed-refs").open("rb") as file:
        lines = file.read(_PACKED_LIMIT_BYTES).split(b"\n")
    wanted = os.fsencode(name)
    found = (line.partition(b" ") for line in lines)
    return next((commit.decode("ascii") for commit, _, ref in found if ref == wanted), "")


def _small_text(place: Path) -> str:
    """Return the only line of a small file, without blocking if it is a pipe."""
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.fsdecode(os.read(descriptor, _LIMIT_BYTES)).strip()
    finally:
        os.close(descriptor)
