"""runstore undo: undo the last edit."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import click

from runstore.cli.completions import complete_words
from runstore.cli.context import open_store
from runstore.cli.dialogs import confirm
from runstore.cli.lists.edit_lines import edit_lines, print_edits
from runstore.cli.options import yes_option
from runstore.cli.words import one_run
from runstore.errors import RunNotFoundError
from runstore.store import Store

_FRESH = timedelta(hours=1)


@click.command(short_help="Undo the last edit.")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=complete_words)
@click.option("--dry-run", is_flag=True, help="List the edits, and undo nothing.")
@yes_option
def command(run: str | None, *, dry_run: bool, yes: bool) -> None:
    """Undo your last edit, or the last edit of RUN by anyone.

    Edits are changes of notes and tags, deletions, and moves to another experiment. All edits of
    one command are undone together; a second undo undoes the edits before them. Edits older than
    an hour need confirmation, or -y. `runstore redo` redoes them.

    \b
    runstore undo
    runstore undo mnist#7 --dry-run
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        name = None if run is None else _named(store, run)
        found = store.undo(name, dry=True)
        newest = max(one.event.at for one in found)
        if not (dry_run or yes) and datetime.now(timezone.utc) - newest > _FRESH:
            confirm("Undo it?", edit_lines(found, with_times=True), kept="Nothing was undone.")
        if not dry_run:
            found = store.undo(name)
    print_edits(found)


def _named(store: Store, word: str) -> str:
    """Return the uid of a run, or the argument itself for a run in the trash."""
    try:
        return one_run(store, word).uid
    except RunNotFoundError:
        return word
