"""Full hashes of abbreviated commits, looked up in a repository."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path

from runstore.errors import genuine

GIT_PATIENCE_S = 10.0
_HEX_LENGTH = 40


def whole_commits(short: Collection[str], folders: Iterable[Path]) -> dict[str, str]:
    """Return the full hashes of abbreviations that are unique in a repository.

    The first folder whose repository has the commit counts; unknown ones are left out.
    """
    found: dict[str, str] = {}
    for folder in dict.fromkeys(folders):
        missing = sorted(set(short) - set(found))
        if missing:
            found.update(_ask(missing, folder))
    return found


def _ask(short: list[str], folder: Path) -> dict[str, str]:
    """Look all of them up in one repository, with one call."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "cat-file", "--batch-check=%(objectname) %(objecttype)"],
            input="".join(f"{one}\n" for one in short),
            capture_output=True,
            text=True,
            timeout=GIT_PATIENCE_S,
            check=False,
        )
    except genuine(OSError, ValueError, subprocess.SubprocessError):
        return {}
    found: dict[str, str] = {}
    # One line per question; if a hash is unknown or ambiguous, git repeats it with a note.
    for one, line in zip(short, answer.stdout.splitlines(), strict=False):
        name, _, kind = line.partition(" ")
        if kind == "commit" and len(name) == _HEX_LENGTH and name.startswith(one):
            found[one] = name
    return found
