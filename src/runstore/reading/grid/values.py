"""Columns of values of many runs, in a compact form for plots."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from runstore.model.display.formatting import counted
from runstore.model.query.evaluate import NAN, TRUTH, shown_text, version_order
from runstore.model.query.tree import Field, Kind, Namespace
from runstore.reading.find import settle
from runstore.storage.grid.values import Cell, FieldValues
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

ValueKind = Literal["number", "time", "category"]

CATEGORIES_AT_MOST = 500
_MISSING = 0xFFFF
_MICROS = 1e6


class ValueColumn(NamedTuple):
    """One field of many runs.

    Attributes:
        kind: `number`, `time` (seconds since 1970) or `category`.
        values: A double per run, or the index of its category, 0xFFFF if it has no value.
        categories: Texts, numbers first; the last one may combine all others.
        missing: The indexes of runs without a value.
        others: The number of categories that the last one combines; 0 for none.
    """

    kind: ValueKind
    values: array[Any]
    categories: tuple[str, ...]
    missing: array[int]
    others: int = 0


def value_columns(
    backend: Backend, fields: Sequence[Field], ids: Sequence[int]
) -> list[ValueColumn]:
    """Return the values of fields in some runs."""
    settle(backend, fields)
    reader = FieldValues(backend.database)
    return [_column(one, reader.of(one, ids), ids) for one in fields]


def _column(field: Field, cells: Mapping[int, Cell], ids: Sequence[int]) -> ValueColumn:
    is_cell = field.kind in {Kind.CELL, Kind.VERSION}
    if is_cell:
        # Among numbers, None is not a separate category.
        known = {row_id: one for row_id, one in cells.items() if one != (None, None)}
        if known and all(map(_is_number, known.values())):
            return _numbers("number", [_number(known.get(one)) for one in ids], _gaps(known, ids))
    places = _gaps(cells, ids)
    if field.kind is Kind.MOMENT:
        return _numbers("time", [_moment(cells.get(one)) for one in ids], places)
    if field.kind in {Kind.NUMBER, Kind.DURATION}:
        return _numbers("number", [_number(cells.get(one)) for one in ids], places)
    texts = {one: _text(field, cell) for one, cell in cells.items()}
    order = version_order if field.kind is Kind.VERSION else _order
    return _categories([texts.get(one) for one in ids], places, order)


def _gaps(cells: Mapping[int, Cell], ids: Sequence[int]) -> array[int]:
    return array("I", (place for place, one in enumerate(ids) if one not in cells))


def _numbers(kind: ValueKind, values: Iterable[float], missing: array[int]) -> ValueColumn:
    return ValueColumn(kind, array("d", values), (), missing)


def _number(cell: Cell | None) -> float:
    """Return a number, or NaN for a missing value, which is marked by its index."""
    return float(cell[0]) if cell is not None and isinstance(cell[0], (int, float)) else math.nan


def _moment(cell: Cell | None) -> float:
    return _number(cell) / _MICROS


def _is_number(cell: Cell) -> bool:
    number, text = cell
    return cell == NAN or (number is not None and text not in TRUTH)


def _text(field: Field, cell: Cell) -> str:
    if field.kind is Kind.FLAG:
        return TRUTH[bool(cell[0])]
    if field.namespace is Namespace.RUN:
        return str(cell[0])
    text = shown_text(cell)
    return "None" if text is None else text


def _categories(
    texts: Sequence[str | None], missing: array[int], order: Callable[[str], Any]
) -> ValueColumn:
    """Return texts as indexes in a list; if there are too many, the rarest share one."""
    counts = Counter(one for one in texts if one is not None)
    kept = [one for one, _ in counts.most_common(CATEGORIES_AT_MOST)]
    others = len(counts) - len(kept)
    categories = sorted(kept, key=order)
    place_of: dict[str | None, int] = {one: place for place, one in enumerate(categories)}
    place_of[None] = _MISSING
    values = array("H", (place_of.get(one, len(categories)) for one in texts))
    if others:
        categories.append(counted(others, "other"))
    return ValueColumn("category", values, tuple(categories), missing, others)


def _order(text: str) -> tuple[bool, float, str]:
    try:
        number = float(text)
    except ValueError:
        return True, 0.0, text
    is_nan = number != number  # noqa: PLR0124
    return is_nan, 0.0 if is_nan else number, text
