"""Columns of tables: their types, and the types of parameters by all their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from runstore.model.query.evaluate import TRUTH, Cell, shown_text
from runstore.model.query.exact import exact_value
from runstore.value_classes import dataclass


class Type(Enum):
    """The type of a column, for pandas, polars and arrow.

    Numbers that fit neither 64 bits nor a double are `EXACT`: text in libraries without such
    numbers.
    """

    TEXT = ("string", "String", "string")
    WHOLE = ("Int64", "Int64", "int64")
    NUMBER = ("float64", "Float64", "float64")
    EXACT = ("object", "String", "string")
    FLAG = ("boolean", "Boolean", "bool_")
    MOMENT = ("datetime64[us, UTC]", "Datetime", "timestamp")
    DURATION = ("timedelta64[us]", "Duration", "duration")


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        type: The type of its values.
        values: One per row; None if a run has none.
        cells: The cells of a parameter, which distinguish `1` from `'1'`, and None from no value.
    """

    type: Type
    values: Sequence[Any]
    cells: Sequence[Any] = ()


# Most parameters of many runs are numbers, which need half the memory on their own.
def packed(cell: Cell) -> Cell | float:
    """Return a cell, or only its number if it has no text."""
    number, text = cell
    return number if number is not None and text is None else cell


def unpacked(cell: Cell | float | None) -> Cell | None:
    """Return a cell that may be packed."""
    return cell if cell is None or isinstance(cell, tuple) else (cell, None)


class ParamType:
    """The type of a parameter's column: numbers or booleans if all values are, else texts.

    It is found from all cells, which can be added in parts.
    """

    def __init__(self) -> None:
        self._is_known = False
        self._are_flags = self._are_numbers = self._are_whole = True
        self._has_integer = False

    def add(self, cells: Iterable[Cell | float | None]) -> None:
        """Look at more cells, packed or not."""
        given = map(unpacked, cells)
        known = [cell for cell in given if cell is not None and cell != (None, None)]
        if not known:
            return
        self._is_known = True
        self._are_flags &= all(cell[0] is not None and cell[1] in TRUTH for cell in known)
        self._are_numbers &= not self._are_flags and all(map(_is_number, known))
        if self._are_numbers:
            numbers = [_number(cell) for cell in known]
            self._has_integer |= any(isinstance(one, int) for one in numbers)
            self._are_whole &= all(map(_is_whole, numbers))

    @property
    def type(self) -> Type:
        """The type, as far as cells are known."""
        if self._is_known and self._are_flags:
            return Type.FLAG
        if not self._is_known or not self._are_numbers:
            return Type.TEXT
        return _number_type(has_integer=self._has_integer, are_whole=self._are_whole)

    def column(self, cells: Sequence[Cell | float | None]) -> Column:
        """Return cells as a column of this type."""
        read = _READ[self.type]
        values = [None if cell is None else read(cell) for cell in map(unpacked, cells)]
        return Column(self.type, values, cells)


def _is_number(cell: Cell) -> bool:
    number, text = cell
    return text == "nan" if number is None else text not in TRUTH


def _number(cell: Cell) -> float | None:
    return float("nan") if cell == (None, "nan") else exact_value(cell)


def _whole_number(cell: Cell) -> int | None:
    number = _number(cell)
    return None if number is None else int(number)


_READ: Mapping[Type, Callable[[Cell], Any]] = {
    Type.FLAG: lambda cell: None if cell[1] is None else cell[1] == TRUTH[1],
    Type.WHOLE: _whole_number,
    Type.NUMBER: _number,
    Type.EXACT: _number,
    Type.TEXT: shown_text,
}


def _is_whole(number: float | None) -> bool:
    return number is None or (-(2**63) <= number < 2**63 and number == int(number))


def _number_type(*, has_integer: bool, are_whole: bool) -> Type:
    """Return a lossless type of numbers: integers beyond a double stay exact."""
    if not has_integer:
        return Type.NUMBER
    return Type.WHOLE if are_whole else Type.EXACT


def number_column(values: Sequence[float | None]) -> Column:
    """Return a column of numbers, with a lossless type."""
    kind = _number_type(
        has_integer=any(isinstance(one, int) for one in values),
        are_whole=all(map(_is_whole, values)),
    )
    if kind is not Type.WHOLE:
        return Column(kind, values)
    return Column(kind, [None if one is None else int(one) for one in values])
