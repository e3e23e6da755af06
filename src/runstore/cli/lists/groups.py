"""`runstore ls --group-by`: a row for each group of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from runstore.cli.lists.formats import print_table_of
from runstore.cli.output import is_terminal, say
from runstore.errors import UsageError, quoted
from runstore.model.display.formatting import ago_text
from runstore.reading.filters.unknown_names import is_known_column, unknown_names, with_namespaces
from runstore.reading.find import query_of
from runstore.reading.groups import GroupsTable, field_of_text, sorted_by
from runstore.reading.tables.columns import Column, Type

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
    limit: int | None,
    form: str,
) -> None:
    """Print groups of runs in one of the formats of `ls`.

    `columns` are metrics such as `metrics.loss`; `sort` is a column of the table, with `desc` for
    the largest first.

    Raises:
        UsageError: A column is not a metric, or a field cannot group or sort runs.
    """
    by = with_namespaces(store.backend, by)
    columns = [_metric_column(store, one) for one in columns]
    wrong = [one for one in columns if not one.startswith(_METRICS)]
    if wrong:
        raise UsageError(
            f"Groups have no column {quoted(wrong[0])}.",
            hint="With --group-by, --columns names metrics to summarize: metrics.loss.",
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
        say("runstore: No run matches this filter.", err=True)
        return
    table = GroupsTable(by, groups[:limit], metrics)
    if form == "table" and is_terminal():
        now = datetime.now(timezone.utc)
        starts = [one.last_started_at for one in groups[:limit]]
        agos = [None if at is None else ago_text(at, now) for at in starts]
        table.columns["last run"] = Column(Type.TEXT, [one.last_name for one in groups[:limit]])
        table.columns["started"] = Column(Type.TEXT, agos)
    print_table_of(table, form, _ranks(list(table.columns)))
    if limit is not None and len(groups) > limit:
        say(f"Showing {limit:,} of {len(groups):,} groups; for more: -n N, --all", err=True)


def _metric_column(store: Store, name: str) -> str:
    """Return the full name of a metric's column: `metrics.loss` for `loss`."""
    full = f"{_METRICS}{name}"
    return full if is_known_column(store.backend, full) else name


def _ranks(names: Sequence[str]) -> dict[str, int]:
    """Return ranks such that the field, the count and the metrics are left out last."""
    first = [*names[:2], *(name for name in names if name.startswith(_METRICS))]
    rest = [name for name in names if name not in first]
    return {name: rank for rank, name in enumerate([*first, *rest])}
