"""A progress bar for parameter sets, on a terminal and for more than one set."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runstore.cli.already_ran import say_nearest
from runstore.cli.output import console, say, terminal_safe
from runstore.recording.active import ActiveRun

if TYPE_CHECKING:
    from runstore.config import IfDone
    from runstore.runner.repeating.differences import Differences


class _Silent:
    """Shows nothing.

    Attributes:
        reference: The run; empty until it is recorded.
        asked: What to do about an identical run, if that was chosen; then the nearest earlier run
            is reported if there is none.
    """

    reference = ""
    asked: IfDone | None = None

    def differs(self, reference: str, differences: Differences) -> None:
        """Print the differences from the run that is repeated."""
        told = [*differences]
        if told:
            text = f"{reference} is not repeated exactly; since it was recorded, this differs:"
            say(f"runstore: {text}", err=True)
        for one in told:
            say(f"  {one}", err=True)

    def started(self, run: ActiveRun) -> None:
        """Keep the reference, and report the nearest run if requested."""
        self.reference = run.reference
        if self.asked is not None:
            say_nearest(run, self.asked)

    def begin(self, name: str) -> None:
        """Start a set."""

    def advance(self) -> None:
        """Finish a set."""


class _Bar(_Silent):
    """Shows the current set and the number of finished sets."""

    def __init__(self, bar: Any, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def begin(self, name: str) -> None:
        """Show the name of the set."""
        self._bar.update(self._task, description=terminal_safe(name[:40]))

    def advance(self) -> None:
        """Advance the bar by one set."""
        self._bar.advance(self._task)


@contextmanager
def shown_on_terminal(total: int) -> Iterator[_Silent]:
    """Yield a progress bar on stderr; printed text appears above it."""
    if total < 2 or sys.stderr is None or not sys.stderr.isatty():  # noqa: PLR2004 - one set is no progress
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
    # Output to a file or pipe is left alone; output to a terminal is printed above the bar.
    is_shared = sys.stdout.isatty()
    drawn = console(err=True)
    with Progress(*columns, console=drawn, transient=True, redirect_stdout=is_shared) as bar:
        yield _Bar(bar, total)
