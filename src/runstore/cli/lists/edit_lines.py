"""Edits that were undone or redone, one per line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runstore.cli.output import say
from runstore.model.display.formatting import counted, local_time
from runstore.model.results.events import edit_text

if TYPE_CHECKING:
    from runstore.storage.edits import Undone

_SHOWN = 50


def edit_lines(edits: Iterable[Undone], *, with_times: bool = False) -> list[str]:
    """Return a line for each edit, such as `mnist_7_…  notes: old → new`, as it becomes."""
    # The reference holds the name of the experiment as well.
    shown = [one for one in edits if one.event.field != "experiment_name"]
    lines = [
        f"{reference}\t{edit_text(event.field, event.new, event.old)}"
        + (f" (edited {local_time(event.at)})" if with_times else "")
        for _, reference, event in shown[:_SHOWN]
    ]
    more = len(shown) - _SHOWN
    return lines if more <= 0 else [*lines, f"and {counted(more, 'more edit')}"]


def print_edits(edits: Iterable[Undone]) -> None:
    """Print a line for each edit."""
    for line in edit_lines(edits):
        say(line)
