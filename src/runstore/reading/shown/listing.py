"""The columns of a list of runs: parameters that differ, metrics, age, and the sort keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from runstore.model.display.formatting import (
    TAGGED,
    ago_text,
    brief_number,
    brief_parameter,
    cropped,
    duration_text,
    exact_if_alike,
    local_time,
    tags_text,
)
from runstore.model.display.short_names import short_names
from runstore.model.display.suggestions import some_of
from runstore.model.query.evaluate import TRUTH, exact_text, number_text, shown_text
from runstore.model.query.tree import Field, Kind, Namespace, Order
from runstore.model.run import start_text
from runstore.reading.grid.differing import differing_keys, is_seed
from runstore.reading.runs_table import metrics_of, params_of
from runstore.reading.shown.facts import lifetime_text
from runstore.reading.shown.last_metrics import last_values_of, telling_metrics
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.model.query.evaluate import Cell
    from runstore.model.run import Run
    from runstore.reading.runs_table import LastValues

_CELL = 24
_NOTES = 200
_HEADING = 20
_MICROS = 1e6
# The columns for the fields of a run.
_SEEN_IN = {
    "status": "status",
    "started_at": "started",
    "duration": "took",
    "experiment_name": "run",
    "run_number": "run",
    "reference": "run",
    "notes": "notes",
}
# The last columns to be omitted, alternating; other parameters are omitted first.
_SORT_KEY, _PARAMS, _METRICS, _STARTED, _TOOK, _NOTES_RANK, _TAGS = (
    2,
    (3, 6, 9, 12),
    (4, 7, 10, 13),
    5,
    8,
    11,
    14,
)
_ERROR = 2
FURTHER = 15


class ListCell(NamedTuple):
    """A parameter that is a list of values."""

    elements: tuple[Cell, ...]


class ListRow(NamedTuple):
    """A run of a list, with the values of its columns.

    `name` is short, but unique among the rows.
    """

    run: Run
    name: str
    params: Mapping[str, Cell | ListCell]
    metrics: Mapping[str, float]


class ListColumn(NamedTuple):
    """A column of a list.

    Attributes:
        name: Its full name, such as `params.lr`.
        rank: The columns with the highest ranks are omitted first.
        cell: Return the text of a row.
        is_number: Whether its texts are numbers.
        header: The heading.
    """

    name: str
    rank: int
    cell: Callable[[ListRow], str]
    is_number: bool = False
    header: str = ""


def list_rows(runs: Sequence[Run], last_values: LastValues | None = None) -> list[ListRow]:
    """Return a row for each run; without last values of metrics, these are read."""
    values = last_values_of(runs) if last_values is None else last_values
    return [
        ListRow(
            run, name, _with_lists(params_of(run)), metrics_of(run, None, values.get(run.uid, {}))
        )
        for run, name in zip(runs, short_names(runs), strict=True)
    ]


def _with_lists(cells: Mapping[str, Cell]) -> dict[str, Cell | ListCell]:
    """Return parameters with the elements of a list as one value: `[64, 10]`."""
    found: dict[str, Cell | ListCell] = {}
    lists: dict[str, list[Cell]] = {}
    for key, cell in cells.items():
        base, bracket, index = key.partition("[")
        if bracket and index[:-1].isdigit() and index.endswith("]") and '"' not in base:
            found[base] = ListCell(())  # at the place of its first element
            lists.setdefault(base, []).append(cell)
        else:
            found[key] = cell
    found.update((base, ListCell(tuple(some))) for base, some in lists.items())
    return found


def list_columns(rows: Sequence[ListRow], order: Sequence[Order] = ()) -> list[ListColumn]:
    """Return the columns of a list, in their order on the screen.

    Parameters with the same value in all runs and system metrics are omitted.
    """
    at = datetime.now(timezone.utc)
    found = [
        ListColumn("run", 0, lambda row: row.name),
        ListColumn("status", 1, lambda row: row.run.status_text),
        *_params(rows),
        *_metrics(rows),
        ListColumn(
            "started", _STARTED, lambda row: start_text(row.run, lambda start: ago_text(start, at))
        ),
        ListColumn("took", _TOOK, lambda row: lifetime_text(row.run, at)),
        *_contents(rows),
    ]
    for key in reversed(order):
        name = column_name(key.field)
        known = [place for place, one in enumerate(found) if one.name == name]
        if known:
            found[known[0]] = _with_sort_key(found[known[0]], key)
        else:
            is_number = key.field.kind is Kind.NUMBER
            found.insert(2, ListColumn(name, _SORT_KEY, _sort_key(key), is_number))
    texts = headings([one.name for one in found])
    return [one._replace(header=text) for one, text in zip(found, texts, strict=True)]


def _with_sort_key(column: ListColumn, order: Order) -> ListColumn:
    """Return a column of a sort key; of several values of a run, it has the deciding one."""
    rank = min(column.rank, _SORT_KEY)
    if order.field.namespace not in {Namespace.PARAM, Namespace.METRIC}:
        return column._replace(rank=rank)

    def cell(row: ListRow) -> str:
        has_one = len(row.run.parameter_sets) < 2  # noqa: PLR2004 - several
        return (has_one and column.cell(row)) or sort_key_text(order, row.run)

    return column._replace(rank=rank, cell=cell)


def headings(names: Sequence[str]) -> list[str]:
    """Return names without `params.`, `metrics.` and `tags.`, if no two become the same."""
    bare = [_bare(name) for name in names]
    times = Counter(bare)
    return [_end(one if times[one] == 1 else name) for one, name in zip(bare, names, strict=True)]


def _bare(name: str) -> str:
    namespace, _, key = name.partition(".")
    return key if key and namespace in {"params", "metrics", "tags"} else name


def _end(text: str) -> str:
    return text if len(text) <= _HEADING else "…" + text[1 - _HEADING :]


def differing_params(rows: Sequence[tuple[str, Mapping[str, Cell | ListCell]]]) -> list[str]:
    """Return the parameters in which runs of an experiment differ, most informative first.

    If no experiment has two runs that differ, all experiments are compared; the parameters of a
    single run are all returned.
    """
    every = _differing([params for _, params in rows])
    groups: dict[str, list[Mapping[str, Cell | ListCell]]] = {}
    for name, params in rows:
        groups.setdefault(name, []).append(params)
    telling = {key for group in groups.values() if len(group) > 1 for key in _differing(group)}
    found = [key for key in every if key in telling] or every
    return sorted(found, key=is_seed)


def _differing(rows: Sequence[Mapping[str, Cell | ListCell]]) -> list[str]:
    values = ((at, key, cell) for at, row in enumerate(rows) for key, cell in row.items())
    return differing_keys(values, len(rows))


def _params(rows: Sequence[ListRow]) -> Iterator[ListColumn]:
    named = sum(bool(_sets(row.run)) for row in rows)
    if named:
        rank = _PARAMS[0] if 2 * named >= len(rows) else _PARAMS[-1]
        yield ListColumn("sets", rank, lambda row: _sets(row.run))
    keys = differing_params([(row.run.experiment_name, row.params) for row in rows])
    for place, key in enumerate(keys):
        cells = list(dict.fromkeys(row.params[key] for row in rows if key in row.params))
        rank = _PARAMS[place] if place < len(_PARAMS) else FURTHER + place
        is_number = all(map(_is_number, cells))
        yield ListColumn(f"params.{key}", rank, _of_param(key, cells), is_number)


def _of_param(key: str, cells: Sequence[Cell | ListCell]) -> Callable[[ListRow], str]:
    """Return the text of a parameter; an exact one for different values that look alike."""
    brief = list(map(_parameter, cells))
    texts = dict(zip(cells, exact_if_alike(brief, list(map(_exact, cells))), strict=True))

    def text_of(row: ListRow) -> str:
        if key not in row.params:
            return ""
        cell = row.params[key]
        if cell in texts:
            return texts[cell]
        text = _parameter(cell)  # of a later row
        return _exact(cell) if text in brief else text

    return text_of


def _is_number(cell: Cell | ListCell) -> bool:
    return not isinstance(cell, ListCell) and cell[0] is not None


def _exact(cell: Cell | ListCell) -> str:
    if isinstance(cell, ListCell):
        return cropped(f"[{', '.join(map(_exact, cell.elements))}]", _CELL)
    number, text = cell
    is_long = number is None and text is not None and len(text) > _CELL
    return cropped(text or "", _CELL) if is_long else exact_text(cell)


def _parameter(cell: Cell | ListCell) -> str:
    if isinstance(cell, ListCell):
        return cropped(f"[{', '.join(map(_parameter, cell.elements))}]", _CELL)
    number, text = cell
    if text is None and number is not None:
        return brief_parameter(number)
    return "None" if text is None else cropped(text, _CELL)


def _sets(run: Run) -> str:
    names = [one.name for one in run.parameter_sets]
    return "" if names == ["default"] else some_of(names)


def _metrics(rows: Sequence[ListRow]) -> Iterator[ListColumn]:
    # A number that is set and logged, such as `lr`, is a parameter.
    numbers = {key for row in rows for key, cell in row.params.items() if _is_number(cell)}
    keys = [key for key in telling_metrics([row.metrics for row in rows]) if key not in numbers]
    for rank, key in zip(_METRICS, keys, strict=False):
        yield ListColumn(f"metrics.{key}", rank, _of_metric(key), is_number=True)


def _of_metric(key: str) -> Callable[[ListRow], str]:
    return lambda row: brief_number(row.metrics[key]) if key in row.metrics else ""


def _contents(rows: Iterable[ListRow]) -> Iterator[ListColumn]:
    """Yield tags and notes, if any run has some, and errors, if most runs have one."""
    runs = [row.run for row in rows]
    if any(run.tags for run in runs):
        yield ListColumn("tags", _TAGS, lambda row: cropped(tags_text(row.run.tags), _NOTES))
    if any(run.notes for run in runs):
        yield ListColumn("notes", _NOTES_RANK, lambda row: _first_line(row.run.notes or ""))
    if 2 * sum(bool(run.error) for run in runs) > len(runs):
        yield ListColumn("error", _ERROR, lambda row: _first_line(row.run.error or ""))


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    first = lines[0] if lines else ""
    return cropped(first, _NOTES) if len(lines) < 2 else f"{cropped(first, _NOTES - 2)} …"  # noqa: PLR2004 - more than one


def column_name(field: Field) -> str:
    """Return the name of the column for a field."""
    if field.namespace is Namespace.RUN and field.key in _SEEN_IN:
        return _SEEN_IN[field.key]
    if field.namespace is Namespace.PARAM and field.set_name is None:
        return f"params.{field.key}"
    if field.namespace is Namespace.METRIC and field.set_name is None:
        return f"metrics.{field.key}" + ("" if field.part == "last" else f".{field.part}")
    return _field_text(field)


def _field_text(field: Field) -> str:
    """Return the name of a field, even if it has no value in a run."""
    from runstore.model.query.spelling import field_name

    try:
        return field_name(field)
    except (StopIteration, KeyError):
        return f"{field.namespace.value}.{field.key}"


def _sort_key(order: Order) -> Callable[[ListRow], str]:
    return lambda row: sort_key_text(order, row.run)


def _deciding(values: Sequence[Any], first: Callable[..., Any]) -> Any:
    """Return the value that decides in an order; numbers precede texts."""
    if not isinstance(values[0], tuple):
        return first(values)
    for place in (0, 1):
        known = [one for one in values if one[place] is not None]
        if known:
            return first(known, key=itemgetter(place))
    return values[0]


_TEXTS: Mapping[Kind, Callable[[Any], str]] = {
    Kind.MOMENT: lambda micros: local_time(datetime.fromtimestamp(micros / _MICROS, timezone.utc)),
    Kind.DURATION: lambda seconds: duration_text(timedelta(seconds=seconds)),
    Kind.FLAG: lambda flag: TRUTH[bool(flag)],
}


def sort_key_text(order: Order, run: Run, *, is_exact: bool = False) -> str:
    """Return the value by which a run is sorted, if there are several the deciding one.

    Exact numbers keep all their digits.
    """
    from runstore.reading.details.run_subject import RunSubject

    field = order.field
    values = [one for one in RunSubject(run).values(field) if one is not None]
    if not values:
        return ""
    value = _deciding(values, max if order.is_descending else min)
    if field.namespace is Namespace.TAG and value[1] == "":
        return TAGGED
    if isinstance(value, tuple):
        return shown_text(value) or "" if is_exact or value[0] is None else _parameter(value)
    if field.kind in _TEXTS:
        return _TEXTS[field.kind](value)
    if isinstance(value, (int, float)):
        return (number_text(value) or "") if is_exact else brief_number(value)
    return value if is_exact else cropped(value, _CELL)
