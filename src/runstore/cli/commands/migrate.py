"""runstore migrate: bring the tables of a store up to date, or move the contents of its files."""

from __future__ import annotations

import click

from runstore.cli import output
from runstore.cli.amounts import bytes_text
from runstore.cli.context import store_location
from runstore.model.display.formatting import counted


@click.command(short_help="Bring the tables of a store up to date.")
@click.option(
    "--objects",
    metavar="PLACE",
    help="Also move the contents of files: to a shared folder, a bucket (s3://bucket/prefix) or"
    " the database.",
)
def command(objects: str | None) -> None:
    """Bring the tables of the store up to date with this version of runstore.

    A store in a folder is migrated when it is opened. A store in PostgreSQL is migrated only by
    this command, because other machines may have an older version of runstore, which can only
    read the store afterwards. Programs that record wait until it is done.

    With --objects, contents are copied to the new place, which all machines then use. Those in the
    former place are kept.

    \b
    runstore --store postgresql://ann@db.example.org/runs migrate
    runstore migrate --objects s3://bucket/prefix
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.store import migrate, move_contents

    with migrate(store_location()) as store:
        output.say(f"runstore: the tables of {store.backend.place} are up to date.", err=True)
        if objects is not None:
            moved = move_contents(store, objects)
            told = f"{counted(moved.files, 'file')} copied, {bytes_text(moved)}"
            place = "the database" if objects == "database" else objects
            output.say(f"runstore: {told}. Contents are in {place} now.", err=True)
