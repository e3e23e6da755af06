"""Files of plots: written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runstore.errors import UsageError


@contextmanager
def written_aside(file: Path) -> Iterator[Path]:
    """Give a path to write to, which gets the file's name at the end of the block.

    Raises:
        UsageError: The file cannot be written there.
    """
    aside = file.with_name(f".{os.getpid()}-{file.name}")
    try:
        yield aside
        aside.replace(file)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror or error}.",
            kept="Nothing was written.",
            hint="Choose another place.",
        ) from error
    finally:
        aside.unlink(missing_ok=True)
