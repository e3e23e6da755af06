"""What the evidence says of runs that have no end: alive, or provably gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from runstore.model.status import Status
from runstore.storage.database import Database

if TYPE_CHECKING:
    from runstore.model.run import Run


class Evidence:
    """Settles the status of runs when they are read.

    Args:
        database: Where conclusions are written.
        listen: Takes in what runs said last, before their silence is judged.
    """

    def __init__(self, database: Database, listen: Callable[[], None]) -> None:
        self._database = database
        self._listen = listen

    def settled(self, runs: Sequence[Run]) -> tuple[Run, ...]:
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
            # What a run said last counts more than what its silence says.
            self._listen()
            if self._may_mark():
                self._database.mark_lost(gone.values())
        return tuple(self._as_lost(run) if run.uid in gone else run for run in runs)

    def settle_all(self) -> None:
        """Mark every run as lost whose process is provably gone, before a filter asks.

        Runs of other machines are not read: nothing can be proved of them here.
        """
        from runstore.capture.machine.process import marks_of_here
        from runstore.storage.query.finder import Finder

        marks = marks_of_here() if self._may_mark() else None
        if marks is not None:
            self.settled(Finder(self._database).unfinished(*marks))

    def _may_mark(self) -> bool:
        return self._database.is_writable and not self._database.driver.is_writing

    def _as_lost(self, seen: Run) -> Run:
        """Return the run as it is now; where the store could not be told, as it should be."""
        from dataclasses import replace

        run = self._database.run_by_uid(seen.uid) or seen
        if run.status.is_final or self._database.is_writable:
            return run
        return replace(run, status=Status.LOST, ended_at=run.last_seen_at or run.started_at)
