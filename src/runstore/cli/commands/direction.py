"""runstore direction: whether small or large values of a metric are better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.completions import complete_metrics
from runstore.cli.context import open_store
from runstore.cli.options import json_option

if TYPE_CHECKING:
    from runstore.model.metric_directions import Direction


@click.group(short_help="Keep whether small or large values of a metric are better.")
def command() -> None:
    """Keep whether small or large values of a metric are better, in the store.

    `runstore best` goes by it before it goes by the metric's name. A direction kept for `fid`
    counts for `val/fid` as well.
    """


@command.command("set")
@click.argument("metric", shell_complete=complete_metrics)
@click.argument("direction", type=click.Choice(["min", "max"]))
def keep(metric: str, direction: Direction) -> None:
    """Keep the DIRECTION of METRIC: min if small values are better, max if large ones are."""
    with open_store() as store:
        store.directions[metric] = direction


@command.command("ls")
@json_option
def list_all(*, as_json: bool) -> None:
    """List the directions that are kept."""
    with open_store() as store:
        kept = dict(store.directions)
    if as_json:
        output.print_json(kept)
        return
    for metric, direction in kept.items():
        output.say(f"{metric}\t{direction}")


@command.command()
@click.argument("metric")
def rm(metric: str) -> None:
    """Forget the direction of METRIC."""
    with open_store() as store:
        del store.directions[metric]
