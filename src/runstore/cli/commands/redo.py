"""runstore redo: redo the edit that was undone last."""

from __future__ import annotations

import click

from runstore.cli.context import open_store
from runstore.cli.lists.edit_lines import print_edits


@click.command(short_help="Redo the edit that was undone last.")
@click.option("--dry-run", is_flag=True, help="List the edits, and redo nothing.")
def command(*, dry_run: bool) -> None:
    """Redo the edit that you undid last.

    Repeat the command to redo further edits. After a new edit, there is nothing to redo.
    """
    with open_store() as store:
        found = store.redo(dry=dry_run)
    print_edits(found)
