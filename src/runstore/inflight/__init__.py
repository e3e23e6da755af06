"""What the database did not take yet: kept aside in the spool, and taken in later."""

from __future__ import annotations

from runstore.storage.backend import Backend


def take_in(backend: Backend) -> None:
    """Take in what was kept aside while the database could not be written."""
    if backend.database.is_writable and backend.spool.has_anything(backend.database.knows_any):
        from runstore.inflight.deferred import Deferred

        with backend.database.driver.as_one():
            backend.part(Deferred).take_in()
