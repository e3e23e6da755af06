"""Experiments as a page shows them: counts by status, and the last run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from runstore.model.display.as_json import as_utc
from runstore.model.metric_directions import Direction, kept_for
from runstore.model.query.tree import Query
from runstore.reading.directions import Directions
from runstore.reading.find import settle
from runstore.reading.groups import field_of_text
from runstore.repeats.values import Metric, read_metric
from runstore.storage.metrics.bests import BestRun, best_runs, has_metric
from runstore.storage.query.changes import Changes
from runstore.storage.query.grouping import Grouping

if TYPE_CHECKING:
    from runstore.model.results.groups import RunGroup
    from runstore.storage.backend import Backend


@dataclass(frozen=True, slots=True)
class WantedBest:
    """What the best run of an experiment is the best by.

    Attributes:
        metric: The metric, and which of its numbers.
        direction: Whether small or large numbers are good; None if nobody knows.
        is_kept: Whether the store keeps the direction, so that it is not guessed by the name.
    """

    metric: Metric
    direction: Direction | None
    is_kept: bool


def wanted_best(backend: Backend, text: str, direction: Direction | None) -> WantedBest:
    """Return what a text such as `val/acc.max` means.

    Args:
        backend: The store.
        text: The key of a metric, with a number of it.
        direction: What is good; None for what the store keeps, or the name says.

    Raises:
        UsageError: It names no metric.
    """
    metric = read_metric(text, (text,) if has_metric(backend.database, text) else ())
    kept = kept_for(dict(Directions(backend)), metric.key)
    return WantedBest(metric, direction or kept or metric.known_direction, kept is not None)


def experiment_rows(backend: Backend, wanted: WantedBest | None = None) -> list[dict[str, Any]]:
    """Return all experiments that have runs, the most recently run first.

    Args:
        backend: The store.
        wanted: What the best complete run of each is the best by; None for no best ones.
    """
    settle(backend, (field_of_text("status"),))
    groups = backend.part(_GroupsOfExperiments).groups()
    last_numbers = backend.database.last_run_numbers()
    bests: dict[str, BestRun] = {}
    if wanted is not None and wanted.direction is not None:
        metric = wanted.metric
        bests = best_runs(backend.database, metric.key, metric.statistic, wanted.direction)
    return [
        {
            "name": str(one.value),
            "runs": one.runs,
            "last_run_number": last_numbers.get(str(one.value), 0),
            "last_started_at": as_utc(one.last_started_at),
            "by_status": dict(one.statuses),
            "best": best._asdict() if (best := bests.get(str(one.value))) else None,
        }
        for one in groups
    ]


class _CountedGroups(NamedTuple):
    changed: int
    groups: list[RunGroup]


class _GroupsOfExperiments:
    """The runs of a store by experiment; counted again once any of them changed.

    Args:
        backend: The store.
    """

    def __init__(self, backend: Backend) -> None:
        self._database = backend.database
        self._known: _CountedGroups | None = None

    def groups(self) -> list[RunGroup]:
        """Return the groups, the one with the latest start first."""
        changed, known = Changes(self._database).last(), self._known
        if known is None or known.changed != changed:
            field = field_of_text("experiment")
            groups = Grouping(self._database, field).groups(Query(), ())
            known = self._known = _CountedGroups(changed, groups)
        return known.groups
