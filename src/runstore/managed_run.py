"""Runs that managers of this process execute: what becomes of them when the process ends."""

from __future__ import annotations

import os
import time

from runstore import lifetime
from runstore.block_sync import BlockSync
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.model.values import clean_text
from runstore.storage.spool import Ending
from runstore.store import Store

_watched: dict[str, ManagedRun] = {}


class ManagedRun:
    """A run begun with `ManagerStore.add_run`, as `lifetime` sees it.

    Its manager reports the end. Where it cannot, because Ctrl-C or an error ends the process, the
    end is written at exit.

    Attributes:
        status: As last written by this process.
    """

    def __init__(self, store: Store, run: Run, sync: BlockSync) -> None:
        self.uid = run.uid
        self.reference = run.reference
        self.status = run.status
        self._store = store
        self._sync = sync
        self._pid = os.getpid()

    def beat(self) -> None:
        """Write a sign of life."""
        self._store.mark_seen([self.uid])

    def end(self, status: Status, error: BaseException | None) -> None:
        """Write the end, because the process ends."""
        forget(self)
        if self._pid != os.getpid():
            return
        text = None
        if status is Status.ERROR and error is not None:
            text = clean_text(f"{type(error).__name__} - {error}")
        ending = Ending(
            uid=self.uid, status=status.value, ended_at=time.time_ns() // 1000, error=text
        )
        self._store.write_ending(ending, self.reference)
        self._sync.write_or_warn()


def watch(run: ManagedRun) -> None:
    """Watch over a run that has begun."""
    _watched[run.uid] = run
    lifetime.begin(run)


def watched(uid: str) -> ManagedRun | None:
    """Return the run with this uid if this process watches over it."""
    return _watched.get(uid)


def forget(run: ManagedRun) -> None:
    """Stop watching over a run whose end was reported."""
    _watched.pop(run.uid, None)
    lifetime.end(run)
