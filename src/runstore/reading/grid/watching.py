"""Watching a store for changed runs and new points."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from runstore.reading.liveness import settle_all
from runstore.reading.names import with_source
from runstore.storage.query.changes import Changes
from runstore.value_classes import dataclass, field

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

# More runs than this are not listed: listeners read them all again.
NAMED_AT_MOST = 1_000
# The number of newest active runs to check for new points.
_FOLLOWED_AT_MOST = 100
# The existence of processes is checked less often than their data.
_SETTLED_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class NewPoints:
    """A run with new points.

    Attributes:
        row_id: Its row.
        uid: Its uid.
        counts: Number of points of each metric with new ones, by name.
    """

    row_id: int
    uid: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """The changes found by one look.

    Attributes:
        changed: The change from which to go on.
        ids: Rows of runs that changed or were restored.
        gone: Rows of deleted runs.
        is_many: Whether there were too many to list.
        points: Runs with new points.
        early: Change numbers of the listed runs that the next look will list again.
    """

    changed: int
    ids: Sequence[int] = ()
    gone: Sequence[int] = ()
    is_many: bool = False
    points: Sequence[NewPoints] = field(default=())
    early: frozenset[tuple[int, int]] = frozenset()

    @property
    def has_changes(self) -> bool:
        """Whether any run changed."""
        return bool(self.ids or self.gone or self.is_many)


def changes_since(
    backend: Backend, change: int, early: frozenset[tuple[int, int]] = frozenset()
) -> Seen:
    """Return the runs that changed after a change.

    Args:
        backend: The store.
        change: The number of the change; a number that the store does not have yet belongs to
            another store, and all runs may have changed.
        early: `Seen.early` of the look before, which is not listed again.
    """
    changes = Changes(backend.database)
    latest = changes.latest()
    found = changes.since(change, NAMED_AT_MOST + 1)
    is_other = change > latest.change and latest.is_certain and not found
    if is_other or len(found) > NAMED_AT_MOST:
        return Seen(latest.change, is_many=True)
    new = [one for one in found if (one.row_id, one.change) not in early]
    return Seen(
        max([change, *(one.change for one in found if one.is_certain)]),
        [one.row_id for one in new if not one.is_deleted],
        [one.row_id for one in new if one.is_deleted],
        early=frozenset((one.row_id, one.change) for one in found if not one.is_certain),
    )


class Watcher:
    """Watches a store; for one thread at a time."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._change = Changes(backend.database).last()
        self._early: frozenset[tuple[int, int]] = frozenset()
        self._counts: dict[str, dict[str, int]] = {}
        self._settled_at = 0.0
        self._points()  # existing points are not new

    def look(self) -> Seen:
        """Return the changes since the previous look.

        Raises:
            StoreError: The store cannot be read.
        """
        now = time.monotonic()
        if now - self._settled_at > _SETTLED_EVERY_S:
            settle_all(self.backend)
            self._settled_at = now
        seen = changes_since(self.backend, self._change, self._early)
        self._change, self._early = seen.changed, seen.early
        points = self._points(seen.ids)
        return Seen(seen.changed, seen.ids, seen.gone, seen.is_many, points)

    def _points(self, changed: Collection[int] = ()) -> list[NewPoints]:
        """Return the new points since the previous look, and once more when a run has ended."""
        going_on = Changes(self.backend.database).going_on(_FOLLOWED_AT_MOST)
        rows = dict.fromkeys([*going_on, *changed])
        runs = self.backend.database.runs_by_id(list(rows))
        before, self._counts = self._counts, {}
        found = []
        for row_id, run in zip(runs, with_source(self.backend, runs.values()), strict=True):
            if run.status.is_final and run.uid not in before:
                continue
            counts = {name: one.count for name, one in run.metrics.items()}
            known = before.get(run.uid, {})
            new = {key: count for key, count in counts.items() if count != known.get(key)}
            if new:
                found.append(NewPoints(row_id, run.uid, new))
            if not run.status.is_final:
                self._counts[run.uid] = counts
        return found
