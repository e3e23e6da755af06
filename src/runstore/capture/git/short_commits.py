"""The whole hash of commits whose hash was cut short, asked of the repository at hand."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterable
from pathlib import Path

GIT_PATIENCE_S = 10.0
_HEX_LENGTH = 40


def whole_commits(short: Collection[str], folders: Iterable[Path]) -> dict[str, str]:
    """Return the commits that exactly one commit of a repository begins with.

    Args:
        short: Beginnings of hashes, hexadecimal.
        folders: Where to look for a repository, the first one that knows a commit counts.

    Returns:
        Whole hash by short one; those that no repository knows are left out.
    """
    found: dict[str, str] = {}
    for folder in dict.fromkeys(folders):
        missing = sorted(set(short) - set(found))
        if missing:
            found.update(_ask(missing, folder))
    return found


def _ask(short: list[str], folder: Path) -> dict[str, str]:
    """Ask one repository for all of them at once."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "cat-file", "--batch-check=%(objectname) %(objecttype)"],
            input="".join(f"{one}\n" for one in short),
            capture_output=True,
            text=True,
            timeout=GIT_PATIENCE_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    found: dict[str, str] = {}
    # One line per question; for an unknown or ambiguous hash git repeats it, and says so.
    for one, line in zip(short, answer.stdout.splitlines(), strict=False):
        name, _, kind = line.partition(" ")
        if kind == "commit" and len(name) == _HEX_LENGTH and name.startswith(one):
            found[one] = name
    return found
