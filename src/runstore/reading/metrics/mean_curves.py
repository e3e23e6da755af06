"""Means of a metric over repeated runs, with their intervals, along steps or times."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runstore.errors import StoreCorruptError
from runstore.model.outline import STEP
from runstore.model.run import Run
from runstore.reading.metrics.outlines import Scope, files_by_run, outlines, values_at
from runstore.reading.metrics.summaries import OF_RUN
from runstore.repeats.grouping import Group, LeftOut, Member, group_repeats
from runstore.repeats.samples import PAIR, finite, moments_of
from runstore.repeats.student import t_quantile
from runstore.storage.metrics.point_records import KeyOf
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from runstore.model.outline import SeriesOutline
    from runstore.storage.backend import Backend

LEVEL = 0.95
_MICROS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanCurve:
    """The mean curve of a metric over the runs of a group.

    At each position, each run has its last value logged until then, from its first point to its
    last. So a curve only depends on the runs of its group.

    Attributes:
        key: The metric's key.
        set_name: The parameter set; None for the run itself.
        identity: The same for the same settings, independent of other groups.
        label: The values that distinguish the group from the others: `lr=0.1 layers=2`.
        runs: The uids of the runs that have the metric.
        x: Positions: steps or seconds.
        mean: Mean of the values, without NaN and infinite ones.
        low: Lower end of its interval (Student's); NaN if only one of several runs has a value.
        high: Upper end of its interval.
        n: Number of values of each mean.
    """

    key: str
    set_name: str | None
    identity: str
    label: str
    runs: tuple[str, ...]
    x: array[float]
    mean: array[float]
    low: array[float]
    high: array[float]
    n: array[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanCurves:
    """Means over groups of runs.

    Attributes:
        level: Confidence level of the intervals.
        curves: By group, the group with the oldest run first, then by key.
        left_out: Excluded runs, with the reasons.
    """

    level: float
    curves: tuple[MeanCurve, ...]
    left_out: tuple[LeftOut, ...]


def mean_curves(
    backend: Backend, runs: Iterable[Run], keys: Sequence[str], scope: Scope
) -> MeanCurves:
    """Return the means of metrics over runs that differ only in their seed.

    Args:
        backend: The store.
        runs: The runs, in any order; failed and active runs count as far as they went.
        keys: The metrics.
        scope: The scope of the curves.
    """
    repeats = group_repeats(runs, or_incomplete=True)
    files, damaged = files_by_run(backend), list[LeftOut]()
    curves = [
        _curve(backend, group, key, scope, files, damaged)
        for group in repeats.groups
        for key in keys
    ]
    return MeanCurves(
        level=LEVEL,
        curves=tuple(one for one in curves if one is not None),
        left_out=(*repeats.left_out, *damaged),
    )


def _curve(
    backend: Backend,
    group: Group,
    key: str,
    scope: Scope,
    files: Mapping[str, list[Path]],
    damaged: list[LeftOut],
) -> MeanCurve | None:
    found = []
    for one in group.members:
        try:
            read = _outline(backend, one, key, scope, files)
        except StoreCorruptError as error:
            damaged.append(LeftOut(one.name, f"cannot be read: {error.what}"))
        else:
            found += [(one, *read)] if read is not None else []
    if not found:
        return None
    xs = _places([outline for _, _, outline in found], scope)
    columns = [values_at(backend, one.run, series, scope.axis, xs) for one, series, _ in found]
    means = list(_means(columns))
    mean, low, high, n = zip(*means, strict=True) if means else ((), (), (), ())
    first = found[0]
    return MeanCurve(
        key=key,
        set_name=None if first[1].set_index == OF_RUN else first[0].set_name,
        identity=group.identity,
        label=group.label,
        runs=tuple(dict.fromkeys(one.run.uid for one, _, _ in found)),
        x=array("d", xs if scope.axis == STEP else [at / _MICROS for at in xs]),
        mean=array("d", mean),
        low=array("d", low),
        high=array("d", high),
        n=array("d", n),
    )


def _outline(
    backend: Backend, member: Member, key: str, scope: Scope, files: Mapping[str, list[Path]]
) -> tuple[KeyOf, SeriesOutline] | None:
    """Return the series of a member, that of its set if there are several, and its outline."""
    names = [one.name for one in member.run.parameter_sets]
    wanted = [] if len(names) > 1 else [KeyOf(OF_RUN, key)]
    if member.set_name is not None:
        index = names.index(member.set_name)
        wanted += [KeyOf(index, key), KeyOf(index, key.removeprefix(f"{member.set_name}/"))]
    found = outlines(backend, member.run, wanted, scope, files)
    both = zip(wanted, found, strict=True)
    return next(((one, outline) for one, outline in both if outline is not None), None)


def _places(found: Sequence[SeriesOutline], scope: Scope) -> list[int]:
    """Return the positions of means: all points if they are few, else evenly spaced."""
    scale = 1 if scope.axis == STEP else _MICROS
    if all(one.is_exact for one in found):
        xs = sorted({round(x * scale) for one in found for x in one.x})
        return xs[:: len(xs) // (2 * scope.stretches) + 1]
    known = [one for one in found if len(one)]
    low = round(min(one.x[0] for one in known) * scale)
    high = round(max(max(one.x_last) for one in known) * scale)
    count = scope.stretches
    return sorted({low + (high - low) * place // count for place in range(count + 1)})


def _means(columns: Sequence[Sequence[float | None]]) -> Iterator[tuple[float, ...]]:
    """Yield mean, low, high and number of the values at each position."""
    for values in zip(*columns, strict=True):
        moments = moments_of(finite([one for one in values if one is not None]))
        if moments.n >= PAIR:
            half = t_quantile(moments.n - 1, (1 + LEVEL) / 2) * moments.error
        else:
            half = 0.0 if len(columns) == 1 else math.nan
        yield moments.mean, moments.mean - half, moments.mean + half, moments.n
