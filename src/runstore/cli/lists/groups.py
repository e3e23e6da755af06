"""`runstore ls --group-by`: a row for each group of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runstore.cli.lists.formats import print_table_of
from runstore.cli.output import say
from runstore.errors import UsageError
from runstore.reading.find import query_of
from runstore.reading.groups import GroupsTable, field_of_text, sorted_by
from runstore.reading.unknown_names import unknown_names

if TYPE_CHECKING:
    from runstore.store import Store

_METRICS = "metrics."


def print_groups(
    store: Store,
    by: str,
    experiment: str | None,
    where: str,
    *,
    sort: str | None,
    columns: Sequence[str],
    limit: int,
    form: str,
) -> None:
    """Print groups of runs in one of the formats of `ls`.

    Args:
        store: Where the runs are.
        by: What they are grouped by.
        experiment: Only runs of this experiment.
        where: Only runs that this filter accepts.
        sort: A column of the table, with `desc` for the largest first.
        columns: Metrics to sum up: `metrics.loss`.
        limit: Groups at most.
        form: The format.

    Raises:
        UsageError: A column is no metric, or there is nothing to group or sort by.
    """
    wrong = [one for one in columns if not one.startswith(_METRICS)]
    if wrong:
        raise UsageError(
            f"Groups have no column {wrong[0]!r}.",
            hint="With --group-by, --columns names metrics to sum up: metrics.loss.",
        )
    metrics = [one.removeprefix(_METRICS) for one in columns]
    groups = list(store.group(by, where, experiment=experiment, metrics=metrics))
    for hint in unknown_names(
        store.backend, query_of(store.backend, where, experiment), field_of_text(by)
    ):
        say(f"runstore: {hint}", err=True)
    unknown = [key for key in metrics if groups and not any(key in one.metrics for one in groups)]
    if unknown:
        raise UsageError(f"None of these runs has a metric {unknown[0]!r}.")
    if sort is not None:
        groups = sorted_by(groups, by, sort)
    if not groups and form == "table":
        say("runstore: there are no runs.", err=True)
        return
    table = GroupsTable(by, groups[:limit], metrics)
    print_table_of(table, list(table.columns), form)
    if len(groups) > limit:
        say(f"There are {len(groups) - limit:,} more groups: add -n.", err=True)
