"""Print the oldest and the newest Python on this machine that runstore supports.

Without the one that runs this script, whose tests have passed by now. One path per line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
ASK = "import sys, sysconfig, venv; print(sys.version_info[:2], sys.prefix != sys.base_prefix)"


def candidates() -> Iterator[Path]:
    """Yield every program that may be a Python: on the PATH, and pyenv's."""
    folders = [Path(one) for one in os.environ.get("PATH", "").split(os.pathsep) if one]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders += sorted(pyenv.glob("versions/*/bin"))
    for folder in folders:
        yield from sorted(folder.glob("python3.[0-9]*"))


def version_of(path: Path) -> tuple[int, ...] | None:
    """Return the version of an interpreter that can make environments; None for anything else."""
    if not re.fullmatch(r"python3\.\d+", path.name) or not os.access(path, os.X_OK):
        return None
    asked = subprocess.run([path, "-c", ASK], capture_output=True, text=True, check=False)
    found = re.fullmatch(r"\((\d+), (\d+)\) False\n", asked.stdout)
    return tuple(map(int, found.groups())) if asked.returncode == 0 and found else None


def main() -> None:
    """Print them."""
    words = re.findall(r"Python :: (\d)\.(\d+)\"", PROJECT.read_text(encoding="utf-8"))
    supported = {tuple(map(int, one)) for one in words}
    found = {}
    for path in candidates():
        version = version_of(path)
        if version in supported:
            found.setdefault(version, path)
    for version in sorted({min(found), max(found)} if found else ()):
        if version != sys.version_info[:2]:
            print(found[version])


main()
