"""runstore direction: set the direction of a metric: lower or higher is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.completions import complete_directed, complete_metrics
from runstore.cli.context import open_store
from runstore.cli.options import json_option

if TYPE_CHECKING:
    from runstore.model.metric_directions import Direction


@click.group(short_help="Set the direction of a metric: lower or higher is better.")
def command() -> None:
    """Set the direction of a metric: lower or higher is better.

    It is stored and used by `runstore best`, which otherwise guesses from the metric's name.
    The direction of `fid` applies to `val/fid` as well.

    \b
    runstore direction set fid min
    """  # noqa: D301 - click keeps lines after the mark as they are


@command.command("set")
@click.argument("metric", shell_complete=complete_metrics)
@click.argument("direction", type=click.Choice(["min", "max"]))
def keep(metric: str, direction: Direction) -> None:
    """Set the DIRECTION of METRIC: min if lower is better, max if higher is better."""
    with open_store() as store:
        store.directions[metric] = direction


@command.command("ls")
@json_option
def list_all(*, as_json: bool) -> None:
    """List the directions."""
    with open_store() as store:
        kept = dict(store.directions)
    if as_json:
        output.print_json(kept)
        return
    for metric, direction in kept.items():
        output.say(f"{metric}\t{direction}")


@command.command()
@click.argument("metric", shell_complete=complete_directed)
def rm(metric: str) -> None:
    """Remove the direction of METRIC."""
    with open_store() as store:
        del store.directions[metric]
