"""The runs of a store on a server that wait on this machine, because it cannot be reached.

They are started, found and delivered here. Their store is a folder; see
`storage/postgres/waiting.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstore import background
from runstore.errors import NotFoundError, StoreCorruptError, StoreError
from runstore.inflight import take_in
from runstore.location import server_of
from runstore.model.reference import is_provisional
from runstore.reading.names import run_name
from runstore.storage.backend import Backend
from runstore.storage.postgres.waiting import (
    WAITING,
    count_waiting,
    folders_of_others,
    is_waiting,
    set_aside,
)
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.current import StoreBlock
    from runstore.maintenance.delivery import DeliveryLater
    from runstore.model.results.transfers import Progress, Transfer
    from runstore.model.run import Run
    from runstore.recording.active import ActiveRun
    from runstore.recording.past.runs import PastRequest
    from runstore.recording.request import StartRequest

# How long runs are delivered before a start.
_AT_ONCE_S = 10.0


class WaitingRuns:
    """The runs that wait on this machine for one store on a server: see `Backend.part`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._folder = backend.path / WAITING
        self._store: Any = None

    def store(self) -> Any:
        """Return their `Store`, created if it is missing."""
        if self._store is None or not self._store.backend.is_in_place:
            opened = self._backend.open_store
            try:
                self._store = opened(self._folder)
            except StoreCorruptError as error:
                set_aside(self._backend.path, lambda: opened(self._folder).close(), error)
                self._store = opened(self._folder)
            self._store.backend.is_fresh = False
        return self._store

    def let_go(self, error: BaseException | None, block: StoreBlock) -> None:
        """End the active runs of their store; see `Backend.let_go`."""
        if self._store is not None:
            self._store.backend.let_go(error, block)

    def close(self) -> None:
        """Close their store, if it was opened here."""
        if self._store is not None:
            self._store.backend.close()

    @property
    def count(self) -> int:
        """The number of runs."""
        return count_waiting(self._backend.path)

    def named(self, name: str | Run | ActiveRun) -> tuple[Any, Run] | None:
        """Return their `Store` and a run; None if none of them has the name."""
        if is_provisional(run_name(name)) and is_waiting(self._backend.path):
            with suppress(NotFoundError):
                store = self.store()
                return store, store.get(name)
        return None

    def for_others(self) -> list[tuple[str, Path, int]]:
        """Return the runs that wait for other servers.

        Returns:
            The URL, the folder of the waiting runs and their number, for each server.
        """
        return [
            (server_of(folder), folder / WAITING, count)
            for folder in folders_of_others(self._backend.path)
            if (count := count_waiting(folder))
        ]

    # Recording on the server, or here

    def start(self, asked: StartRequest, store: Any) -> ActiveRun:
        """Start a run; see `Store.start`."""
        from runstore.recording import aside

        run = aside.start_on_server(self._backend, asked, store, self.store)
        if run.store is store and self._store is not None:
            background.do_later(self.delivery())  # the server has returned
        return run

    def record(
        self, asked: PastRequest, artifacts: Mapping[str, Any] | None, author: str | None
    ) -> Run:
        """Record a past run; see `Store.record`."""
        from runstore.recording import aside

        return aside.record_on_server(self._backend, asked, artifacts, author, self.store)

    # Delivery

    def deliver(
        self,
        *,
        patience_s: float = 0.0,
        within_s: float | None = None,
        progress: Progress | None = None,
    ) -> Transfer | None:
        """Deliver the runs to the server.

        Args:
            patience_s: How long to wait for another program that delivers them.
            within_s: How long to deliver; None to deliver all.
            progress: See `Store.push`.

        Returns:
            The result; None if no runs wait.

        Raises:
            StoreLockedError: Another program is delivering them.
            StoreError: One of the stores failed. Runs that were delivered before are complete.
        """
        if not is_waiting(self._backend.path):
            return None
        from runstore.maintenance import delivery

        # Closing the `Store` would wait for background work, which this may be.
        with closing(self._backend.open_store(self._folder, create=False).backend) as source:
            return delivery.deliver(
                source,
                self._backend,
                patience_s=patience_s,
                within_s=within_s,
                progress=progress,
            )

    def deliver_some(self, within_s: float) -> None:
        """Deliver runs, and leave the remaining ones to a thread.

        Args:
            within_s: How long that may take; if it is 0, a few runs are delivered nevertheless.
        """
        if not (self._backend.database.is_writable and is_waiting(self._backend.path)):
            return
        from runstore.maintenance import delivery

        try:
            source = self._backend.open_store(self._folder, create=False).backend
        except StoreCorruptError as error:
            warn(f"Runs of this machine cannot be delivered: {error.what} {error.kept}")
            return
        except StoreError:  # they were delivered just now
            return
        with closing(source):
            is_now = delivery.is_small(source) and (within_s or delivery.are_few(source))
        if is_now:
            self.delivery(within_s or _AT_ONCE_S).do()
        if self.count:
            background.do_later(self.delivery())

    def delivery(self, within_s: float | None = None) -> DeliveryLater:
        """Return the delivery of the runs, and of other data in flight, for later.

        Args:
            within_s: How long to deliver; None to deliver all.
        """
        from runstore.maintenance.delivery import DeliveryLater

        def deliver() -> Transfer | None:
            take_in(self._backend)
            return self.deliver(within_s=within_s)

        return DeliveryLater(self._backend.path, self._backend.place, deliver)
