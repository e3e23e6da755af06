"""runstore rm: move runs to the trash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.amounts import amount_as_json, bytes_text, freed_as_json, freed_text
from runstore.cli.context import for_this_store, open_store
from runstore.cli.dialogs import confirm, named_in_lines
from runstore.cli.options import json_option, runs_argument, yes_option
from runstore.cli.words import other_meanings, runs_meant
from runstore.model.display.formatting import counted

if TYPE_CHECKING:
    from runstore.model.results.deletion import Deletion, Dependent

_ASKED_FROM = 2
_DEPENDENTS_TOLD = 20


@click.command(short_help="Move runs to the trash.")
@runs_argument
@click.option(
    "--with-children",
    is_flag=True,
    help="Also move the runs that they started.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="List the runs and their size, and delete nothing.",
)
@click.option("--force", is_flag=True, help="Also move runs that seem to be running.")
@yes_option
@json_option
def command(
    words: Sequence[str],
    *,
    with_children: bool,
    dry_run: bool,
    force: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Move RUNs, all runs of an EXPERIMENT, or the runs that match FILTER to the trash.

    \b
    runstore rm mnist#3 mnist#4
    runstore rm "status = error and started < '30 days ago'" --dry-run
    runstore rm mnist "metrics.acc.max < 0.5"

    Two or more runs are listed and need confirmation, or -y. So does an experiment whose name is
    also that of a run. Restore them with `runstore undo` or `runstore restore`. After 30 days in
    the trash, `runstore gc` deletes them permanently. Their numbers are never reused.
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        runs = runs_meant(store, words)
        if with_children:
            runs = _with_inner(store, runs)
        others = other_meanings(store, words)
        deletion = store.delete(runs, dry=True)
        if (others or len(runs) >= _ASKED_FROM) and not (dry_run or yes):
            confirm(
                "Move them to the trash?",
                [
                    *others,
                    *named_in_lines(one.reference for one in deletion.runs),
                    *_summary(deletion),
                ],
                kept="Nothing was deleted.",
            )
        for line in others:
            output.say(f"runstore: {line}", err=True)
        if not dry_run:
            deletion = store.delete(runs, force=force)
    if as_json:
        output.print_json(_as_json(deletion))
        return
    for run in deletion.runs:
        output.say(run.reference)
    for line in _summary(deletion):
        output.say(line, err=not dry_run)


def _with_inner(store: Any, runs: Sequence[Any]) -> list[Any]:
    """Return runs, the runs that they started, and so on."""
    found, waiting = {}, list(runs)
    while waiting:
        run = waiting.pop()
        if run.uid not in found:
            found[run.uid] = run
            waiting += store.children(run.uid)
    return list(found.values())


def _summary(deletion: Deletion) -> Iterator[str]:
    count = len(deletion.runs)
    if not count:
        yield "No run matches: nothing was deleted."
        return
    them = counted(count, "run")
    if deletion.is_dry:
        yield f"{them}. Deleting permanently frees {freed_text(deletion.frees)}."
    else:
        frees = freed_text(deletion.frees)
        yield f"{them} moved to the trash. Deleting permanently frees {frees}."
        yield for_this_store("Undo with: runstore undo")
    if deletion.shared:
        yield f"{bytes_text(deletion.shared)} of contents are kept: other runs use them too."
    for one in deletion.dependents[:_DEPENDENTS_TOLD]:
        yield _dependent(one)
    more = len(deletion.dependents) - _DEPENDENTS_TOLD
    if more > 0:
        yield f"and {counted(more, 'more run that depends', 'more runs that depend')} on them."


def _dependent(one: Dependent) -> str:
    if one.how == "read":
        return f"{one.run.reference} read artifacts of {one.of.reference}."
    return f"{one.run.reference} was started in {one.of.reference}."


def _as_json(deletion: Deletion) -> dict[str, Any]:
    return {
        "runs": [{"reference": run.reference, "uid": run.uid} for run in deletion.runs],
        "is_dry": deletion.is_dry,
        "frees": freed_as_json(deletion.frees),
        "shared": amount_as_json(deletion.shared),
        "dependents": [
            {"run": one.run.reference, "how": one.how, "of": one.of.reference}
            for one in deletion.dependents
        ],
    }
