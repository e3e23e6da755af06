"""The parameters, metrics and tags in which the runs of a grid differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from runstore.model.query.tree import Namespace
from runstore.storage.grid.values import KeyValues

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

# Of more runs, a sample of this size is read: the first ones, and others across the list.
_SAMPLE = 600
_FIRST = 200
_VALUES_AT_MOST = 200_000
_SHOWN = 12
_METRICS_AT_LEAST = 4
_RARE = 20  # a key of fewer than one in this many runs
_OF_MACHINE = "system/"


def ranked(backend: Backend, ids: Sequence[int]) -> list[tuple[Namespace, str]]:
    """Return the keys in which runs differ, the most informative first.

    Parameters with values shared by several runs come before those with a different value in each
    run, and before those of few runs; metrics follow the first parameters; system metrics come
    last.
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
    """Return the keys whose values differ or are missing in some runs, best first.

    Args:
        values: Run, key and value.
        count: Number of runs.
        is_any_shared: Whether keys with a different value in each run come before others as
            well.
    """
    found: dict[str, dict[int, set[object]]] = {}
    for row_id, key, value in values:
        found.setdefault(key, {}).setdefault(row_id, set()).add(value)

    def different(key: str) -> int:
        return len({frozenset(one) for one in found[key].values()})

    def rank(key: str) -> tuple[bool, bool, bool, int, str]:
        # Keys of a few unusual runs say nothing about the others.
        is_rare = len(found[key]) * _RARE < count
        is_shared = is_any_shared or different(key) <= max(2, len(found[key]) // 2)
        is_constant = different(key) == 1  # some runs lack it, and the others agree
        return is_rare, is_constant, not is_shared, -len(found[key]), key

    differing = [key for key in found if len(found[key]) < count or different(key) > 1]
    return sorted(differing, key=rank)
