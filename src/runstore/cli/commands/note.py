"""runstore note: what a run is about, in your words."""

from __future__ import annotations

import click

from runstore.cli.completions import complete_runs
from runstore.cli.context import open_store
from runstore.cli.output import say

_TEMPLATE = "\n# Notes of {reference}. Lines that begin with # are left out.\n"


@click.command(short_help="Write the notes of a run.")
@click.argument("run", shell_complete=complete_runs)
@click.argument("text", nargs=-1)
@click.option("-a", "--append", is_flag=True, help="Add the text below the notes.")
@click.option("--remove", is_flag=True, help="Take the notes away.")
def command(run: str, text: tuple[str, ...], *, append: bool, remove: bool) -> None:
    """Replace the notes of RUN with TEXT; without a text, in your editor ($VISUAL, $EDITOR).

    `runstore undo` takes it back.
    """
    with open_store() as store:
        found = store.get(run)
        notes = None if remove else " ".join(text) or _edited(found.reference, found.notes or "")
        if notes is None and not remove:
            say("runstore: nothing was changed.", err=True)
            return
        if append and notes and found.notes:
            notes = f"{found.notes}\n{notes}"
        store.edit(found.uid, notes=notes or None)
    say(f"{found.reference}\t{notes or '(no notes)'}")


def _edited(reference: str, notes: str) -> str | None:
    """Return what the person wrote; None when the editor was left without saving."""
    text = click.edit(notes + _TEMPLATE.format(reference=reference), extension=".md")
    if text is None:
        return None
    hint = _TEMPLATE.format(reference=reference).strip()
    return "\n".join(line for line in text.splitlines() if line.strip() != hint).strip()
