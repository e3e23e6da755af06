"""runstore restore: take runs out of the trash."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.options import json_option
from runstore.errors import UsageError
from runstore.model.display.as_json import as_utc
from runstore.model.display.formatting import local_time
from runstore.model.run import Run

_COLUMNS = (
    output.TableColumn("run", narrowest=26, rank=0, keeps_end=True),
    output.TableColumn("status", narrowest=11, rank=1, styles=output.STATUS_STYLES),
    output.TableColumn("deleted", narrowest=19, rank=2),
    output.TableColumn("notes", narrowest=10, rank=3),
)


@click.command(short_help="List the trash, or take runs out of it.")
@click.argument("runs", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Restore all runs in the trash.")
@json_option
def command(runs: Sequence[str], *, everything: bool, as_json: bool) -> None:
    """Take RUNs out of the trash; without any, list what is in it, the last deleted first.

    A run comes back as it was, with its number, metrics and files. `latest` is the one that was
    deleted last.
    """
    if everything and runs:
        raise UsageError("--all restores every run.", hint="Leave out the names, or --all.")
    with open_store() as store:
        trashed = store.trash() if everything or not runs else ()
        restored = store.restore(runs or trashed) if runs or everything else ()
    if as_json:
        _print_json(trashed if not (runs or everything) else restored)
    elif runs or everything:
        for run in restored:
            output.say(run.reference)
    elif trashed:
        output.print_table(_COLUMNS, [_row(run) for run in trashed])
    else:
        output.say("runstore: the trash is empty.", err=True)


def _row(run: Run) -> tuple[str, ...]:
    deleted = "" if run.deleted_at is None else local_time(run.deleted_at)
    return run.reference, run.status_text, deleted, run.notes or ""


def _print_json(runs: Sequence[Run]) -> None:
    output.print_json(
        {
            "runs": [
                {
                    "reference": run.reference,
                    "uid": run.uid,
                    "deleted_at": None if run.deleted_at is None else as_utc(run.deleted_at),
                }
                for run in runs
            ]
        }
    )
