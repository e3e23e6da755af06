"""runstore tag: set and remove tags of runs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.cli import output
from runstore.cli.completions import complete_runs
from runstore.cli.context import open_store
from runstore.errors import UsageError
from runstore.model.display.formatting import tags_text


@click.command(
    context_settings={"ignore_unknown_options": True},
    short_help="Set and remove tags of runs.",
)
@click.argument(
    "words", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=complete_runs
)
def command(words: Sequence[str]) -> None:
    """Change tags: runstore tag RUN… CHANGE…

    A change is +keep (set a tag), -draft (remove one) or phase=pilot (set one to a value). All
    runs get all changes at once, or none; `runstore undo` takes them back. Without a change, the
    tags are shown.

    \b
    runstore tag latest +keep
    runstore tag mnist#3 mnist#4 -draft phase=pilot
    """  # noqa: D301, D415 - click keeps lines after the mark as they are
    runs = [word for word in words if not _is_change(word)]
    changes = dict(_change(word) for word in words if _is_change(word))
    if not runs:
        raise UsageError("No run is named.", hint="Write for example: runstore tag latest +keep")
    with open_store() as store:
        tagged = store.tag(runs, changes) if changes else tuple(map(store.get, runs))
    for run in tagged:
        output.say(f"{run.reference}\t{tags_text(run.tags)}")


def _is_change(word: str) -> bool:
    # A run whose experiment has such a name is told by its uid.
    return word[:1] in {"+", "-"} or "=" in word


def _change(word: str) -> tuple[str, str | None]:
    if word.startswith("-"):
        return word[1:], None
    key, _, value = word.removeprefix("+").partition("=")
    return key, value
