"""runstore best: which settings are best, and what cannot be told apart from them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.comparisons.options import level_option, over_option
from runstore.cli.completions import complete_experiments, complete_metrics
from runstore.cli.context import open_store
from runstore.cli.options import json_option
from runstore.cli.words import runs_meant

if TYPE_CHECKING:
    from runstore.repeats.ranking import Ranking

_COLUMNS = (
    output.TableColumn("rank", narrowest=4, rank=4),
    output.TableColumn("group", narrowest=12, rank=0),
    output.TableColumn("n", narrowest=2, rank=5),
    output.TableColumn("mean", narrowest=8, rank=2),
    output.TableColumn("interval", narrowest=12, rank=3),
    output.TableColumn("verdict", narrowest=22, rank=1),
)


@click.command(short_help="Show which settings are best, and how sure that is.")
@click.argument(
    "words",
    metavar="[EXPERIMENT | RUN]... [FILTER]",
    nargs=-1,
    shell_complete=complete_experiments,
)
@click.option(
    "-m",
    "--metric",
    required=True,
    metavar="KEY",
    shell_complete=complete_metrics,
    help="What is compared: acc, or acc.max, .min, .mean, .first, .last, .count; the last value"
    " by default.",
)
@over_option
@click.option(
    "--max/--min",
    "is_max",
    default=None,
    help="Whether large or small values are good. Default: what `runstore direction` keeps, else"
    " what the metric's name says.",
)
@level_option
@click.option("--by-code", is_flag=True, help="Keep runs of different commits apart.")
@json_option
def command(
    words: Sequence[str],
    metric: str,
    over: Sequence[str],
    level: float,
    *,
    is_max: bool | None,
    by_code: bool,
    as_json: bool,
) -> None:
    """Group runs that differ only in a seed, and tell which group is best.

    \b
    runstore best mnist -m acc.max
    runstore best mnist "params.lr < 0.1 and started > '1 week ago'" -m val/loss

    Groups that cannot be told apart from the one with the best mean are named; the choice of a
    winner among many is allowed for. Only complete runs count. Without --over, repeats differ in
    seed, random_state, rng_seed or random_seed, at any depth.
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.repeats.ranking import best

    with open_store() as store:
        ranking = best(
            runs_meant(store, words),
            metric,
            over=over or None,
            direction=None if is_max is None else "max" if is_max else "min",
            level=level,
            by_code=by_code,
        )
    if as_json:
        output.print_json(_as_json(ranking))
        return
    from runstore.cli.comparisons.lines import tell

    output.print_table(_COLUMNS, list(ranking.rows()))
    for remark in _remarks(ranking, is_chosen=is_max is not None):
        tell(remark)


def _remarks(ranking: Ranking, *, is_chosen: bool) -> Iterator[str]:
    from runstore.cli.comparisons.over_table import over_text

    yield ranking.conclusion
    yield over_text(ranking)
    direction = ranking.best.direction
    if direction is None:
        key = shlex.quote(ranking.metric.key)
        yield f"Use --max or --min, or keep it with: runstore direction set {key} max"
    elif not is_chosen:
        good, other = ("higher", "--min") if direction == "max" else ("lower", "--max")
        yield f"Assuming {good} is better; use {other} to change it."
    yield from ranking.remarks


def _as_json(ranking: Ranking) -> dict[str, Any]:
    from runstore.cli.comparisons.over_table import about, group_as_json
    from runstore.repeats.texts import ends

    groups = {one.group.label: group_as_json(one) for one in ranking.groups}
    return {
        **about(ranking),
        "direction": ranking.best.direction,
        "winner": None if ranking.winner is None else ranking.winner.label,
        "winner_interval": ends(ranking.best.winner_interval),
        "is_decided": ranking.is_decided,
        "cannot_be_told_apart": [one.label for one in ranking.contenders],
        "conclusion": ranking.conclusion,
        "groups": [{**groups[one["group"]], **one} for one in ranking.records()],
        "remarks": list(ranking.remarks),
    }
