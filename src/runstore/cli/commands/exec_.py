"""runstore exec: run any command, of any language, as a run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from runstore.cli.already_ran import chosen, if_done_option, skipping
from runstore.cli.context import open_store
from runstore.cli.options import mask_output_option
from runstore.cli.output import say


@click.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run any command as a run.",
)
@click.option("--experiment", metavar="NAME", help="Experiment; by default named by the command.")
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="A parameter to record."
)
@click.option("--notes", metavar="TEXT", help="What the run is about.")
@click.option(
    "--use", "uses", metavar="PATH", multiple=True, help="A file or folder that it reads."
)
@click.option(
    "--save", "saves", metavar="PATH", multiple=True, help="A file or folder to keep at the end."
)
@mask_output_option
@if_done_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(
    experiment: str | None,
    settings: Sequence[str],
    notes: str | None,
    uses: Sequence[str],
    saves: Sequence[str],
    if_done: str | None,
    command: Sequence[str],
) -> None:
    """Run COMMAND and record it: its output, its exit code, how it ended.

    Its output is shown as ever and kept beside the store, signals are passed on, and its exit
    code is the one of this command. Runs that it records itself belong to this one. It logs
    metrics and saves files with `runstore metric`, `runstore save`, or lines in $RUNSTORE_LOG.

    \b
    runstore exec -- python train.py --lr 0.1
    runstore exec --experiment fit -- Rscript fit.R data.csv
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.runner import overrides
    from runstore.runner.command import check_command, run_command
    from runstore.runner.signals import held_back

    check_command(command)
    params = overrides.built(settings) if settings else None
    wanted = chosen(if_done, "run")
    with held_back(), open_store(create=True) as store, skipping(wanted):
        ended = run_command(
            store,
            command,
            experiment=experiment,
            params=params,
            notes=notes,
            if_done=wanted,
            uses=uses,
            saves=saves,
        )
    if ended.error is not None:
        say(f"runstore: {ended.reference}: {ended.status}: {ended.error}", err=True)
    sys.exit(ended.exit_code)
