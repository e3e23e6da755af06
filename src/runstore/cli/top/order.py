"""In which order runs are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from runstore.cli.top.reading import Row, Snapshot
from runstore.model.run import Run
from runstore.model.status import Status

STARTED, TOOK, STATUS = "started", "took", "status"
METRIC = "metric:"
_STATUSES = tuple(Status)


@dataclass(frozen=True, slots=True)
class TopOrder:
    """What runs are sorted by.

    Attributes:
        by: `started`, `took`, `status`, or `metric:<key>`.
        is_reversed: Whether the last ones come first.
    """

    by: str = STARTED
    is_reversed: bool = False

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.by.removeprefix(METRIC)

    def next(self, metric_keys: Sequence[str]) -> TopOrder:
        """Return the order that comes after this one."""
        known = (STARTED, TOOK, STATUS, *(f"{METRIC}{key}" for key in metric_keys))
        place = known.index(self.by) if self.by in known else -1
        return TopOrder(known[(place + 1) % len(known)])

    def reversed(self) -> TopOrder:
        """Return the same from its other end."""
        return replace(self, is_reversed=not self.is_reversed)


def ordered(snapshot: Snapshot, order: TopOrder) -> list[Row]:
    """Return the rows in an order: the newest, longest or largest first.

    What has no value comes last, from whichever end. By start, runs that go on stand on top.
    """
    # Sorting is stable, so what is equal stays newest first.
    newest = sorted(snapshot.rows, key=lambda row: row.run.started_at, reverse=True)
    known = [(row, _value(row, order, snapshot.at)) for row in newest]
    there = [(row, value) for row, value in known if not math.isnan(value)]
    there.sort(key=lambda pair: pair[1] if order.is_reversed else -pair[1])
    rows = [row for row, _ in there] + [row for row, value in known if math.isnan(value)]
    return sorted(rows, key=lambda row: row.run.status.is_final) if order.by == STARTED else rows


def _value(row: Row, order: TopOrder, now: datetime) -> float:
    run = row.run
    if order.by == STARTED:
        return run.started_at.timestamp()
    if order.by == TOOK:
        return took_s(run, now)
    if order.by == STATUS:
        return -_STATUSES.index(run.status)
    one = row.metrics.get(order.by.removeprefix(METRIC))
    return math.nan if one is None else one.last


def took_s(run: Run, now: datetime) -> float:
    """Return how long a run took, or takes by now, in seconds; NaN if its end is not known."""
    if run.status.is_final and run.ended_at is None:
        return math.nan
    return ((run.ended_at or now) - run.started_at).total_seconds()
