"""`--if-done`: the choice if an identical run exists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from runstore.cli.exit_codes import EXIT_CODES
from runstore.cli.output import say
from runstore.config import IF_DONE, wanted_if_done
from runstore.errors import AlreadyRanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.config import IfDone

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
