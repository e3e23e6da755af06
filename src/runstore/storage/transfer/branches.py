"""The point at which two copies of a run parted, and the removals that only one of them knows.

A copy of a run that is resumed goes its own way. Its events show that: events that only one copy
has were made after both were equal. No clock of one machine is compared with that of another one,
except to find the points that a copy had before it parted.
"""

from __future__ import annotations

import re

from runstore.storage.metrics.rewinding import FIELD as METRICS
from runstore.storage.metrics.rewinding import REMOVED
from runstore.storage.transfer.records import Edited, RunRecord
from runstore.value_classes import NamedTuple

STATUS = "status"
_FROM_STEP = re.compile(r"from step (-?\d{1,19}) on$")
_NEVER = 2**63


class Removal(NamedTuple):
    """Points of the past that another copy has removed: those from a step on, up to a time."""

    step: int
    until: int

    def covers(self, step: int, time: int) -> bool:
        """Check whether a point was removed."""
        return step >= self.step and time <= self.until


class Branch(NamedTuple):
    """A copy of a run, compared with another one.

    Attributes:
        record: The copy.
        own: Events that the other copy does not have.
        parted_at: Time from which on its data is its own; in the far future if it has none.
        removals: Removals that only the other copy knows.
    """

    record: RunRecord
    own: frozenset[Edited]
    parted_at: int
    removals: tuple[Removal, ...]

    @property
    def was_continued(self) -> bool:
        """Whether its program wrote to it after the copies parted."""
        last = max(self.record.row.ended_at or 0, self.record.row.last_seen_at or 0)
        return any(one.field == STATUS for one in self.own) or last >= self.parted_at

    def saved(self, path: str, saved_at: int) -> bool:
        """Check whether an artifact was saved after the copies parted."""
        return saved_at >= self.parted_at or any(
            one.field == "artifacts" and path in (one.new or "") for one in self.own
        )


def branches(mine: RunRecord, theirs: RunRecord) -> tuple[Branch, Branch]:
    """Return both copies of a run, compared."""
    # Not by all that an event has: a secret in it may be masked in one store.
    known = [{identity(one) for one in record.events} for record in (mine, theirs)]
    own = [
        frozenset(one for one in record.events if identity(one) not in others)
        for record, others in zip((mine, theirs), reversed(known), strict=True)
    ]
    resumed = [
        min((one.at for one in events if one.field == STATUS), default=None) for events in own
    ]
    made = []
    for side, record in enumerate((mine, theirs)):
        parted = [one for one in (resumed[side], resumed[1 - side]) if one is not None]
        parted_at = parted[0] if parted else _NEVER
        made.append(Branch(record, own[side], parted_at, _removals(own[1 - side], parted_at)))
    return made[0], made[1]


def were_both_continued(mine: RunRecord, theirs: RunRecord) -> bool:
    """Check whether a run was continued in both stores, so that neither copy is complete."""
    return all(one.was_continued for one in branches(mine, theirs))


def identity(event: Edited) -> tuple[int, str, str | None, str | None]:
    """Return what stays the same of an event if a secret in its texts is masked."""
    return event.at, event.field, event.operation, event.undoes


def _removals(events: frozenset[Edited], parted_at: int) -> tuple[Removal, ...]:
    found = []
    for one in sorted(events):
        match = _FROM_STEP.search(one.old or "")
        if (one.field, one.new) == (METRICS, REMOVED) and match is not None:
            found.append(Removal(int(match[1]), min(one.at, parted_at - 1)))
    return tuple(found)
