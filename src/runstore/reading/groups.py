"""Groups of runs, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

from runstore.errors import FilterError, UsageError, quoted
from runstore.model import arguments
from runstore.model.display.formatting import (
    TAGGED,
    counted,
    exact_if_alike,
    local_time,
    number_text,
)
from runstore.model.query.evaluate import tag_number, value_text
from runstore.model.query.tree import Field, Kind, Namespace, Query
from runstore.model.results.groups import RunGroup
from runstore.model.status import Status
from runstore.reading.filters.unknown_names import with_suggestions
from runstore.reading.find import found_runs, query_of, settle
from runstore.reading.runs_table import Table
from runstore.reading.tables.columns import Column, Type, number_column
from runstore.storage.query.grouping import Grouping

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

_SPREAD = ("min", "mean", "max")


def group_runs(
    backend: Backend, by: str, where: str | Query, experiment: str | None, metrics: Sequence[str]
) -> tuple[RunGroup, ...]:
    """Return groups of runs; see `Store.group`."""
    by = arguments.text(by, "by", "params.lr")
    try:
        with with_suggestions(backend, f"order by {by}"):
            field = field_of_text(by)
    except FilterError as error:
        # Its lines and position refer to the query, which the user did not write.
        error.what, error.position, error.end = error.what.partition("\n")[0], None, None
        raise
    metrics = arguments.texts(metrics, "metrics", "val/loss")
    query = query_of(backend, where, experiment)
    settle(
        backend,
        (*query.fields(), field, *(Field(Namespace.METRIC, one, Kind.NUMBER) for one in metrics)),
    )
    if any(one.namespace is Namespace.OUTPUT for one in query.fields()):
        ids = [one.row_id for one in found_runs(backend, query, None, None).runs]
        found = Grouping(backend.database, field).groups(query, metrics, among=ids)
    else:
        found = Grouping(backend.database, field).groups(query, metrics)
    return Groups(found, by, metrics)


class Groups(tuple[RunGroup, ...]):  # noqa: SLOT001 - it has attributes
    """Groups of runs, shown as a table.

    Attributes:
        by: The field that the runs are grouped by.
        metrics: Keys of the summarized metrics.
    """

    by: str
    metrics: tuple[str, ...]

    def __new__(cls, groups: Iterable[RunGroup], by: str, metrics: Iterable[str] = ()) -> Groups:
        """Return groups with the field that they are grouped by."""
        made = super().__new__(cls, groups)
        made.by, made.metrics = by, tuple(metrics)
        return made

    def __reduce__(self) -> tuple[type[Groups], tuple[tuple[RunGroup, ...], str, tuple[str, ...]]]:
        return type(self), (tuple(self), self.by, self.metrics)

    @overload  # type: ignore[override]
    def __getitem__(self, index: int) -> RunGroup: ...
    @overload
    def __getitem__(self, index: slice) -> Groups: ...
    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Groups(found, self.by, self.metrics) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        from runstore.model.display.text_table import text_table

        title = f"<{counted(len(self), 'group')} by {self.by}>"
        return text_table(*self._table(), title=title, total=len(self))

    def _repr_html_(self) -> str:
        """Return the groups as HTML; notebooks call this."""
        from runstore.model.display.html import html_paragraphs, html_table

        if not self:
            return html_paragraphs(["no groups"])
        return html_table(*self._table(), total=len(self))

    def _table(self) -> tuple[Sequence[str], Iterator[Sequence[str]]]:
        from runstore.model.display.html import ROWS_AT_MOST

        columns = GroupsTable(self.by, self[:ROWS_AT_MOST], self.metrics).columns
        cells = [list(map(_cell, one.values)) for one in columns.values()]
        if self.by.startswith("tags."):
            cells[0] = [
                TAGGED if one.value == "" else cell
                for one, cell in zip(self[:ROWS_AT_MOST], cells[0], strict=True)
            ]
        return list(columns), zip(*cells, strict=True)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, float):
        return number_text(value)
    return "" if value is None else str(value)


def field_of_text(by: str) -> Field:
    """Return the field to group by: any sortable field except for times."""
    from runstore.model.query.parse import parse_query

    order = parse_query(f"order by {by}").order
    if len(order) != 1 or order[0].is_descending:
        raise _not_grouped(by)
    return checked_field(order[0].field, by)


def checked_field(field: Field, by: str) -> Field:
    """Return the field, if runs can be grouped by it.

    Raises:
        UsageError: They cannot.
    """
    if (
        field.namespace in {Namespace.METRIC, Namespace.OUTPUT, Namespace.PACKAGE}
        or field.part == "path"
    ):
        raise _not_grouped(by)
    if field.kind in {Kind.MOMENT, Kind.DURATION}:
        raise UsageError(f"Runs cannot be grouped by a time such as {quoted(by)}.")
    return field


def _not_grouped(by: str) -> UsageError:
    return UsageError(
        f"Runs cannot be grouped by {quoted(by)}.",
        hint="Group by a field such as experiment, status, params.lr or tags.phase.",
    )


class GroupsTable(Table):
    """Groups as columns: the value, counts by status, the last run, and spreads of metrics."""

    def __init__(self, by: str, groups: Sequence[RunGroup], metrics: Sequence[str]) -> None:
        self.columns = {
            by: _values(groups),
            "runs": Column(Type.WHOLE, [one.runs for one in groups]),
            **dict(_counts(by, groups)),
            "last run": Column(Type.TEXT, [one.last_reference for one in groups]),
            "started": Column(Type.MOMENT, [one.last_started_at for one in groups]),
        }
        for key in metrics:
            spreads = [one.metrics.get(key) for one in groups]
            for name in _SPREAD:
                values = [None if one is None else getattr(one, name) for one in spreads]
                self.columns[f"metrics.{key}.{name}"] = Column(Type.NUMBER, values)


def _counts(by: str, groups: Sequence[RunGroup]) -> Iterator[tuple[str, Column]]:
    """Yield a column for each status that occurs; `error` is a field as well."""
    for status in Status:
        counts = [one.statuses.get(status.value, 0) for one in groups]
        if any(counts):
            name = f"status.{status.value}" if status.value == by else status.value
            yield name, Column(Type.WHOLE, counts)


def _values(groups: Sequence[RunGroup]) -> Column:
    """Return the column of group values: of a single type, or else as different texts."""
    values: list[Any] = [one.value for one in groups]
    kinds = {type(one) for one in values if one is not None}
    if kinds == {bool}:
        return Column(Type.FLAG, values)
    if kinds and kinds <= {int, float}:
        return number_column(values)
    known = [one for one in values if one is not None]
    exact = [repr(one) if isinstance(one, str) else value_text(one) for one in known]
    texts = iter(exact_if_alike(list(map(value_text, known)), exact))
    return Column(Type.TEXT, [None if one is None else next(texts) for one in values])


def sorted_by(groups: Sequence[RunGroup], by: str, text: str) -> list[RunGroup]:
    """Return groups in the order of one of their columns: `runs desc`, `metrics.acc.max`.

    Raises:
        UsageError: There is no such column.
    """
    name, _, direction = text.strip().partition(" ")
    metrics = list(dict.fromkeys(key for one in groups for key in one.metrics))
    columns = GroupsTable(by, groups, metrics).columns
    if name not in columns or direction.strip().lower() not in {"", "asc", "desc"}:
        raise UsageError(
            f"Groups cannot be sorted by {quoted(text)}.",
            hint=f"Sort by one of: {', '.join(columns)}; with desc for the largest first.",
        )
    keys = columns[name].values
    if name == by:
        is_tag = field_of_text(by).namespace is Namespace.TAG
        keys = [_key_of(one.value, is_tag=is_tag) for one in groups]
    # NaN is the mean of both infinities, and has no place in an order.
    known = [place for place, key in enumerate(keys) if key is not None and key == key]  # noqa: PLR0124
    known.sort(key=keys.__getitem__, reverse=direction.strip().lower() == "desc")
    if name == by:
        known.sort(key=lambda place: keys[place][0])
    unknown = sorted(set(range(len(groups))).difference(known))
    return [groups[place] for place in known + unknown]


def _key_of(value: Any, *, is_tag: bool) -> tuple[bool, float, str] | None:
    """Return the sort key of a value of groups as in lists of runs: numbers precede texts."""
    if value is None:
        return None
    number = None if value != value else value  # noqa: PLR0124 - NaN
    if isinstance(value, str):
        number = tag_number(value) if is_tag else None
    return number is None, number or 0, value_text(value)
