"""For tests of code that records runs: a store that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runstore.store import Store


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Give a store in a temporary folder; store and folder are gone on leaving."""
    with (
        tempfile.TemporaryDirectory(prefix="runstore-") as folder,
        Store.open(Path(folder) / "store") as store,
    ):
        yield store
