"""A store that stays open for long, while its file may be moved, replaced or restored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runstore.store import Store


class LastingStore:
    """A store that is reopened if its file was replaced; safe to share between threads."""

    def __init__(self, store: Store) -> None:
        self.path = store.path
        self.place = store.backend.place
        self._store = store
        self._lock = threading.Lock()

    @contextmanager
    def opened(self, *, patience_s: float = 0) -> Iterator[Store]:
        """Return the store in its present place.

        Args:
            patience_s: How long to wait for other writers, in seconds. Conclusions from reading,
                such as that a run is lost, can be recorded the next time.

        Raises:
            StoreError: It cannot be read now.
        """
        with self._lock:
            if not self._store.backend.is_in_place:
                fresh = Store.open(self.path, create=False)
                self._prepare(fresh)
                self._store.close()
                self._store = fresh
            store = self._store
        with store.backend.database.driver.hurried(patience_s):
            yield store

    def _prepare(self, fresh: Store) -> None:
        """Prepare a reopened store as the first one was prepared."""

    def interrupt(self) -> None:
        """Interrupt running statements; each fails with a `StoreError`."""
        self._store.backend.database.driver.interrupt()

    def close(self) -> None:
        """Close the store."""
        self._store.close()
