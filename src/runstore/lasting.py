"""A store that is kept open for long, while its file may be moved away, replaced or restored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runstore.store import Store


class LastingStore:
    """A store that is opened again when its file is another one; safe to share between threads.

    Args:
        store: The store, open.
        opened_anew: Called with each store that is opened later.
    """

    def __init__(self, store: Store) -> None:
        self.path = store.path
        self._store = store
        self._lock = threading.Lock()

    @contextmanager
    def opened(self, *, patience_s: float = 0) -> Iterator[Store]:
        """Give the store as it is now.

        Args:
            patience_s: How long to wait for other writers, in seconds. What reading concludes,
                that a run is lost, may wait for the next time.

        Raises:
            StoreError: It cannot be read; next time it may.
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
        """Do to a store that was opened anew what was done to the first one."""

    def interrupt(self) -> None:
        """End the statements that run now; each fails with a `StoreError`."""
        self._store.backend.database.driver.interrupt()

    def close(self) -> None:
        """Give back the store."""
        self._store.close()
