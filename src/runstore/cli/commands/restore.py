"""runstore restore: restore runs from the trash."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.cli import output
from runstore.cli.amounts import runs_in_trash_as_json
from runstore.cli.completions import complete_trash
from runstore.cli.context import open_store
from runstore.cli.options import json_option, words_argument
from runstore.cli.words import trashed_meant
from runstore.errors import UsageError


@click.command(short_help="Restore runs from the trash.")
@words_argument("[RUN | EXPERIMENT]...", complete_trash)
@click.option("--all", "everything", is_flag=True, help="Restore all runs in the trash.")
@json_option
def command(words: Sequence[str], *, everything: bool, as_json: bool) -> None:
    """Restore RUNs, or all runs of an EXPERIMENT, from the trash.

    Restored runs have their numbers, metrics, files and tags. `latest` is the run that was deleted
    last. To list the trash, use `runstore trash`.

    \b
    runstore restore mnist#3
    runstore restore mnist
    runstore restore --all
    """  # noqa: D301 - click keeps lines after the mark as they are
    if everything and words:
        raise UsageError("--all restores every run.", hint="Leave out the names, or --all.")
    if not everything and not words:
        raise UsageError(
            "No run is named.", hint="List the trash with `runstore trash`, or add --all."
        )
    with open_store() as store:
        restored = store.restore(trashed_meant(store, words) or store.trash(limit=None))
    if as_json:
        output.print_json(runs_in_trash_as_json(restored))
        return
    for run in restored:
        output.say(run.reference)
    if not restored:
        output.say("runstore: The trash is empty.", err=True)
