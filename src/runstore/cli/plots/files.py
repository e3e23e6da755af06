"""Files of plots, written completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from runstore.errors import MissingExtraError, UsageError
from runstore.extras import how_to_install
from runstore.storage.files.unfinished import written_whole

# By library: a suffix of the files that it writes.
_WRITES = {"matplotlib": ".png", "plotly": ".html"}


@contextmanager
def written_aside(file: Path) -> Iterator[Path]:
    """Yield a path to write to, which is renamed to the file at the end of the block.

    Raises:
        UsageError: The file cannot be written there.
    """
    try:
        with written_whole(file) as aside:
            yield aside
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror or error}.",
            kept="Nothing was written.",
            hint="Choose another place.",
        ) from error


def missing_library(name: str) -> MissingExtraError:
    """Return the error for a plot that needs a library that is not installed."""
    others = [
        f"-o plot{suffix}"
        for library, suffix in _WRITES.items()
        if library != name and find_spec(library) is not None
    ]
    instead = others[0] if others else "leave out -o to draw in the terminal"
    return MissingExtraError(
        f"{name} is not installed.",
        kept="Nothing was written.",
        hint=f"{how_to_install('plot')} (without it: {instead})",
    )
