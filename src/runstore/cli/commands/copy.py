"""runstore copy: a complete copy of the store in another folder or database."""

from __future__ import annotations

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.ending import cleaned_up


@click.command(short_help="Copy the store to another folder or database.")
@click.argument("target", type=click.Path())
def command(target: str) -> None:
    """Copy the store to TARGET, even while programs record into it.

    TARGET is a new or empty folder, or the URL of an empty database. The copy has all runs,
    files, output and metrics. To use it, pass it as --store or RUNSTORE_URL, or move a folder to
    another project as .runstore.

    \b
    runstore copy /backup/runs-2026-11-27
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store, cleaned_up():
        copied = store.copy(target)
        output.say(f"runstore: copied {store.backend.place} to {copied}.", err=True)
