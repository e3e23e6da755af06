"""The cells of a pivot table: the mean of repeats by rows and columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from runstore.model.display.formatting import exact_if_alike, setting_text
from runstore.model.metric_directions import Direction
from runstore.repeats.grouping import LeftOut, Member
from runstore.repeats.samples import PAIR, Sample
from runstore.repeats.selection import best_of
from runstore.repeats.statistics import Mean, mean_of
from runstore.repeats.values import Metric, RankedGroup
from runstore.value_classes import dataclass, replace

Mark = Literal["best", "statistically tied", ""]
Several = Literal["best", "all"]
SEVERAL: tuple[Several, ...] = ("best", "all")
NONE = "(none)"


@dataclass(frozen=True, slots=True, eq=False)
class PivotKey:
    """The common values of a row or a column; true and 1 are different keys.

    Attributes:
        each: All values of each field; several if parameter sets differ in it.
        order: The sort key of each field, which is equal for equal values alone.
        labels: The values of each field as text; different ones have different texts.
    """

    each: tuple[tuple[Any, ...], ...]
    order: tuple[Any, ...]
    labels: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[Any, ...]:
        """One value for each field: a text if the runs have None or several, None without any."""
        return tuple(
            some[0] if len(some) == 1 and some[0] is not None else _label(some) if some else None
            for some in self.each
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PivotKey) and self.order == other.order

    def __hash__(self) -> int:
        return hash(self.order)


def key_of(fields: Iterable[Mapping[Any, Any]]) -> PivotKey:
    """Return the key of the values of some fields, each by its sort key, such as `order_of`."""
    each = [sorted(one.items(), key=_first) for one in fields]
    return PivotKey(
        tuple(tuple(value for _, value in some) for some in each),
        # Missing values are the last.
        tuple((not some, tuple(order for order, _ in some)) for some in each),
    )


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def order_of(value: Any) -> tuple[int, float, str, bool]:
    """Return the sort key of a value: numbers, then truth values, then texts and None."""
    if isinstance(value, bool):
        return 1, float(value), "", False
    if value is None or isinstance(value, str):
        return 2, 0.0, str(value), value is None
    if value != value:  # noqa: PLR0124 - NaN
        return 0, math.inf, "nan", False
    return 0, value, "", False


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return setting_text(value) if isinstance(value, float) else str(value)


def _exact_text(value: Any) -> str:
    is_fraction = isinstance(value, float) and not value.is_integer()
    return repr(value) if is_fraction or isinstance(value, str) else _text(value)


def _label(some: Sequence[Any], text: Callable[[Any], str] = _text) -> str:
    return ", ".join(map(text, some)) if some else NONE


def _labels(keys: Sequence[PivotKey], field: int) -> list[str]:
    """Return the values of a field as texts; exact texts for those that look alike."""
    different = {one.order[field]: one.each[field] for one in keys}
    exact = [_label(some, _exact_text) for some in different.values()]
    texts = exact_if_alike(list(map(_label, different.values())), exact)
    labels = dict(zip(different, texts, strict=True))
    return [labels[one.order[field]] for one in keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class PivotSetting:
    """Runs of one cell that differ in nothing but a seed.

    Attributes:
        label: Its differences from the other settings of the table.
        mean: The mean of its values.
        members: Its runs, or sets of runs, the oldest first.
        values: The value of each.
    """

    label: str
    mean: Mean
    members: tuple[Member, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PivotCell:
    """One cell.

    Attributes:
        row: Place of its row.
        column: Place of its column.
        mean: The mean shown: of its best setting, or of all its runs.
        settings: Its settings, the best mean first.
        mark: Whether it is the best cell of the table or statistically tied with it.
    """

    row: int
    column: int
    mean: Mean
    settings: tuple[PivotSetting, ...]
    mark: Mark = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PivotCells:
    """A table of means.

    Attributes:
        metric: The number shown.
        row_fields: Fields of the rows.
        column_fields: Fields of the columns; empty for a single column.
        rows: The rows, sorted.
        columns: The columns, sorted.
        cells: Those that have runs, row by row.
        several: Whether a cell of several settings shows the `best` of them or `all` its runs.
        direction: Whether small or large values are better; None if that is not known.
        level: Of the intervals.
        over: Keys in which repeats differ.
        left_out: Runs that do not count, with the reason.
    """

    metric: Metric
    row_fields: tuple[str, ...]
    column_fields: tuple[str, ...]
    rows: tuple[PivotKey, ...]
    columns: tuple[PivotKey, ...]
    cells: tuple[PivotCell, ...]
    several: Several
    direction: Direction | None
    level: float
    over: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    def grid(self) -> dict[tuple[int, int], PivotCell]:
        """Return the cells by row and column."""
        return {(one.row, one.column): one for one in self.cells}


KeyOf = Callable[[Member], PivotKey]


def pivot_of(
    groups: Sequence[RankedGroup],
    *,
    row_of: KeyOf,
    column_of: KeyOf,
    several: Several,
    direction: Direction | None,
    level: float,
) -> tuple[tuple[PivotKey, ...], tuple[PivotKey, ...], tuple[PivotCell, ...]]:
    """Return rows, columns and cells of groups of repeats.

    A group is divided if its runs belong to different cells, such as other seeds.

    Args:
        groups: Groups of repeats with their values.
        row_of: Returns the row of a run.
        column_of: Returns its column.
        several: Value of a cell with several settings: the best or all of them.
        direction: Whether small or large values are better; None if that is not known.
        level: Of the intervals.
    """
    found: dict[tuple[PivotKey, PivotKey], dict[int, list[tuple[Member, float]]]] = {}
    for place, group in enumerate(groups):
        for member, value in zip(group.group.members, group.sample.values, strict=True):
            key = row_of(member), column_of(member)
            found.setdefault(key, {}).setdefault(place, []).append((member, value))
    rows, columns = (_sorted(key[side] for key in found) for side in (0, 1))
    shown: list[PivotCell] = []
    samples: list[Sample] = []
    for row, row_key in enumerate(rows):
        for column, column_key in enumerate(columns):
            parts = found.get((row_key, column_key))
            if parts is not None:
                settings = _settings(groups, parts, direction, level)
                sample = _shown_sample(settings, several, direction)
                samples.append(sample)
                mean = mean_of(sample.values, level=level)
                shown.append(PivotCell(row=row, column=column, mean=mean, settings=settings))
    marks = _marks(samples, direction, level)
    cells = tuple(
        PivotCell(row=one.row, column=one.column, mean=one.mean, settings=one.settings, mark=mark)
        for one, mark in zip(shown, marks, strict=True)
    )
    return rows, columns, cells


def _sorted(keys: Iterable[PivotKey]) -> tuple[PivotKey, ...]:
    found = sorted(dict.fromkeys(keys), key=lambda one: one.order)
    fields = [_labels(found, field) for field in range(len(found[0].each))] if found else []
    labels = zip(*fields, strict=True) if fields else [()] * len(found)
    return tuple(replace(one, labels=own) for one, own in zip(found, labels, strict=True))


def _settings(
    groups: Sequence[RankedGroup],
    parts: Mapping[int, Sequence[tuple[Member, float]]],
    direction: Direction | None,
    level: float,
) -> tuple[PivotSetting, ...]:
    """Return the settings of a cell, those with an interval and a better mean first."""
    sign = 1 if direction == "min" else -1
    made = [
        PivotSetting(
            label=groups[place].group.label,
            mean=mean_of([value for _, value in members], level=level),
            members=tuple(member for member, _ in members),
            values=tuple(value for _, value in members),
        )
        for place, members in parts.items()
    ]

    def order(one: PivotSetting) -> tuple[bool, float]:
        return one.mean.n < PAIR, sign * one.mean.mean if one.mean.n else math.inf

    return tuple(sorted(made, key=order))


def _shown_sample(
    settings: Sequence[PivotSetting], several: Several, direction: Direction | None
) -> Sample:
    """Return the values that a cell shows."""
    if len(settings) == 1 or (several == "best" and direction is not None):
        first = settings[0]
        return Sample(first.label, first.values, tuple(one.repeat for one in first.members))
    # A seed that several settings share does not identify a run.
    return Sample("", tuple(value for one in settings for value in one.values))


def _marks(samples: Sequence[Sample], direction: Direction | None, level: float) -> Sequence[Mark]:
    marks: list[Mark] = [""] * len(samples)
    if direction is None or len(samples) < PAIR:
        return marks
    for one in best_of(samples, direction=direction, level=level).standings:
        if one.rank == 1:
            marks[one.place] = "best"
        elif one.verdict in {"statistically tied", "too few values"}:
            marks[one.place] = "statistically tied"
    return marks
