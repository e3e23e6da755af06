"""Pivot tables of the runs of a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstore.errors import UsageError
from runstore.model import arguments
from runstore.model.metric_directions import Direction, kept_for
from runstore.model.query.evaluate import TRUTH, shown_text, version_order
from runstore.model.query.exact import exact_value
from runstore.model.query.parse import parse_fields
from runstore.model.query.spelling import field_name
from runstore.model.query.tree import Field, Kind, Namespace, Query
from runstore.reading.details.run_subject import RunSubject
from runstore.reading.directions import Directions
from runstore.reading.filters.unknown_names import with_suggestions
from runstore.reading.find import found_page, query_of
from runstore.repeats.grouping import Member
from runstore.repeats.pivot import SEVERAL, PivotKey, Several, key_of, order_of, pivot_of
from runstore.repeats.pivot_table import Pivot
from runstore.repeats.statistics import check_level
from runstore.repeats.values import Metric, read_values

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

_FIELDS_AT_MOST = 4
_REFUSED = {Namespace.METRIC, Namespace.OUTPUT}


def pivot(
    backend: Backend,
    metric: str,
    rows: str | Sequence[str],
    columns: str | Sequence[str] = (),
    where: str | Query = "",
    *,
    experiment: str | None = None,
    over: Sequence[str] | None = None,
    direction: Direction | None = None,
    several: Several = "best",
    level: float = 0.95,
) -> Pivot:
    """Return a pivot table; see `Store.pivot`."""
    check_level(level)
    if several not in SEVERAL:
        raise arguments.refused(several, "several", "'best' or 'all'", "best")
    if direction not in (None, "min", "max"):
        raise arguments.refused(direction, "direction", "'min' or 'max'", "max")
    row_names, row_fields = _fields(backend, rows, "rows")
    column_names, column_fields = _fields(backend, columns, "columns")
    if not row_names:
        raise UsageError("A pivot table needs rows.", hint="Name a field: rows='params.lr'.")
    runs = found_page(backend, query_of(backend, where, experiment), None, None).items
    found, keys, groups, left_out = read_values(runs, metric, over, by_code=False)
    direction = direction or _direction(backend, found)
    made_rows, made_columns, cells = pivot_of(
        groups,
        row_of=_key_of(row_fields),
        column_of=_key_of(column_fields),
        several=several,
        direction=direction,
        level=level,
    )
    return Pivot(
        metric=found,
        row_fields=row_names,
        column_fields=column_names,
        rows=made_rows,
        columns=made_columns,
        cells=cells,
        several=several,
        direction=direction,
        level=level,
        over=keys,
        left_out=left_out,
    )


def _fields(
    backend: Backend, given: str | Sequence[str], name: str
) -> tuple[tuple[str, ...], tuple[Field, ...]]:
    """Return the names and the fields of one side of the table."""
    texts = (given,) if isinstance(given, str) else arguments.texts(given, name, "params.lr")
    found: list[Field] = []
    for text in filter(str.strip, texts):
        with with_suggestions(backend, text):
            found += parse_fields(text)
    if len(found) > _FIELDS_AT_MOST:
        raise UsageError(f"Expected at most {_FIELDS_AT_MOST} fields as {name}, got {len(found)}.")
    for field in found:
        _check(field)
    return tuple(map(field_name, found)), tuple(found)


def _check(field: Field) -> None:
    is_time = field.kind in {Kind.MOMENT, Kind.DURATION}
    if field.namespace in _REFUSED or is_time:
        kind = "a time" if is_time else f"{field.namespace.value}"
        raise UsageError(
            f"Runs cannot be grouped by {kind}.",
            hint="Use fields such as params.lr, tags.phase, experiment or status.",
        )


def _direction(backend: Backend, metric: Metric) -> Direction | None:
    """Return the direction kept in the store, or else that of the name."""
    if metric.statistic == "count":
        return None
    return kept_for(dict(Directions(backend)), metric.key) or metric.known_direction


def _key_of(fields: Sequence[Field]) -> Callable[[Member], PivotKey]:
    def of_member(member: Member) -> PivotKey:
        subject = RunSubject(member.run, member.set_name)
        return key_of(dict(_values(subject, one)) for one in fields)

    return of_member


def _values(subject: RunSubject, field: Field) -> Iterator[tuple[Any, Any]]:
    """Yield the sort keys and values of a run in a field."""
    for one in subject.values(field):
        if field.kind is Kind.VERSION:
            text = shown_text(one) if isinstance(one, tuple) else one
            yield version_order(str(text)), text
        else:
            value = _plain(field, one)
            yield order_of(value), value


def _plain(field: Field, value: Any) -> Any:
    if field.kind is Kind.FLAG:
        return bool(value)
    if not isinstance(value, tuple):
        return value
    number, text = value
    if number is None:
        return text
    if text in TRUTH:
        return text == TRUTH[1]
    return exact_value(value)
