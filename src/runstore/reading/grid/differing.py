"""Which parameters, metrics and tags tell the runs of a grid apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runstore.model.query.tree import Namespace
from runstore.storage.grid.values import KeyValues

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

# Of more runs, so many are looked at: the first ones, and others from all over the list.
_SAMPLE = 600
_FIRST = 200
_VALUES_AT_MOST = 200_000
_SHOWN = 12
_METRICS_AT_LEAST = 4
_RARE = 20  # a key that less than one run in so many has
_OF_MACHINE = "system/"


def ranked(backend: Backend, ids: Sequence[int]) -> list[tuple[Namespace, str]]:
    """Return what tells runs apart, the most telling ones first.

    Parameters whose values several runs share come before those of which each run has its own,
    and before those that few runs have; metrics follow the first parameters; samples of the
    machine come last.

    Args:
        backend: The store.
        ids: The rows of the runs.
    """
    sample = _sample(ids)
    values = KeyValues(backend.database)
    params = _differing(values, Namespace.PARAM, sample)
    tags = _differing(values, Namespace.TAG, sample)
    metrics = _differing(values, Namespace.METRIC, sample)
    usual = [key for key in metrics if not key.startswith(_OF_MACHINE)]
    of_machine = [key for key in metrics if key.startswith(_OF_MACHINE)]
    first, more = usual[:_METRICS_AT_LEAST], usual[_METRICS_AT_LEAST:]
    labels = [*((Namespace.PARAM, key) for key in params), *((Namespace.TAG, key) for key in tags)]
    numbers = [(Namespace.METRIC, key) for key in first]
    before = _SHOWN - len(numbers)
    return [
        *labels[:before],
        *numbers,
        *labels[before:],
        *((Namespace.METRIC, key) for key in (*more, *of_machine)),
    ]


def _sample(ids: Sequence[int]) -> Sequence[int]:
    if len(ids) <= _SAMPLE:
        return ids
    rest = len(ids) - _FIRST
    stride = rest / (_SAMPLE - _FIRST)
    return [*ids[:_FIRST], *(ids[_FIRST + int(n * stride)] for n in range(_SAMPLE - _FIRST))]


def _differing(values: KeyValues, namespace: Namespace, ids: Sequence[int]) -> list[str]:
    is_metric = namespace is Namespace.METRIC
    found = (
        (row_id, key, value[0] if is_metric else tuple(value))
        for row_id, key, *value in values.of_runs(namespace, ids, _VALUES_AT_MOST)
    )
    return differing_keys(found, len(ids), is_any_shared=is_metric)


def differing_keys(
    values: Iterable[tuple[int, str, object]], count: int, *, is_any_shared: bool = False
) -> list[str]:
    """Return the keys that not all runs have with the same value, the most telling first.

    Args:
        values: Run, key and value.
        count: Runs.
        is_any_shared: Whether keys of which each run has a value of its own come before others
            as well.
    """
    found: dict[str, dict[int, set[object]]] = {}
    for row_id, key, value in values:
        found.setdefault(key, {}).setdefault(row_id, set()).add(value)

    def different(key: str) -> int:
        return len({frozenset(one) for one in found[key].values()})

    def rank(key: str) -> tuple[bool, bool, bool, int, str]:
        # Those of a few odd runs say nothing about the others.
        is_rare = len(found[key]) * _RARE < count
        is_shared = is_any_shared or different(key) <= max(2, len(found[key]) // 2)
        is_constant = different(key) == 1  # some runs lack it, and the others agree
        return is_rare, is_constant, not is_shared, -len(found[key]), key

    differing = [key for key in found if len(found[key]) < count or different(key) > 1]
    return sorted(differing, key=rank)
