"""Status: what is known of a run's life, and the moves allowed between statuses."""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """Where a run is in its life.

    Only an explicit end is `COMPLETE`. `PRUNED` means: it was stopped early on purpose, because
    it was not promising. `LOST` means: it started, it never reported an end, and its process is
    provably gone.
    """

    QUEUED = "queued"
    RUNNING = "running"
    LIVE = "live"
    COMPLETE = "complete"
    PRUNED = "pruned"
    ERROR = "error"
    INTERRUPTED = "interrupted"
    LOST = "lost"

    def __str__(self) -> str:
        return self.value

    @property
    def is_final(self) -> bool:
        """Whether the run has ended, by its own report or by evidence."""
        return self in FINAL

    def may_become(self, other: Status) -> bool:
        """Tell whether a run of this status may take the other one.

        A final status is never left, with one exception: `LOST` is a conclusion from evidence,
        so a late report of the run itself replaces it. Resuming a run is not a move; it begins
        a new life of the run and leaves an event.
        """
        return other in MOVES[self]


REPORTED = frozenset({Status.COMPLETE, Status.PRUNED, Status.ERROR, Status.INTERRUPTED})
FINAL = REPORTED | {Status.LOST}

MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: FINAL | {Status.RUNNING, Status.LIVE},
    Status.RUNNING: FINAL,
    Status.LIVE: FINAL,
    Status.LOST: REPORTED,
    **dict.fromkeys(REPORTED, frozenset()),
}
