"""Data that could not be written to the database yet: kept in the spool, and imported later."""

from __future__ import annotations

from runstore.storage.backend import Backend


def take_in(backend: Backend) -> None:
    """Import data that was kept in the spool while the database could not be written."""
    if backend.database.is_writable and backend.spool.has_anything():
        from runstore.inflight.deferred import Deferred

        with backend.database.driver.as_one():
            backend.part(Deferred).take_in()
