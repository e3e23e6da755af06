"""runstore trash: list the trash."""

from __future__ import annotations

import click

from runstore.cli import output
from runstore.cli.amounts import runs_in_trash_as_json
from runstore.cli.context import open_store
from runstore.cli.options import json_option
from runstore.model.display.formatting import local_time
from runstore.model.run import Run

_COLUMNS = (
    output.TableColumn("run", narrowest=26, rank=0, end=output.END_KEPT),
    output.TableColumn("status", narrowest=11, rank=1, styles=output.STATUS_STYLES),
    output.TableColumn("deleted", narrowest=19, rank=2),
    output.TableColumn("notes", narrowest=10, rank=3),
)


@click.command(short_help="List the trash.")
@json_option
def command(*, as_json: bool) -> None:
    """List the runs in the trash, the last deleted one first.

    \b
    runstore restore mnist#3    restores one
    runstore gc --trash         deletes all of them permanently
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        trashed = store.trash(limit=None)
        names = output.listed_names(trashed)  # the store distinguishes runs of the same number
    if as_json:
        output.print_json(runs_in_trash_as_json(trashed))
    elif trashed:
        output.print_table(_COLUMNS, list(map(_row, trashed, names)))
    else:
        output.say("runstore: The trash is empty.", err=True)


def _row(run: Run, name: str) -> tuple[str, ...]:
    deleted = "" if run.deleted_at is None else local_time(run.deleted_at)
    return name, run.status_text, deleted, run.notes or ""
