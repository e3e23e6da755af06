"""The metrics and runs that a plot shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from runstore.errors import NotFoundError, UsageError, quoted
from runstore.model.display.suggestions import hint_of, listed, some_of
from runstore.model.metrics import MetricSummary
from runstore.model.run import Run

DEFAULT_PANELS = 6  # a run with more metrics needs --metric
_KEYS_LISTED = 40
_PANELS_AT_MOST = 24
_SYSTEM = "system/"

Known = Sequence[tuple[Run, Sequence[MetricSummary]]]
Chosen = Mapping[str, Sequence[tuple[Run, MetricSummary]]]


def summaries_of(runs: Sequence[Run]) -> Known:
    """Return the metrics of runs of one store."""
    source = runs[0].source
    if len(runs) == 1 or source is None:
        return [(run, list(run.metrics.values())) for run in runs]
    found = source.metrics_of_all(runs)
    return [(run, found.get(run.uid, ())) for run in runs]


def first_runs(
    runs: Sequence[Run], chosen: Chosen, most: int
) -> tuple[Sequence[Run], Chosen, list[str]]:
    """Return the first runs with one of the metrics, and remarks on the others."""
    having = {run.uid for found in chosen.values() for run, _ in found}
    able = [run for run in runs if run.uid in having]
    remarks = []
    if len(able) > most:
        left = len(able) - most
        count = "1 more run is" if left == 1 else f"{left:,} more runs are"
        remarks.append(f"{count} not drawn; -n {len(able)} draws all.")
    if without := len(runs) - len(able):
        count = "1 run has" if without == 1 else f"{without:,} runs have"
        which = f"no metric {next(iter(chosen))!r}" if len(chosen) == 1 else "none of the metrics"
        remarks.append(f"{count} {which}.")
    first = able[:most]
    kept = {run.uid for run in first}
    part = {key: [one for one in found if one[0].uid in kept] for key, found in chosen.items()}
    return first, part, remarks


def chosen_metrics(known: Known, keys: Sequence[str]) -> Chosen:
    """Return the metrics that match keys and patterns, with the runs that have them.

    Raises:
        NotFoundError: No run has a metric of a key.
        UsageError: There are too many.
    """
    wanted = _expanded(known, keys) if keys else _defaults(known)
    chosen = {}
    for key in wanted:
        found = [
            (run, one)
            for run, summaries in known
            for one in summaries
            if key in {one.key, full_key(one)}
        ]
        if not found:
            raise _no_such_metric(known, key)
        chosen[key] = found
    return chosen


def _expanded(known: Known, keys: Sequence[str]) -> list[str]:
    """Return the metrics that match keys and patterns, each once."""
    every = [one for _, summaries in known for one in summaries]
    plain = dict.fromkeys(one.key for one in every)
    full = dict.fromkeys(full_key(one) for one in every)
    wanted: dict[str, None] = {}
    for key in keys:
        found = [key]
        if key not in plain and key not in full and any(sign in key for sign in "*?["):
            found = _matching(plain, key) or _matching(full, key) or found
        if len(found) > _PANELS_AT_MOST:
            raise UsageError(
                f"{quoted(key)} matches {len(found)} metrics, but at most {_PANELS_AT_MOST} can be"
                " drawn.",
                hint=listed(found, who="They are", most=_KEYS_LISTED),
            )
        wanted.update(dict.fromkeys(found))
    return list(wanted)


def _matching(keys: Iterable[str], pattern: str) -> list[str]:
    return [key for key in keys if fnmatchcase(key, pattern)]


def full_key(one: MetricSummary) -> str:
    """Return the key of a series within its run."""
    return one.key if one.set_name is None else f"{one.set_name}/{one.key}"


def ordered_keys(summaries: Iterable[MetricSummary]) -> dict[str, bool]:
    """Return metrics, and whether one of their series has several points.

    Those that do come first, and samples of the machine last; otherwise the order is kept.
    """
    found: dict[str, bool] = {}
    for one in summaries:
        found[one.key] = found.get(one.key, False) or one.count > 1
    keys = sorted(found, key=lambda key: (key.startswith(_SYSTEM), not found[key]))
    return {key: found[key] for key in keys}


def _defaults(known: Known) -> list[str]:
    """Return all metrics if they are few, or else all with several points.

    Metrics of the machine are returned only if there are no others.
    """
    found = ordered_keys(one for _, summaries in known for one in summaries)
    keys = [key for key in found if not key.startswith(_SYSTEM)] or list(found)
    curves = [key for key in keys if found[key]]
    if curves and len(curves) <= DEFAULT_PANELS < len(keys):
        return curves
    if not keys:
        who = known[0][0].reference if len(known) == 1 else f"The {len(known)} runs"
        verb = "has" if len(known) == 1 else "have"
        raise NotFoundError(f"{who} {verb} no metrics.", hint="Log one with: run.log(loss=0.3)")
    if len(keys) > DEFAULT_PANELS:
        raise UsageError(
            f"There are {len(keys)} metrics, too many to show all.",
            hint=listed(keys, who="Choose with -m, such as -m 'val/*'", most=_KEYS_LISTED),
        )
    return keys


def _no_such_metric(known: Known, key: str) -> NotFoundError:
    found = list(dict.fromkeys(full_key(one) for _, summaries in known for one in summaries))
    who = known[0][0].reference if len(known) == 1 else f"None of the {len(known)} runs"
    return NotFoundError(
        f"{who} has {'no' if len(known) == 1 else 'a'} metric {quoted(key)}.",
        hint=hint_of(key, found, most=_KEYS_LISTED) if found else "",
    )


def single_points(known: Known, chosen: Chosen) -> list[str]:
    """Return a remark on metrics of one point that are not drawn by default."""
    found = ordered_keys(one for _, summaries in known for one in summaries)
    left = [
        key
        for key, is_curve in found.items()
        if key not in chosen and not is_curve and not key.startswith(_SYSTEM)
    ]
    if not left:
        return []
    is_one = len(left) == 1
    which = "1 metric with one point is" if is_one else f"{len(left):,} metrics with one point are"
    return [f"{which} not drawn: {some_of(left)}; draw {'it' if is_one else 'them'} with -m."]


def missing_metrics(runs: Sequence[Run], chosen: Chosen) -> list[str]:
    """Return a sentence for each run that has only some of the metrics."""
    return [
        f"{run.reference} has no metric {key!r}."
        for key, found in chosen.items()
        for run in runs
        if run.uid not in {one.uid for one, _ in found}
    ]
