"""A progress bar over parameter sets, where there is a terminal and more than one set."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from runstore.cli.output import console, say, terminal_safe
from runstore.recording.active import ActiveRun


class _Silent:
    """Shows nothing.

    Attributes:
        reference: The run; empty until it is recorded.
        tells_nearest: Whether the earlier run that differs least is told.
    """

    reference = ""
    tells_nearest = False

    def differs(self, reference: str, differences: Sequence[str]) -> None:
        """List what is not as the run that is repeated recorded it."""
        if differences:
            told = f"{reference} is not repeated exactly; since it was recorded, this differs:"
            say(f"runstore: {told}", err=True)
        for one in differences:
            say(f"  {one}", err=True)

    def started(self, run: ActiveRun) -> None:
        """Keep the reference, and tell what is near where that is wanted."""
        self.reference = run.reference
        if self.tells_nearest and run.earlier is not None and run.earlier.same is None:
            near = run.earlier.nearest
            told = f"the nearest earlier run is {near}" if near else "no run was before it"
            say(f"runstore: {told}.", err=True)

    def begin(self, name: str) -> None:
        """Be told that a set begins."""

    def advance(self) -> None:
        """Be told that a set is done."""


class _Bar(_Silent):
    """Shows the set at work, and how many are done."""

    def __init__(self, bar: Any, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def begin(self, name: str) -> None:
        """Show the name of the set."""
        self._bar.update(self._task, description=terminal_safe(name[:40]))

    def advance(self) -> None:
        """Show one more as done."""
        self._bar.advance(self._task)


@contextmanager
def shown_on_terminal(total: int) -> Iterator[_Silent]:
    """Give a progress bar on stderr; what is printed meanwhile stands above it."""
    if total < 2 or not sys.stderr.isatty():  # noqa: PLR2004 - one set is no progress
        yield _Silent()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # Output that goes to a file or a pipe stays there; only a terminal's is drawn above the bar.
    is_shared = sys.stdout.isatty()
    drawn = console(err=True)
    with Progress(*columns, console=drawn, transient=True, redirect_stdout=is_shared) as bar:
        yield _Bar(bar, total)
