"""runstore settle: check the state of silent runs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.dialogs import confirm, named_in_lines
from runstore.cli.options import json_option, words_argument, yes_option
from runstore.cli.words import runs_meant
from runstore.model.display.short_names import short_names
from runstore.reading.shown.facts import lifetime_text


@click.command(short_help="Check silent runs, and mark lost ones.")
@words_argument("[RUN | EXPERIMENT]... [FILTER]")
@click.option("--lost", is_flag=True, help="Also mark runs in an unknown state as lost.")
@yes_option
@json_option
def command(words: Sequence[str], *, lost: bool, yes: bool, as_json: bool) -> None:
    """Check the state of silent runs, and mark runs as lost if their process is gone.

    A run on another machine is silent if it has not ended and its last sign of life is over a
    minute old. If it ran in a job of Slurm, sacct or squeue is asked for the state of the job.

    \b
    runstore settle
    runstore settle mnist#3 --lost

    --lost needs confirmation, or -y. A run that reports its end later gets the status it reports.
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        runs = runs_meant(store, words) if words else None
        done = store.settle(runs)
        if lost and done.silent:
            if not yes:
                confirm(
                    "Mark them as lost?",
                    named_in_lines(f"{one.run.reference}: {one.reason}" for one in done.silent),
                    kept="They were not changed.",
                )
            presumed = store.settle([one.run for one in done.silent], presume_lost=True)
            done = type(done)((*done.lost, *presumed.lost), presumed.silent)
        if as_json:
            output.print_json(
                {
                    "lost": [{"uid": one.uid, "error": one.error} for one in done.lost],
                    "silent": [{"uid": one.run.uid, "reason": one.reason} for one in done.silent],
                }
            )
            return
        names = iter(short_names([*done.lost, *(one.run for one in done.silent)]))
        for run in done.lost:
            output.say(f"{next(names)}  lost: {run.error}")
        for one in done.silent:
            output.say(f"{next(names)}  {lifetime_text(one.run)}: {one.reason}")
        if not (done.lost or done.silent):
            output.say("runstore: there are no silent runs.", err=True)
