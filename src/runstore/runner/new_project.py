"""Creating a small project that runs at once."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from runstore.errors import ConflictError, UsageError
from runstore.storage.sqlite.paths import mode_of

_TEMPLATE = "project_template"
_FILES = ("experiments/pi.py", "params/darts.py")
COMMAND = "runstore run pi -p darts"


def make_project(folder: Path) -> list[Path]:
    """Create and return the files of a small project; existing files are not changed.

    Raises:
        ConflictError: One of the files exists already; nothing was written.
        UsageError: The folder cannot be created or written.
    """
    template = importlib.resources.files("runstore.runner") / _TEMPLATE
    targets = {folder / name: template.joinpath(name) for name in _FILES}
    there = [str(path) for path in targets if mode_of(path)]
    if there:
        raise ConflictError(
            f"{', '.join(there)} already {'exists' if len(there) == 1 else 'exist'}.",
            kept="Nothing was written.",
            hint="Choose another folder: runstore init FOLDER",
        )
    try:
        for path, source in targets.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}.") from error
    return list(targets)
