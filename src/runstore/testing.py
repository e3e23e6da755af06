"""Helpers for tests of code that records runs: a temporary store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runstore.store import Store


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Return a store in a temporary folder, which is removed on exit."""
    with (
        tempfile.TemporaryDirectory(prefix="runstore-") as folder,
        Store.open(Path(folder) / "store", create=True) as store,
    ):
        yield store
