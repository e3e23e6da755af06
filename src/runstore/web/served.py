"""The store, access and reading threads of one server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from runstore.errors import RunstoreError, StoreReadOnlyError
from runstore.lasting import LastingStore
from runstore.reading.grid.order import run_order
from runstore.store import Store
from runstore.web.access import Access

# Each has a connection of its own; a page asks for a few things at once.
THREADS = 4
_MEMORY_BYTES = 600 << 20  # for SQLite, of all connections together
_INTERRUPTIONS, _INTERRUPTED_EVERY_S = 100, 0.05
# An edit waits for other writers; what is read does not.
_EDIT_PATIENCE_S = 5.0


class _ServedStore(LastingStore):
    """A store whose contents cannot use up the memory, even if they are hostile."""

    def __init__(self, store: Store, *, is_read_only: bool) -> None:
        super().__init__(store)
        self._is_read_only = is_read_only
        self._prepare(store)

    def _prepare(self, fresh: Store) -> None:
        driver = fresh.backend.database.driver
        driver.limit_memory(_MEMORY_BYTES)
        if self._is_read_only and driver.refusal is None:
            driver.refuse_writes(
                StoreReadOnlyError(
                    "The page was started with --read-only.",
                    kept="Nothing was changed.",
                    hint="Start it without that option.",
                )
            )


class Served:
    """The store that one server serves."""

    def __init__(self, store: Store, access: Access, *, is_read_only: bool = False) -> None:
        self.access = access
        self.is_read_only = is_read_only
        self._store = _ServedStore(store, is_read_only=is_read_only)
        self._uses: set[object] = set()
        self.threads = ThreadPoolExecutor(THREADS, thread_name_prefix="runstore-ui")

    @contextmanager
    def opened(self, *, is_write: bool = False) -> Iterator[Store]:
        """Return the store as it is now; see `LastingStore.opened`."""
        use = object()
        self._uses.add(use)
        try:
            with self._store.opened(patience_s=_EDIT_PATIENCE_S if is_write else 0) as store:
                yield store
        finally:
            self._uses.remove(use)

    def prepare(self) -> None:
        """Read the data of the first view in advance."""
        with suppress(RunstoreError), self.opened() as store:  # the page will show the error
            run_order(store.backend)

    def interrupt(self) -> None:
        """Interrupt reads in progress."""
        self._store.interrupt()

    def close(self) -> None:
        """Close the store and end the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        # A statement may begin behind an interruption, and would hold up the end of the process.
        for _ in range(_INTERRUPTIONS):
            if not self._uses:
                break
            self._store.interrupt()
            time.sleep(_INTERRUPTED_EVERY_S)
        self._store.close()
