"""Files that are written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which is durably renamed to the file at the end of the block."""
    aside = path.with_name(f"{path.name}.tmp")
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_aside(path: Path, contents: bytes) -> None:
    """Write a file; see `written_aside`."""
    with written_aside(path) as aside:
        aside.write_bytes(contents)
