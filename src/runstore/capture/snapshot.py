"""The code as it is, beyond the commit: the patch of changes and the untracked source files.

Text only, with a limit of size, masked, and never what git ignores.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from runstore.capture.git import SLOW_TIMEOUT_S, GitError
from runstore.capture.secrets import mask_text
from runstore.model.facts import Facts

PATCH_LIMIT_BYTES = 1 << 20
FILE_LIMIT_BYTES = 1 << 18
UNTRACKED_LIMIT_BYTES = 1 << 22
_NAMES_LIMIT_BYTES = 1 << 20
_FILES_AT_MOST = 1000
# Files whose whole purpose is a secret are named, never read.
_SECRET_FILES = (".env", ".netrc", ".npmrc", ".pypirc", "id_rsa", "id_ed25519", "credentials")
_SECRET_SUFFIXES = (".pem", ".key", ".p12", ".pfx", ".keystore", ".jks", ".kdbx")
_GLOB = re.compile(r"[*?\[\]\\]")
_DIRTY_SUBMODULE = re.compile(r"^\+Subproject commit [0-9a-f]+-dirty$", re.MULTILINE)
# What a store keeps in its folder changes with every run, and is no code.
_OF_A_STORE = (
    "runstore.db*", "search.db*", "store.json*", "spool", "objects", "objects.lock", "runs",
    "cache",
)  # fmt: skip


class RunGit(Protocol):
    """How git is asked; see `runstore.capture.git.run_git`."""

    def __call__(self, args: list[str], cwd: Path, *, limit_bytes: int, timeout_s: float) -> bytes:
        """Return what git prints, up to one byte more than the limit."""


def snapshot(root: Path, run_git: RunGit, *, store: Path | None = None) -> Facts:
    """Return the documents `patch` and `untracked` of a work tree; each only where there is one.

    What is missing in them is told among the unknown facts: `patch.rest`, `patch.masked`,
    `patch.submodules`, `untracked.cut`, `untracked.masked`; and `untracked.rest`, new files that
    are no source code as far as can be told.

    Args:
        root: The top folder of the work tree.
        run_git: Asks git.
        store: The folder of the store, whose own files are left out.
    """
    but = _files_of_a_store(root, store)
    return _patch(root, run_git, but).merged(_untracked(root, run_git, but))


def _files_of_a_store(root: Path, store: Path | None) -> list[str]:
    """Return the patterns that leave out what a store inside of the work tree keeps."""
    if store is None:
        return []
    place = store.resolve()
    if not place.is_relative_to(root):
        return []
    folder = _GLOB.sub(r"\\\g<0>", place.relative_to(root).as_posix())
    return [f":(exclude,glob){folder}/{name}{end}" for name in _OF_A_STORE for end in ("", "/**")]


def _patch(root: Path, run_git: RunGit, but: list[str]) -> Facts:
    """Return the changes against the commit, staged or not, as `git apply` takes them."""
    command = ["diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv"]
    secret = [f":(exclude,glob,icase)**/{name}" for name in _SECRET_FILES]
    secret += [f":(exclude,glob,icase)**/*{suffix}" for suffix in _SECRET_SUFFIXES]
    try:
        diff = run_git(
            [*command, "--", ".", *secret, *but],
            root,
            limit_bytes=PATCH_LIMIT_BYTES,
            timeout_s=SLOW_TIMEOUT_S,
        )
    except GitError as error:
        return Facts(unknown={"patch": str(error)})
    if not diff:
        return Facts()
    if len(diff) <= PATCH_LIMIT_BYTES:
        return _masked_patch(diff)
    whole = diff[: diff.rfind(b"\ndiff --git ") + 1]
    reason = f"the changes are larger than {PATCH_LIMIT_BYTES >> 20} MiB"
    if not whole:
        return Facts(unknown={"patch": reason})
    kept = _masked_patch(whole)
    return kept.merged(Facts(unknown={"patch.rest": f"{reason}; the first files were kept"}))


def _masked_patch(diff: bytes) -> Facts:
    text = diff.decode("utf-8", "replace")
    masked = mask_text(text)
    # A patch that no longer applies as it was is told apart from one that does.
    unknown = {"patch.masked": "secrets in it were masked"} if masked != text else {}
    if _DIRTY_SUBMODULE.search(text):
        unknown["patch.submodules"] = "a submodule has changes of its own"
    return Facts(documents={"patch": masked}, unknown=unknown)


def _untracked(root: Path, run_git: RunGit, but: list[str]) -> Facts:
    """Return files that git neither tracks nor ignores: a JSON object from path to text."""
    try:
        listed = run_git(
            ["ls-files", "--others", "--exclude-standard", "-z", "--", ".", *but],
            root,
            limit_bytes=_NAMES_LIMIT_BYTES,
            timeout_s=SLOW_TIMEOUT_S,
        )
    except GitError as error:
        return Facts(unknown={"untracked": str(error)})
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    files: dict[str, str] = {}
    left_out: list[str] = []
    unknown: dict[str, str] = {}
    room = UNTRACKED_LIMIT_BYTES
    for name, text, why in _readable(root, names[:_FILES_AT_MOST]):
        if text is None:
            left_out.append(f"{_shown(name)} ({why})")
        elif len(text) > room:
            left_out.append(f"{_shown(name)} (no room left)")
            unknown["untracked.cut"] = f"they are larger than {UNTRACKED_LIMIT_BYTES >> 20} MiB"
        else:
            masked = files[_shown(name)] = mask_text(text)
            room -= len(text)
            if masked != text:
                unknown["untracked.masked"] = f"secrets in {_shown(name)} were masked"
    if len(names) > _FILES_AT_MOST:
        left_out.append(f"{len(names) - _FILES_AT_MOST} more files")
        unknown["untracked.cut"] = f"they are more than {_FILES_AT_MOST}"
    if left_out:
        unknown["untracked.rest"] = "; ".join(left_out[:50])
    return Facts(
        documents={"untracked": json.dumps(files, ensure_ascii=False, indent=1)} if files else {},
        unknown=unknown,
    )


def _readable(root: Path, names: list[str]) -> Iterator[tuple[str, str | None, str]]:
    """Yield each name with its text, or with the reason why it has none."""
    for name in names:
        text, why = None, ""
        if _is_secret(name):
            why = "may hold secrets"
        else:
            try:
                text, why = _text_of(root / name)
            except OSError as error:
                why = str(error.strerror)
        yield name, text, why


def _text_of(file: Path) -> tuple[str | None, str]:
    about = file.lstat()
    # A link may lead anywhere, a pipe would never end.
    if not stat.S_ISREG(about.st_mode):
        return None, "not a plain file"
    if about.st_size > FILE_LIMIT_BYTES:
        return None, f"larger than {FILE_LIMIT_BYTES >> 10} KiB"
    data = file.read_bytes()
    if b"\0" in data:
        return None, "not text"
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError:
        return None, "not text"


def _is_secret(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return last.startswith(_SECRET_FILES) or last.endswith(_SECRET_SUFFIXES)


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
