"""`--if-done`: the choice if an identical run exists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from runstore.cli.exit_codes import EXIT_CODES
from runstore.cli.output import say
from runstore.config import IF_DONE, wanted_if_done
from runstore.errors import AlreadyRanError, RunstoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.config import IfDone
    from runstore.recording.active import ActiveRun

if_done_option = click.option(
    "--if-done",
    type=click.Choice(IF_DONE),
    help="Action if a complete run had the same parameters, code and inputs: run it again without"
    " a check, warn and run it again, skip it, or end with an error"
    f" (exit code {EXIT_CODES[AlreadyRanError]}).",
)


def chosen(given: str | None, default: IfDone) -> IfDone:
    """Return the choice of the option, or else of the project, or else the default."""
    asked = next((one for one in IF_DONE if one == given), None)
    return asked or wanted_if_done() or default


def is_chosen(given: str | None) -> bool:
    """Return whether the option or the project asks for a look-up of earlier runs."""
    return (given or wanted_if_done() or "run") != "run"


def say_nearest(run: ActiveRun, if_done: IfDone) -> None:
    """Print how the nearest earlier run differs from a run that was started all the same."""
    earlier = run.earlier
    if earlier is None or earlier.same or earlier.running:
        return
    if earlier.unknown and if_done != "warn":
        return  # the reason was printed
    # The run is started: no failure of this look-up may keep the command from it.
    with suppress(RunstoreError):
        if near := earlier.nearest:
            say(f"runstore: no identical run is complete; the nearest is {near}.", err=True)


@contextmanager
def skipping(if_done: IfDone) -> Iterator[None]:
    """Skip work that an identical run has done, and print the run; for `error`, re-raise."""
    try:
        yield
    except AlreadyRanError as error:
        if if_done != "skip":
            raise
        say(error.reference)
        say(f"runstore: skipped: {error.what}", err=True)
        click.get_current_context().exit(0)
