"""What other runs show of a parameter: pairs that differ in no other one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from statistics import median
from typing import TYPE_CHECKING, Any

from runstore.comparing.describing import parameters
from runstore.model.causes import Moves
from runstore.model.differences import MISSING, Difference, identity
from runstore.model.known_names import is_seed
from runstore.model.status import Status
from runstore.storage.documents import document_hashes

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.store import Store

RUNS_AT_MOST = 200
_KEYS_AT_MOST = 50
_PAIRS_AT_MOST = 5_000  # of one parameter, the newest runs first
_CODE_TEXTS = ("patch", "untracked")
_NOTHING = identity(MISSING)


@dataclass(frozen=True, slots=True)
class _Known:
    """One run as evidence.

    Attributes:
        uid: The run.
        code: Its commit, and the hashes of its uncommitted changes and of its new files.
        values: Its parameters by key.
        identities: What equal values share, by key.
        whole: A number that runs share if all their parameters are the same.
        result: The value of the metric.
    """

    uid: str
    code: tuple[str | None, ...]
    values: Mapping[str, Any]
    identities: Mapping[str, str]
    whole: int
    result: float

    def of(self, key: str) -> str:
        """Return the identity of a parameter."""
        return self.identities.get(key, _NOTHING)

    def without(self, keys: Collection[str]) -> int:
        """Return a number that runs share if all parameters but these are the same."""
        rest = self.whole
        for key in keys:
            if key in self.identities:
                rest ^= hash((key, self.identities[key]))
        return rest


Pair = tuple[_Known, _Known]


@dataclass(frozen=True, slots=True)
class Precedents:
    """What other runs show.

    Attributes:
        runs: How many runs were looked at.
        moves: By key of the parameter; one for which there is no pair is left out.
        chance: How much runs of the same parameters and code differ, their seeds aside; None
            without any.
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
    here = frozenset({a.uid, b.uid})
    moves = {}
    for one in params[:_KEYS_AT_MOST]:
        found = _moves(one, known, here)
        if found is not None:
            moves[one.key] = found
    return Precedents(len(known), moves, _chance(known, here))


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
    documents = document_hashes(store.database, [run.uid for run in newest])
    for run in newest:
        if len(run.parameter_sets) > 1 and not has_labels:
            continue
        if any(one.tree is None for one in run.parameter_sets):
            continue
        summary = run.metrics.get(metric)
        if summary is None or not math.isfinite(summary.last):
            continue
        values = parameters(run, has_labels=has_labels)
        identities = {key: identity(value) for key, value in values.items()}
        whole = 0
        for item in identities.items():
            whole ^= hash(item)
        texts = documents.get(run.uid, {})
        code = (run.commit, *(texts.get(name) for name in _CODE_TEXTS))
        yield _Known(run.uid, code, values, identities, whole, summary.last)


def _pairs(known: Sequence[_Known], keys: Collection[str], but: frozenset[str]) -> Iterator[Pair]:
    """Yield pairs of runs that differ in these keys at most."""
    groups: dict[int, list[_Known]] = defaultdict(list)
    for run in known:
        groups[run.without(keys)].append(run)
    for group in groups.values():
        yield from (pair for pair in combinations(group, 2) if {one.uid for one in pair} != but)


def _chance(known: Sequence[_Known], here: frozenset[str]) -> Moves | None:
    seeds = {key for run in known for key in run.values if is_seed(key)}
    pairs = (pair for pair in _pairs(known, seeds, here) if _is_same_code(pair))
    return _typical(list(islice(pairs, _PAIRS_AT_MOST)))


def _is_same_code(pair: Pair) -> bool:
    return pair[0].code == pair[1].code


def _moves(one: Difference, known: Sequence[_Known], here: frozenset[str]) -> Moves | None:
    """Return how much the metric moved; with its direction, where the values have one."""
    pairs = [
        pair
        for pair in _pairs(known, (one.key,), here)
        if pair[0].of(one.key) != pair[1].of(one.key)
    ]
    # Where parameters stand in the code, each of their values is other code.
    same_code = list(islice(filter(_is_same_code, pairs), _PAIRS_AT_MOST))
    return _moves_of(one, same_code or pairs[:_PAIRS_AT_MOST], is_same_code=bool(same_code))


def _moves_of(one: Difference, pairs: Sequence[Pair], *, is_same_code: bool) -> Moves | None:
    # Runs of the very same values tell more than any others.
    exact = [(sign, pair) for pair in pairs if (sign := _same_step(one, pair))]
    if exact:
        signed = median(sign * _moved(pair) for sign, pair in exact)
        return _typical([pair for _, pair in exact], signed, is_same_code=is_same_code)
    along = [sign * _moved(pair) for pair in pairs if (sign := _same_way(one, pair))]
    return _typical(pairs, median(along) if along else None, is_same_code=is_same_code)


def _typical(
    pairs: Sequence[Pair], signed: float | None = None, *, is_same_code: bool = True
) -> Moves | None:
    if not pairs:
        return None
    typical = median(abs(_moved(pair)) for pair in pairs)
    return Moves(pairs=len(pairs), typical=typical, signed=signed, is_same_code=is_same_code)


def _moved(pair: Pair) -> float:
    return pair[1].result - pair[0].result


def _same_step(one: Difference, pair: Pair) -> int:
    """Return 1 where a pair has the values of the two runs, -1 the other way round, 0 if not."""
    step = tuple(map(identity, one.values))
    theirs = tuple(run.of(one.key) for run in pair)
    return 1 if theirs == step else -1 if theirs == step[::-1] else 0


def _same_way(one: Difference, pair: Pair) -> int:
    """Return 1 where the number of a pair moves up or down as that of the two runs, else -1.

    Of what has no direction it is 0.
    """
    here = _direction(one.values)
    return here * _direction([run.values.get(one.key) for run in pair])


def _direction(values: Sequence[Any]) -> int:
    """Return 1 where a number grows, -1 where it falls, else 0; NaN does neither."""
    if not all(type(value) in {int, float} for value in values):
        return 0
    old, new = values
    return int(new > old) - int(new < old)
