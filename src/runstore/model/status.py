"""Status of runs, and the allowed transitions."""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """The state of a run.

    Only an explicit end is `COMPLETE`. `PRUNED` means that it was stopped early on purpose because
    it was not promising. `LOST` means that it started, never reported an end, and its process has
    provably ended.
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
        """Check whether a run with this status may change to another one.

        Final statuses are permanent, with one exception: `LOST` is concluded from evidence, so
        that a late report by the run itself replaces it. Resuming a run is not a transition; it
        begins a new life of the run and is recorded as an event.
        """
        return other in MOVES[self]


# Words of other trackers and of everyday speech.
STATUS_WORDS = {
    "failed": Status.ERROR,
    "failure": Status.ERROR,
    "failures": Status.ERROR,
    "errors": Status.ERROR,
    "crashed": Status.ERROR,
    "completed": Status.COMPLETE,
    "finished": Status.COMPLETE,
    "done": Status.COMPLETE,
    "succeeded": Status.COMPLETE,
    "success": Status.COMPLETE,
    "active": Status.RUNNING,
    "killed": Status.INTERRUPTED,
    "cancelled": Status.INTERRUPTED,
    "canceled": Status.INTERRUPTED,
    "stopped": Status.INTERRUPTED,
}

REPORTED = frozenset({Status.COMPLETE, Status.PRUNED, Status.ERROR, Status.INTERRUPTED})
FINAL = REPORTED | {Status.LOST}

MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: FINAL | {Status.RUNNING, Status.LIVE},
    Status.RUNNING: FINAL,
    Status.LIVE: FINAL,
    Status.LOST: REPORTED,
    **dict.fromkeys(REPORTED, frozenset()),
}
