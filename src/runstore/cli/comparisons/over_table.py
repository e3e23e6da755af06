"""Groups of repeats as tables: their means, and the differences between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstore.cli import output
from runstore.cli.comparisons.lines import print_remark
from runstore.errors import UsageError
from runstore.model.display.formatting import counted

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.repeats.ranking import Ranking
    from runstore.repeats.table import RepeatsTable
    from runstore.repeats.values import RankedGroup

_PAIRS_SHOWN = 20

_MEANS = (
    output.TableColumn("group", narrowest=12, rank=0, wraps=True),
    output.TableColumn("n", narrowest=2, rank=2),
    output.TableColumn("mean", rank=1, is_number=True),
    output.TableColumn("interval", rank=3, is_number=True),
)
_DIFFERENCES = (
    output.TableColumn("difference", narrowest=16, rank=0, wraps=True),
    output.TableColumn("by", rank=1, is_number=True),
    output.TableColumn("interval", rank=3, is_number=True),
    output.TableColumn("test", narrowest=9, rank=4, wraps=True),
    output.TableColumn("p", narrowest=7, rank=5),
    output.TableColumn("corrected p", narrowest=11, rank=2),
)


def print_over(
    runs: Iterable[Run],
    over: Sequence[str],
    metric: str,
    level: float,
    *,
    as_json: bool,
) -> None:
    """Print the mean of each group of repeats, and the differences between the groups.

    Raises:
        NotFoundError: No run is complete, or none has the metric.
        UsageError: The level is out of range, or no run has a key of `over`.
    """
    from runstore.repeats.table import compare_over

    table = compare_over(runs, metric, over=over, level=level)
    if as_json:
        output.print_json(_as_json(table))
        return
    output.print_table(_MEANS, list(table.rows()))
    rows = list(table.difference_rows())
    if rows:
        # The most certain differences come first, by a stable sort.
        ps = [1.0 if (p := one.p_corrected) is None else p for one in table.differences]
        by_p = sorted(range(len(rows)), key=ps.__getitem__)
        output.say()
        output.print_table(_DIFFERENCES, [rows[place] for place in by_p[:_PAIRS_SHOWN]])
    for remark in _remarks(table, len(rows)):
        print_remark(remark)


def the_metric(metrics: Sequence[str]) -> str:
    """Return the only requested metric.

    Raises:
        UsageError: There is none, or several.
    """
    if len(metrics) != 1:
        raise UsageError(
            "Groups are compared by one metric.", hint="Name it, such as: --over seed -m acc.max"
        )
    return metrics[0]


def _remarks(table: RepeatsTable, pairs: int) -> Iterator[str]:
    from runstore.repeats.texts import level_text

    level = level_text(table.level)
    yield f"{over_text(table)} Each interval has a confidence level of {level} by itself."
    if pairs > _PAIRS_SHOWN:
        more = counted(pairs - _PAIRS_SHOWN, "more difference is", "more differences are")
        yield f"{more} not shown; --json prints all."
    yield from table.remarks


def over_text(table: RepeatsTable | Ranking) -> str:
    """Return the parameters in which the runs of a group differ, as a sentence."""
    if not table.over:
        return f"Metric: {table.metric}; no run has a parameter called seed."
    return f"Metric: {table.metric}; repeats differ in {', '.join(table.over)}."


def _as_json(table: RepeatsTable) -> dict[str, Any]:
    from runstore.repeats.texts import mean_as_plain

    return {
        **about(table),
        "groups": [
            {**group_as_json(one), **mean_as_plain(mean)}
            for one, mean in zip(table.groups, table.means, strict=True)
        ],
        "differences": list(table.difference_records()),
        "remarks": list(table.remarks),
    }


def about(table: RepeatsTable | Ranking) -> dict[str, Any]:
    """Return the common part of a table and a ranking in JSON."""
    return {
        "metric": table.metric.key,
        "statistic": table.metric.statistic,
        "level": table.level,
        "over": list(table.over),
        "left_out": [{"run": one.name, "reason": one.reason} for one in table.left_out],
    }


def group_as_json(one: RankedGroup) -> dict[str, Any]:
    """Return a group and the value of each of its repeats."""
    return {
        "group": one.group.label,
        "experiment": one.group.experiment_name,
        "commit": one.group.commit,
        "changes": one.group.changes,
        "values": [
            {
                "run": member.run.reference,
                "set_name": member.set_name,
                "over": dict(member.left_out),
                "value": value,
            }
            for member, value in zip(one.group.members, one.sample.values, strict=True)
        ],
    }
