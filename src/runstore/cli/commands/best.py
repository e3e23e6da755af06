"""runstore best: rank settings by a metric, and list statistical ties."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.comparisons.options import level_option, over_option
from runstore.cli.completions import complete_experiments, complete_metrics
from runstore.cli.context import for_this_store, open_store
from runstore.cli.options import json_option, words_argument
from runstore.cli.words import runs_meant
from runstore.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.repeats.grouping import Group
    from runstore.repeats.ranking import Ranking

_COLUMNS = (
    output.TableColumn("rank", narrowest=4, rank=4),
    output.TableColumn("group", narrowest=12, rank=0, wraps=True),
    output.TableColumn("n", narrowest=2, rank=5),
    output.TableColumn("mean", rank=2, is_number=True),
    output.TableColumn("interval", rank=3, is_number=True),
    output.TableColumn("verdict", narrowest=19, rank=1, wraps=True),
)
_METRICS_LISTED = 12
_RUNS_LISTED = 8


@click.command(short_help="Rank settings by a metric, with statistics over seeds.")
@words_argument("[EXPERIMENT | RUN]... [FILTER]", complete_experiments)
@click.option(
    "-m",
    "--metric",
    metavar="KEY",
    shell_complete=complete_metrics,
    help="Metric to rank by: acc (its last value), or acc.max, .min, .mean, .first, .count."
    " Optional if the runs have only one.",
)
@over_option
@click.option(
    "--max/--min",
    "is_max",
    default=None,
    help="Direction: higher or lower is better (default: the direction set with `runstore"
    " direction`, or else that of the metric's name).",
)
@level_option
@click.option(
    "--by-code", is_flag=True, help="Group runs of different commits or changes separately."
)
@json_option
def command(
    words: Sequence[str],
    metric: str | None,
    over: Sequence[str],
    level: float,
    *,
    is_max: bool | None,
    by_code: bool,
    as_json: bool,
) -> None:
    """Rank the settings of runs by a metric.

    \b
    runstore best mnist -m acc.max
    runstore best mnist "params.lr < 0.1 and started > '1 week ago'" -m val/loss

    If each setting ran once, runs are ranked by value. Runs that differ only in their seed form a
    group, ranked by its mean, and groups that are statistically tied with the best are listed.
    Only complete runs count. By default, a seed is a parameter called seed, random_state,
    rng_seed or random_seed, at any level.
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.repeats.ranking import best

    with open_store() as store:
        runs = runs_meant(store, words)
        ranking = best(
            runs,
            metric if metric is not None else _only_metric(runs, words),
            over=over or None,
            direction=None if is_max is None else "max" if is_max else "min",
            level=level,
            by_code=by_code,
        )
        if as_json:
            output.print_json(_as_json(ranking))
            return
        from runstore.cli.comparisons.lines import print_remark

        _print(ranking)
        for remark in _remarks(ranking, is_chosen=is_max is not None):
            print_remark(remark)


def _only_metric(runs: Sequence[Run], words: Sequence[str]) -> str:
    """Return the metric of runs that have only one."""
    from runstore.model.display.suggestions import some_of
    from runstore.model.metric_directions import direction_of
    from runstore.model.status import Status
    from runstore.repeats.values import metric_counts

    counts = metric_counts(runs)
    counts = {key: n for key, n in counts.items() if not key.startswith("system/")} or counts
    if not counts and runs and not any(run.status is Status.COMPLETE for run in runs):
        statuses = Counter(run.status_text for run in runs)
        found = ", ".join(f"{n} {name}" for name, n in statuses.most_common())
        raise NotFoundError(
            f"No run is complete: {found}.",
            hint="Only complete runs are ranked. List the others with: runstore ls",
        )
    if not counts:
        raise NotFoundError(
            "None of these complete runs has a metric." if runs else "No run matches.",
            hint="Log one with: run.log(acc=0.9)",
        )
    if len(counts) == 1:
        return next(iter(counts))
    most = max(counts.values())
    texts = [key if n == most else f"{key} (in {n} of {most} runs)" for key, n in counts.items()]
    likely = next((key for key in counts if direction_of(key)), next(iter(counts)))
    command = " ".join(map(shlex.quote, ("runstore", "best", *words, "-m", likely)))
    raise UsageError(
        f"These runs have {len(counts)} metrics: {some_of(texts, _METRICS_LISTED)}.",
        hint=f"Choose one: {command}",
    )


def _print(ranking: Ranking) -> None:
    if not ranking.best.is_by_value:
        output.print_table(_COLUMNS, list(ranking.rows()))
        return
    headers, rows = ranking.value_table()
    ranks = {"run": 0, "rank": 2, "n": 3}
    columns = [
        output.TableColumn(
            name,
            narrowest=4 if name == "rank" else 8,
            # Values are shown even if settings do not fit.
            rank=ranks.get(name, 1) if at < len(headers) - _settings(ranking) else 4,
        )
        for at, name in enumerate(headers)
    ]
    output.print_table(columns, list(rows))


def _settings(ranking: Ranking) -> int:
    return len(ranking.groups[0].group.settings)


def _remarks(ranking: Ranking, *, is_chosen: bool) -> Iterator[str]:
    from runstore.cli.comparisons.over_table import over_text

    yield ranking.conclusion
    if not ranking.best.is_by_value:
        yield over_text(ranking)
    if ranking.winner is not None:
        yield _runs_text(ranking.winner)
    direction = ranking.best.direction
    key = shlex.quote(ranking.metric.key)
    if direction is None:
        setting = for_this_store(f"set it with: runstore direction set {key} max")
        yield (
            f"Higher values of {ranking.metric.key} come first, since its name does not suggest a"
            f" direction. Use --max or --min, or {setting}"
        )
    elif not is_chosen:
        good, other = ("higher", "--min") if direction == "max" else ("lower", "--max")
        yield f"Assuming {good} is better; use {other} to change it."
    yield from ranking.remarks


def _runs_text(group: Group) -> str:
    """Return the names of the runs of a group."""
    from runstore.model.display.short_names import short_names
    from runstore.model.display.suggestions import some_of

    return f"Runs of {group.label}: {some_of(short_names(group.runs), _RUNS_LISTED)}."


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
