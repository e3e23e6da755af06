"""The parameters and tags in which the runs of a grid differ, and their metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from runstore.model.query.tree import Namespace
from runstore.reading.names import source_of
from runstore.storage.files.spool import uid_of
from runstore.storage.grid.cells import Cells
from runstore.storage.grid.values import KeyValues

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

# Of more runs, a sample of this size is read: the first ones, and others across the list.
_SAMPLE = 600
_FIRST = 200
_VALUES_AT_MOST = 200_000
_IN_FLIGHT = 20  # the number of active runs whose newest metrics are read
_SHOWN = 12
_METRICS_AT_LEAST = 4
_RARE = 20  # a key of fewer than one in this many runs
_DEVIATING = 10  # a value of all runs but one in this many
_OF_MACHINE = "system/"


def ranked(backend: Backend, ids: Sequence[int]) -> list[tuple[Namespace, str]]:
    """Return the metrics of runs and the other keys in which they differ, most informative first.

    Parameters with values shared by several runs come before those with a different value in each
    run, those in which nine of ten runs agree, those of few runs, and seeds; metrics follow the
    first parameters; system metrics come last.
    """
    sample = _sample(ids)
    values = KeyValues(backend.database)
    params = sorted(_differing(values, Namespace.PARAM, sample), key=is_seed)
    tags = _differing(values, Namespace.TAG, sample)
    stored = values.of_runs(Namespace.METRIC, sample, _VALUES_AT_MOST)
    lasts = ((row_id, key, last) for row_id, key, last, _ in stored)
    metrics = differing_keys(
        chain(lasts, _in_flight(backend, sample)), len(sample), is_metric=True
    )
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
    found = (
        (row_id, key, tuple(value))
        for row_id, key, *value in values.of_runs(namespace, ids, _VALUES_AT_MOST)
    )
    return differing_keys(found, len(ids))


def _in_flight(backend: Backend, ids: Sequence[int]) -> Iterator[tuple[int, str, object]]:
    """Yield the metrics of the first active runs; the database may not have their points yet."""
    waiting = {uid_of(path) for path in backend.spool.point_files()}
    rows = set(Cells(backend.database).ids_of(waiting).values()) if waiting else set()
    first = [row_id for row_id in ids if row_id in rows][:_IN_FLIGHT]
    runs = backend.database.runs_by_id(first) if first else {}
    found = source_of(backend).metrics_of_all(list(runs.values()))
    for row_id, run in runs.items():
        yield from ((row_id, one.key, one.last) for one in found.get(run.uid, ()))


def is_seed(key: str) -> bool:
    """Check whether a parameter is a seed: repeats differ in it, which is not informative."""
    name = key.rpartition(".")[2].lower()
    return "seed" in name or name in {"rng", "random_state"}


def differing_keys(
    values: Iterable[tuple[int, str, object]], count: int, *, is_metric: bool = False
) -> list[str]:
    """Return the keys whose values differ or are missing in some runs, best first.

    All keys of a single run are returned.

    Args:
        values: Run, key and value.
        count: Number of runs.
        is_metric: Whether the values are results: equal ones are returned as well, and those with
            a different value in each run come before others.
    """
    found: dict[str, dict[int, set[object]]] = {}
    for row_id, key, value in values:
        found.setdefault(key, {}).setdefault(row_id, set()).add(value)

    times = {key: Counter(map(frozenset, values.values())) for key, values in found.items()}

    def rank(key: str) -> tuple[bool, bool, bool, bool, int, str]:
        # Keys of a few unusual runs say nothing about the others.
        is_rare = len(found[key]) * _RARE < count
        is_shared = is_metric or len(times[key]) <= max(2, len(found[key]) // 2)
        is_constant = len(times[key]) == 1  # some runs lack it, and the others agree
        deviating = len(found[key]) - max(times[key].values())
        agree = not is_metric and deviating * _DEVIATING <= len(found[key])
        return is_rare, is_constant, agree, not is_shared, -len(found[key]), key

    is_each = is_metric or count == 1
    differing = (key for key in found if is_each or len(found[key]) < count or len(times[key]) > 1)
    return sorted(differing, key=rank)
