"""Exact comparison of integers beyond the precision of doubles."""

from __future__ import annotations

import math
import re
from typing import Union

# Up to this number, every integer has its own double.
DOUBLES_TO = 2**53

Cell = tuple[Union[float, None], Union[str, None]]

_DIGITS = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?|-?inf", re.ASCII)


def is_exact(wanted: object) -> bool:
    """Check whether a number may be confused with its neighbours when compared as a double."""
    if isinstance(wanted, float):
        return math.isinf(wanted)
    return isinstance(wanted, int) and abs(wanted) >= DOUBLES_TO


def exact_value(cell: Cell) -> float | None:
    """Return the number of a cell: an int if its text has the digits of one."""
    number, text = cell
    is_whole = number is not None and text is not None and _DIGITS.fullmatch(text)
    return int(text) if is_whole and text else number


def written_number(text: str) -> float | None:
    """Parse a text as a number in canonical spelling; return None for other texts.

    `7`, `0.50`, `1e-5`, `inf` are numbers; `007`, `+7`, `1_000`, `12e4567` are not.
    """
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    is_beyond = math.isinf(number) and "inf" not in text and not _DIGITS.fullmatch(text)
    return None if is_beyond else number
