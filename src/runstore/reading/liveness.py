"""Whether runs without an end are alive or provably gone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from runstore.errors import StoreLockedError
from runstore.model.status import Status
from runstore.storage.backend import Backend

if TYPE_CHECKING:
    from runstore.model.run import Run


def settled(backend: Backend, runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs; one whose process is provably gone is lost from now on."""
    if all(run.status.is_final for run in runs):
        return tuple(runs)
    from runstore.capture.machine.process import is_gone

    now, gone = datetime.now(timezone.utc), {}
    for run in runs:
        silence = run.silent_for(now)
        if silence is None or run.process is None:
            continue
        if is_gone(run.process, silent_s=silence.total_seconds()):
            gone[run.uid] = run
    if gone:
        from runstore.inflight import take_in

        # What a run said last counts more than what its silence says.
        take_in(backend)
        if _may_mark(backend):
            # What others hold now is told the next time.
            with suppress(StoreLockedError):
                backend.database.mark_lost(gone.values())
    return tuple(_as_lost(backend, run) if run.uid in gone else run for run in runs)


def settle_all(backend: Backend) -> bool:
    """Mark every run as lost whose process is provably gone, before a filter asks.

    Runs of other machines are not read: nothing can be proved of them here.

    Returns:
        Whether that was possible.
    """
    from runstore.capture.machine.process import marks_of_here
    from runstore.storage.query.finder import Finder

    marks = marks_of_here() if _may_mark(backend) else None
    if marks is None:
        return False
    settled(backend, Finder(backend.database).unfinished(*marks))
    return True


def _may_mark(backend: Backend) -> bool:
    return backend.database.is_writable and not backend.database.driver.is_writing


def _as_lost(backend: Backend, seen: Run) -> Run:
    """Return the run as it is now; if the store could not be told, as it should be."""
    from dataclasses import replace

    run = backend.database.run_by_uid(seen.uid) or seen
    if run.status.is_final or run.process != seen.process:  # another process resumed it
        return run
    return replace(run, status=Status.LOST, ended_at=run.last_seen_at or run.started_at)
