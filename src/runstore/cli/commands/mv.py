"""runstore mv: rename an experiment, or move runs to another one."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

import click

from runstore.cli.completions import complete_words
from runstore.cli.context import open_store
from runstore.cli.options import words_argument
from runstore.cli.output import say
from runstore.cli.words import runs_meant
from runstore.errors import UsageError


@click.command(short_help="Rename an experiment, or move runs to another one.")
@words_argument("EXPERIMENT | RUN... | FILTER")
@click.argument("target", shell_complete=complete_words)
@click.option("--merge", is_flag=True, help="Allow TARGET to be an existing experiment.")
def command(words: Sequence[str], target: str, *, merge: bool) -> None:
    """Rename EXPERIMENT to TARGET, or move RUNs to the experiment TARGET.

    \b
    runstore mv mnist digits
    runstore mv mnist#3 mnist#4 pilots
    runstore mv mnist "tags.phase = pilot" pilots

    A renamed experiment keeps its run numbers; moved runs get the next numbers of TARGET. Old
    references and numbers still work, and `runstore undo` undoes the change.
    """  # noqa: D301 - click keeps lines after the mark as they are
    if not words:
        # The only word was taken as the target.
        raise UsageError(
            "The target is missing.", hint=f"Write for example: runstore mv {quote(target)} pilots"
        )
    with open_store() as store:
        if len(words) == 1 and store.has_experiment(words[0]):
            count = store.rename_experiment(words[0], target, merge=merge)
            runs = f"{count:,} run{'' if count == 1 else 's'}"
            say(f"runstore: renamed {words[0]} to {target} ({runs}).", err=True)
            return
        before = runs_meant(store, words)
        moved = store.move(before, target)
    for old, run in zip(before, moved, strict=True):
        say(f"{old.reference}\t{run.reference}")
