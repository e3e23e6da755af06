"""Experiments for a page: counts by status, and the last run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runstore.model.display.as_json import optional_utc
from runstore.model.display.short_names import distinct_names
from runstore.model.metric_directions import Direction, kept_for
from runstore.model.query.tree import Query
from runstore.model.reference import parse_reference
from runstore.reading.directions import Directions
from runstore.reading.find import settle
from runstore.reading.groups import field_of_text
from runstore.repeats.values import Metric, read_metric
from runstore.storage.metrics.bests import BestRun, best_runs, has_metric
from runstore.storage.query.changes import Changes
from runstore.storage.query.grouping import Grouping
from runstore.value_classes import NamedTuple, dataclass

if TYPE_CHECKING:
    from runstore.model.results.groups import RunGroup
    from runstore.storage.backend import Backend


@dataclass(frozen=True, slots=True)
class WantedBest:
    """The criterion for the best run of an experiment.

    Attributes:
        metric: The metric and its value, such as `last`.
        direction: Whether lower or higher is better; None if unknown.
        is_kept: Whether the direction is saved in the store, and not derived from the name.
    """

    metric: Metric
    direction: Direction | None
    is_kept: bool


def wanted_best(backend: Backend, text: str, direction: Direction | None) -> WantedBest:
    """Return the criterion in a text such as `val/acc.max`.

    Without a direction, the direction of the store is used, or of the name.

    Raises:
        UsageError: The text is not a metric.
    """
    metric = read_metric(text, (text,) if has_metric(backend.database, text) else ())
    kept = kept_for(dict(Directions(backend)), metric.key)
    return WantedBest(metric, direction or kept or metric.known_direction, kept is not None)


def experiment_rows(backend: Backend, wanted: WantedBest | None = None) -> list[dict[str, Any]]:
    """Return all experiments with runs, the most recently run first."""
    settle(backend, (field_of_text("status"),))
    groups = backend.part(_GroupsOfExperiments).groups()
    bests: dict[str, BestRun] = {}
    if wanted is not None and wanted.direction is not None:
        metric = wanted.metric
        bests = best_runs(backend.database, metric.key, metric.statistic, wanted.direction)
    namesakes = backend.database.namesakes([one.uid for one in bests.values()])
    names = dict(zip(bests, distinct_names(list(bests.values()), namesakes), strict=True))
    return [
        {
            "name": name,
            "runs": one.runs,
            "last_run_number": _number_of(one.last_reference),
            "last_started_at": optional_utc(one.last_started_at),
            "by_status": dict(one.statuses),
            "best": {**bests[name]._asdict(), "name": names[name]} if name in bests else None,
        }
        for one in groups
        for name in [str(one.value)]
    ]


def _number_of(reference: str) -> int | None:
    parsed = parse_reference(reference)
    return None if parsed is None else parsed[1]


class _CountedGroups(NamedTuple):
    changed: int
    groups: list[RunGroup]


class _GroupsOfExperiments:
    """The runs of a store by experiment; counted again after any change."""

    def __init__(self, backend: Backend) -> None:
        self._database = backend.database
        self._known: _CountedGroups | None = None

    def groups(self) -> list[RunGroup]:
        """Return the groups, the one with the latest start first."""
        known, (changed, is_certain) = self._known, Changes(self._database).latest()
        if known is None or known.changed != changed or not is_certain:
            field = field_of_text("experiment")
            groups = Grouping(self._database, field).groups(Query(), ())
            known = _CountedGroups(changed, groups)
            self._known = known if is_certain else None
        return known.groups
