"""The last values of metrics in lists of runs, the most informative metrics first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstore.reading.shown.facts import is_sample

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.reading.runs_table import LastValues

METRICS_AT_MOST = 4


def last_values_of(runs: Sequence[Run]) -> LastValues:
    """Return the last values of the metrics of runs, as far as they are from a store."""
    source: Any = next((run.source for run in runs if run.source is not None), None)
    return {} if source is None else source.last_values(runs)


def telling_metrics(rows: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the metrics that most rows have, those that differ first.

    Among equals, metrics whose name has a direction (`loss`, `acc`) come before others (`epoch`).
    """
    values: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        for key, value in row.items():
            if not is_sample(key):
                counts[key] += 1
                values.setdefault(key, set()).add(str(value))  # a NaN is not equal to itself
    has_many, is_cut = len(rows) > 1, len(values) > METRICS_AT_MOST

    def rank(key: str) -> tuple[bool, int, bool]:
        is_constant = has_many and counts[key] == len(rows) and len(values[key]) == 1
        return is_constant, -counts[key], is_cut and not _has_direction(key)

    return sorted(values, key=rank)


def _has_direction(key: str) -> bool:
    from runstore.model.metric_directions import direction_of

    return direction_of(key) is not None
