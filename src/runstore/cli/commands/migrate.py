"""runstore migrate: bring the tables of a store up to date."""

from __future__ import annotations

import click

from runstore.cli import output
from runstore.cli.context import store_location


@click.command(short_help="Bring the tables of a store up to date.")
def command() -> None:
    """Bring the tables of the store up to date with this version of runstore.

    A store in a folder is migrated when it is opened. A store in PostgreSQL is migrated only by
    this command, because other machines may have an older version of runstore, which can only
    read the store afterwards. Programs that record wait until it is done.

    \b
    runstore --store postgresql://ann@db.example.org/runs migrate
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.store import migrate

    with migrate(store_location()) as store:
        output.say(f"runstore: the tables of {store.backend.place} are up to date.", err=True)
