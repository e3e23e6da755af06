"""What other runs of an experiment show of a parameter: pairs that differ in no other one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING, Any

from runstore.comparing.describing import parameters
from runstore.model.differences import MISSING, Difference, identity
from runstore.model.explaining import Moves, is_seed
from runstore.model.status import Status

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.store import Store

RUNS_AT_MOST = 200
_KEYS_AT_MOST = 50
_PAIRS_AT_MOST = 5_000  # of one parameter, the newest runs first


@dataclass(frozen=True, slots=True)
class _Known:
    """One run as evidence: its parameters by key, each as (key, identity), and the result."""

    uid: str
    values: Mapping[str, Any]
    items: frozenset[tuple[str, str]]
    result: float

    def without(self, keys: Collection[str]) -> frozenset[tuple[str, str]]:
        return frozenset(item for item in self.items if item[0] not in keys)


@dataclass(frozen=True, slots=True)
class Precedents:
    """What other runs show.

    Attributes:
        runs: How many runs were looked at.
        moves: By key of the parameter; one for which there is no pair is left out.
        chance: How much runs of the same parameters differ, their seeds aside; None without any.
    """

    runs: int
    moves: Mapping[str, Moves]
    chance: Moves | None


def precedents(
    store: Store, a: Run, b: Run, params: Sequence[Difference], metric: str
) -> Precedents:
    """Return what the newest runs of the experiments of two runs show.

    Only runs that are complete and have the metric count. The pair itself is no evidence.

    Args:
        store: Where the runs are kept.
        a: The first run.
        b: The second run.
        params: Parameters in which the two differ.
        metric: Key of the metric.
    """
    has_labels = any(len(run.parameter_sets) > 1 for run in (a, b))
    known = list(_known(store, (a, b), metric, has_labels=has_labels))
    pair = frozenset({a.uid, b.uid})
    moves = {}
    for one in params[:_KEYS_AT_MOST]:
        pairs = _pairs(known, frozenset({one.key}), pair)
        found = _moves(one, [(x, y) for x, y in pairs if not _is_same(x, y, one.key)])
        if found is not None:
            moves[one.key] = found
    seeds = frozenset(key for run in known for key in run.values if is_seed(key))
    return Precedents(len(known), moves, _plain_moves(_pairs(known, seeds, pair)))


def _known(
    store: Store, runs: Sequence[Run], metric: str, *, has_labels: bool
) -> Iterator[_Known]:
    """Yield the runs that may be evidence, newest first."""
    names = dict.fromkeys(run.experiment_name for run in runs)
    newest = [
        run
        for name in names
        for run in store.list(name, limit=RUNS_AT_MOST // len(names))
        if run.status is Status.COMPLETE
    ]
    for run in newest:
        if len(run.parameter_sets) > 1 and not has_labels:
            continue
        if any(one.tree is None for one in run.parameter_sets):
            continue
        summary = run.metrics.get(metric)
        if summary is None or not math.isfinite(summary.last):
            continue
        values = parameters(run, has_labels=has_labels)
        items = frozenset((key, identity(value)) for key, value in values.items())
        yield _Known(run.uid, values, items, summary.last)


def _pairs(
    known: Sequence[_Known], keys: frozenset[str], excluded: frozenset[str]
) -> list[tuple[_Known, _Known]]:
    """Return pairs of runs that differ in these keys at most."""
    groups: dict[frozenset[tuple[str, str]], list[_Known]] = defaultdict(list)
    for run in known:
        groups[run.without(keys)].append(run)
    found: list[tuple[_Known, _Known]] = []
    for group in groups.values():
        for x, y in combinations(group, 2):
            if {x.uid, y.uid} == excluded:
                continue
            if len(found) >= _PAIRS_AT_MOST:
                return found
            found.append((x, y))
    return found


def _is_same(x: _Known, y: _Known, key: str) -> bool:
    return identity(x.values.get(key, MISSING)) == identity(y.values.get(key, MISSING))


def _plain_moves(pairs: Sequence[tuple[_Known, _Known]]) -> Moves | None:
    if not pairs:
        return None
    return Moves(pairs=len(pairs), typical=median(abs(y.result - x.result) for x, y in pairs))


def _moves(one: Difference, pairs: Sequence[tuple[_Known, _Known]]) -> Moves | None:
    """Return how much the metric moved; with its direction, where the values have one."""
    whole = _plain_moves(pairs)
    if whole is None:
        return None
    # Runs of the very same values tell more than any others.
    exact = [sign * (y.result - x.result) for x, y in pairs if (sign := _same_step(one, x, y))]
    if exact:
        typical = median(map(abs, exact))
        return Moves(pairs=len(exact), typical=typical, signed=median(exact))
    along = [sign * (y.result - x.result) for x, y in pairs if (sign := _same_way(one, x, y))]
    return Moves(pairs=whole.pairs, typical=whole.typical, signed=median(along) if along else None)


def _same_step(one: Difference, x: _Known, y: _Known) -> int:
    """Return 1 where a pair has the values of the two runs, -1 the other way round, 0 if not."""
    step = tuple(map(identity, one.values))
    theirs = tuple(identity(run.values.get(one.key, MISSING)) for run in (x, y))
    return 1 if theirs == step else -1 if theirs == step[::-1] else 0


def _same_way(one: Difference, x: _Known, y: _Known) -> int:
    """Return 1 where the number of a pair moves up or down as that of the two runs, else -1."""
    here, there = _step(one.values), _step([run.values.get(one.key) for run in (x, y)])
    return 0 if here is None or there is None else 1 if here * there > 0 else -1


def _step(values: Sequence[Any]) -> float | None:
    if not all(type(value) in {int, float} for value in values):
        return None
    # Whole numbers may be larger than any float.
    old, new = values
    return None if old == new or old != old or new != new else 1.0 if new > old else -1.0  # noqa: PLR0124 - NaN
