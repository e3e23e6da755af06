"""Metrics and parameters that deserve a column: common and changing ones, differing ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from runstore.model.metrics import MetricSummary

METRICS_SHOWN = 4
_SYSTEM = "system/"


def interesting_metrics(runs: Iterable[Mapping[str, MetricSummary]]) -> tuple[str, ...]:
    """Return the keys of the automatic columns, the most useful first."""
    found: dict[str, list[MetricSummary]] = defaultdict(list)
    for metrics in runs:
        for key, one in metrics.items():
            found[key].append(one)

    def rank(key: str) -> tuple[bool, int, str]:
        return not _changes(found[key]), -len(found[key]), key

    # Samples of the machine are shown if there are no other metrics.
    keys = [key for key in found if not is_of_machine(key)] or list(found)
    return tuple(sorted(keys, key=rank)[:METRICS_SHOWN])


def is_of_machine(key: str) -> bool:
    """Return whether a metric is a sample of the machine, not of the experiment."""
    return key.startswith(_SYSTEM)


def _changes(series: Sequence[MetricSummary]) -> bool:
    # As text: NaN is not equal to itself, and yet no change.
    is_moving = any(one.count > 1 and str(one.min) != str(one.max) for one in series)
    return is_moving or len({str(one.last) for one in series}) > 1


def differing_keys(runs: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the keys whose text differs between runs, in their order."""
    keys = dict.fromkeys(key for run in runs for key in run)
    return tuple(key for key in keys if len({run.get(key) for run in runs}) > 1)


def telling_parameters(
    runs: Sequence[tuple[str, Mapping[str, str]]],
) -> dict[str, tuple[str, ...]]:
    """Return the differing parameters of each experiment; all of them if it has a single run."""
    by_experiment: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for name, parameters in runs:
        by_experiment[name].append(parameters)
    return {
        name: differing_keys(found) if len(found) > 1 else tuple(found[0])
        for name, found in by_experiment.items()
    }
