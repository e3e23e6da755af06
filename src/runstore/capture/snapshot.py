"""The code as it is, beyond the commit: the patch of changes and the untracked source files.

Text only, with a limit of size, masked, and never what git ignores.
"""

from __future__ import annotations

import json
import os
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


class RunGit(Protocol):
    """How git is asked; see `runstore.capture.git.run_git`."""

    def __call__(self, args: list[str], cwd: Path, *, limit_bytes: int, timeout_s: float) -> bytes:
        """Return what git prints, up to one byte more than the limit."""


def snapshot(root: Path, run_git: RunGit) -> Facts:
    """Return the documents `patch` and `untracked` of a work tree; each only where there is one.

    Args:
        root: The top folder of the work tree.
        run_git: Asks git.
    """
    return _patch(root, run_git).merged(_untracked(root, run_git))


def _patch(root: Path, run_git: RunGit) -> Facts:
    """Return the changes against the commit, staged or not, as `git apply` takes them."""
    command = ["diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv"]
    secret = [f":(exclude,glob,icase)**/{name}" for name in _SECRET_FILES]
    secret += [f":(exclude,glob,icase)**/*{suffix}" for suffix in _SECRET_SUFFIXES]
    try:
        diff = run_git(
            [*command, "--", ".", *secret],
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
    return Facts(documents={"patch": masked}, unknown=unknown)


def _untracked(root: Path, run_git: RunGit) -> Facts:
    """Return files that git neither tracks nor ignores: a JSON object from path to text."""
    try:
        listed = run_git(
            ["ls-files", "--others", "--exclude-standard", "-z"],
            root,
            limit_bytes=_NAMES_LIMIT_BYTES,
            timeout_s=SLOW_TIMEOUT_S,
        )
    except GitError as error:
        return Facts(unknown={"untracked": str(error)})
    names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    files: dict[str, str] = {}
    left_out: list[str] = []
    room = UNTRACKED_LIMIT_BYTES
    for name, text, why in _readable(root, names[:_FILES_AT_MOST]):
        if text is not None and len(text) <= room:
            files[_shown(name)] = mask_text(text)
            room -= len(text)
        else:
            left_out.append(f"{_shown(name)} ({why or 'no room left'})")
    if len(names) > _FILES_AT_MOST:
        left_out.append(f"{len(names) - _FILES_AT_MOST} more files")
    return Facts(
        documents={"untracked": json.dumps(files, ensure_ascii=False, indent=1)} if files else {},
        unknown={"untracked.rest": "; ".join(left_out[:50])} if left_out else {},
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
