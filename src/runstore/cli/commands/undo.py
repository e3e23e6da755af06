"""runstore undo: take the last edit back."""

from __future__ import annotations

import click

from runstore.cli.completions import complete_runs
from runstore.cli.context import open_store
from runstore.cli.output import say
from runstore.model.results.events import edit_text

_SHOWN = 50


@click.command(short_help="Take the last edit back.")
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option("--dry-run", is_flag=True, help="Only say what would be taken back.")
def command(run: str | None, *, dry_run: bool) -> None:
    """Take back the last edit you made, or the last one of RUN, whoever made it.

    Edits are notes, tags, deletions, and moves to another experiment. What one command did is
    taken back at once; asking again takes back the edit before it.
    """
    with open_store() as store:
        # The reference tells the name of the experiment as well.
        found = store.undo(run, dry=dry_run)
        undone = [one for one in found if one.event.field != "experiment_name"]
    for _, reference, event in undone[:_SHOWN]:
        what = edit_text(event.field, event.new, event.old)
        say(f"{reference}\t{what}")
    if len(undone) > _SHOWN:
        say(f"runstore: and {len(undone) - _SHOWN:,} more edits.", err=True)
