"""Texts of runs for the screen: harmless, in one line, cut to a width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import set_cell_size

from runstore.cli import output
from runstore.cli.sparkline import sparkline
from runstore.model.display.formatting import cropped
from runstore.model.display.plain import as_python, as_text
from runstore.model.params.flatten import joined
from runstore.model.params.parameter_set import ParameterSet

NOTHING = "–"  # noqa: RUF001 - the sign for a missing value
_LONGEST = 300  # characters of a line that are read
_END_KEPT = 6  # of a name: its number
# Textual replaces stdout by a stream without an encoding, and writes UTF-8.
_BARS = str.maketrans("_.-=+*#@", "▁▂▃▄▅▆▇█")


def clean(text: str) -> str:
    """Return the beginning of a text in one line that controls nothing on a terminal."""
    return output.terminal_safe(cropped(text, _LONGEST)).replace("\t", " ")


def fitted(text: str, width: int, *, keeps_end: bool = False) -> str:
    """Return a text of exactly this width; `…` marks a cut."""
    end = _END_KEPT if keeps_end and width > 2 * _END_KEPT else 0
    return set_cell_size(output.fitted(text, width, end), width)


def curve(values: Iterable[float], width: int) -> str:
    """Return a series as a sparkline."""
    return sparkline(values, width).translate(_BARS)


def started_text(at: datetime, now: datetime) -> str:
    """Return a local time: today's hour, or else the date."""
    local, today = at.astimezone(), now.astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d}"


def parameter_texts(sets: Sequence[ParameterSet]) -> dict[str, str]:
    """Return the values of a run by dotted key; keys of several sets begin with the set."""
    is_single = len(sets) == 1
    return {
        key: text
        for one in sets
        for key, text in _flattened(one.values, "" if is_single else joined("", one.name))
    }


def _flattened(values: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = joined(prefix, as_text(key))
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, name)
        else:
            yield name, as_python(value)
