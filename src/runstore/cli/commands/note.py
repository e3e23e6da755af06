"""runstore note: write the notes of a run."""

from __future__ import annotations

from shlex import quote

import click

from runstore.cli.context import open_store
from runstore.cli.dialogs import edited
from runstore.cli.options import run_argument
from runstore.cli.output import say
from runstore.cli.words import run_before
from runstore.errors import UsageError


@click.command(short_help="Write the notes of a run.")
@run_argument()
@click.argument("text", nargs=-1)
@click.option(
    "-a", "--append", is_flag=True, help="Append TEXT to the notes instead of replacing them."
)
@click.option("--remove", is_flag=True, help="Remove the notes.")
def command(run: str, text: tuple[str, ...], *, append: bool, remove: bool) -> None:
    """Replace the notes of RUN with TEXT (default: edit them in $VISUAL or $EDITOR).

    `runstore undo` undoes the edit.

    \b
    runstore note latest "warm-up helps"
    runstore note mnist#7 --append "and so does a larger batch"
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        found = run_before(store, run, text)
        notes = None if remove else " ".join(text)
        if text and notes is not None and not notes.strip():
            todo = f"To remove the notes, write: runstore note {quote(run)} --remove"
            raise UsageError(
                "The text is empty.", kept="Nothing was changed.", hint="" if append else todo
            )
        if not remove and not notes:
            notes = edited("" if append else found.notes or "", f"Notes of {found.reference}.")
        if not remove and (notes is None or (append and not notes)):
            say("runstore: Nothing was changed.", err=True)
            return
        if append and notes and found.notes:
            notes = f"{found.notes}\n{notes}"
        store.edit(found.uid, notes=notes or None)
    say(f"{found.reference}\t{notes or '(no notes)'}")
