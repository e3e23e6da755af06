"""runstore rm: put runs into the trash."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.amounts import amount_as_json, bytes_text, counted, freed_as_json, freed_text
from runstore.cli.context import open_store
from runstore.cli.options import json_option, runs_argument, yes_option
from runstore.cli.words import runs_meant

if TYPE_CHECKING:
    from runstore.model.results.deletion import Deletion, Dependent

_ASKED_FROM = 2
_DEPENDENTS_TOLD = 20


@click.command(short_help="Put runs into the trash.")
@runs_argument
@click.option(
    "--with-children",
    is_flag=True,
    help="Also the runs that were started in them.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted, and what it frees.")
@click.option("--force", is_flag=True, help="Also runs that seem to be executed.")
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
    """Put RUNs into the trash, all of an EXPERIMENT, or those that FILTER accepts.

    \b
    runstore rm mnist#3 mnist#4
    runstore rm "status = error and started < '30 days ago'" --dry-run
    runstore rm mnist "metrics.acc.max < 0.5"

    `runstore undo` and `runstore restore` bring them back. After 30 days in the trash
    `runstore gc` removes them for good. Their numbers are never used again.
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        runs = runs_meant(store, words)
        if with_children:
            runs = _with_inner(store, runs)
        deletion = store.delete(runs, dry=True)
        if not dry_run and runs and not yes and len(runs) >= _ASKED_FROM and sys.stdin.isatty():
            for line in _told(deletion):
                output.say(line, err=True)
            click.confirm("Put them into the trash?", abort=True, err=True)
        if not dry_run:
            deletion = store.delete(runs, force=force)
    if as_json:
        output.print_json(_as_json(deletion))
        return
    for run in deletion.runs:
        output.say(run.reference)
    for line in _told(deletion):
        output.say(line, err=not dry_run)


def _with_inner(store: Any, runs: Sequence[Any]) -> list[Any]:
    """Return runs with those that were started in them, and in these."""
    found, waiting = {}, list(runs)
    while waiting:
        run = waiting.pop()
        if run.uid not in found:
            found[run.uid] = run
            waiting += store.children(run.uid)
    return list(found.values())


def _told(deletion: Deletion) -> Iterator[str]:
    count = len(deletion.runs)
    if not count:
        yield "There is no such run: nothing was deleted."
        return
    them = counted(count, "run")
    if deletion.is_dry:
        yield f"{them}. Removing for good frees {freed_text(deletion.frees)}."
    else:
        yield f"{them} in the trash. Removing for good would free {freed_text(deletion.frees)}."
        yield "To have them back: runstore undo" if count > 1 else "To have it back: runstore undo"
    if deletion.shared:
        yield f"{bytes_text(deletion.shared)} of contents stay: other runs have them too."
    for one in deletion.dependents[:_DEPENDENTS_TOLD]:
        yield _dependent(one)
    more = len(deletion.dependents) - _DEPENDENTS_TOLD
    if more > 0:
        yield f"and {more:,} more runs that depend on them."


def _dependent(one: Dependent) -> str:
    if one.how == "read":
        return f"{one.run.reference} read what {one.of.reference} saved."
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
