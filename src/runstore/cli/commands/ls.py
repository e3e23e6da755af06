"""runstore ls: list runs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.completions import complete_columns, complete_experiments
from runstore.cli.context import for_this_store, open_store
from runstore.cli.options import json_option, refuse_together, words_argument
from runstore.cli.words import place_meant, tell_hints
from runstore.errors import UsageError, quoted
from runstore.model.display.formatting import counted
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.model.query.tree import Query
    from runstore.model.run import Run
    from runstore.reading.pages import Page
    from runstore.store import Store

_ROWS = 20  # default number of runs in a table
_NOTHING = "runstore: There are no runs yet; record one with: runstore exec -- COMMAND"
_ALL_IN_TRASH = "runstore: All runs are in the trash; list them with: runstore trash"


class _ListRequest(NamedTuple):
    """The requested runs: of an experiment, by a filter, in an order."""

    experiment: str | None
    where: str
    sort: str | None
    is_reversed: bool = False


@click.command(short_help="List runs, newest first.")
@words_argument("[EXPERIMENT | RUN] [FILTER]", complete_experiments)
@click.option(
    "-n",
    "--limit",
    metavar="N",
    type=click.IntRange(0),
    help="Number of runs, 0 for all (default: 20 in a table, all in other formats).",
)
@click.option("--all", "is_all", is_flag=True, help="All runs.")
@click.option("--after", metavar="CURSOR", help="Cursor printed by the previous page.")
@click.option(
    "--sort",
    metavar="KEY",
    shell_complete=complete_columns,
    help="Sort key, such as metrics.loss.min or 'lr desc'.",
)
@click.option("-r", "--reverse", is_flag=True, help="Reverse the order: oldest or largest first.")
@click.option(
    "--columns",
    metavar="NAMES",
    shell_complete=complete_columns,
    help="Columns, such as run,params.lr,metrics,tags.phase.",
)
@click.option("--sets", is_flag=True, help="One row for each parameter set of a run.")
@click.option(
    "--group-by",
    metavar="FIELD",
    shell_complete=complete_columns,
    help="One row for each value of a field, such as experiment, status, params.model; --columns"
    " names the metrics to summarize.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "json", "jsonl", "csv", "markdown", "parquet")),
    default="table",
    show_default=True,
    help="Output format.",
)
@json_option
def command(
    words: Sequence[str],
    limit: int | None,
    after: str | None,
    sort: str | None,
    columns: str | None,
    form: str,
    group_by: str | None,
    *,
    is_all: bool,
    reverse: bool,
    sets: bool,
    as_json: bool,
) -> None:
    """List runs, newest first: all runs, the runs of EXPERIMENT, or the runs that match FILTER.

    \b
    runstore ls mnist
    runstore ls "params.lr > 0.01 and status = error"
    runstore ls mnist --sort metrics.loss.min
    runstore ls mnist --columns run,params,metrics.loss --all
    runstore ls @good
    runstore ls --group-by experiment --columns metrics.acc

    @good is a filter saved with `runstore views save good "…"`.

    On a terminal, the list shows the parameters that differ, the last values of the most common
    metrics, and the sort key. In a pipe, the list is tab-separated, with one line per run, and one
    column each for parameters, metrics and tags. The formats json, jsonl, csv, markdown and
    parquet contain all runs by default. --json prints a nested object per run, like
    `runstore show --json`; --format json prints a flat row per run, like csv.
    """  # noqa: D301 - click keeps lines after the mark as they are
    refuse_together(("--all", is_all), ("-n", limit))
    refuse_together(("--json", as_json), (f"--format {form}", form not in {"table", "json"}))
    is_list = form == "table" and not (as_json or sets or columns)
    if as_json and (group_by or columns or sets or form != "table"):
        form = "json"
    if limit is None and not is_all and form == "table" and not as_json:
        limit = _ROWS
    wanted = None if is_all else limit or None
    with open_store() as store:
        if group_by is not None:
            if after or sets:
                raise UsageError(
                    "--group-by cannot be combined with --after or --sets.", hint="Add -n."
                )
            asked = _asked(store, words, _turned(sort or "started desc") if reverse else sort)
            _print_groups(store, asked, group_by, columns, wanted, form)
            return
        asked = _asked(store, words, _sort_key(sort, is_reversed=reverse), is_reversed=reverse)
        query, page = _found(store, asked, wanted, after)
        tell_hints(page)
        if is_list:
            _print_list(store, page, query)
        elif as_json and form == "table":
            _print_json(page)
            return
        else:
            from runstore.cli.lists.formats import print_page

            print_page(store, page, _names(columns), form, sets=sets)
        _say_more(store, page, query, asked.experiment, after)
        if store.backend.server is not None:
            _tell_waiting(store)


def _sort_key(sort: str | None, *, is_reversed: bool) -> str | None:
    """Return the sort key with its direction."""
    if sort is None:
        return None
    from runstore.model.query.spelling import listed_names

    if sort.startswith("-"):
        first, *rest = listed_names(sort[1:])
        raise UsageError(
            f"--sort: {quoted(sort)} is not a sort key.",
            hint=f"For the largest first, write '{', '.join((f'{first} desc', *rest))}'.",
        )
    return ", ".join(map(_turned, listed_names(sort))) if is_reversed else sort


def _turned(key: str) -> str:
    name, _, direction = key.rpartition(" ")
    if name and direction.lower() in {"asc", "desc"}:
        return name if direction.lower() == "desc" else f"{name} desc"
    return f"{key} desc"


def _asked(
    store: Store, words: Sequence[str], sort: str | None, *, is_reversed: bool = False
) -> _ListRequest:
    experiment, where = place_meant(store, words)
    if sort is not None:
        from runstore.reading.filters.unknown_names import with_namespaces

        sort = with_namespaces(store.backend, sort)
    return _ListRequest(experiment, where, sort, is_reversed)


def _found(
    store: Store, asked: _ListRequest, limit: int | None, after: str | None
) -> tuple[Query | None, Page[Run]]:
    """Return the query (None without filter and order) and its runs."""
    if not (asked.where or asked.sort or asked.is_reversed):
        return None, store.list(asked.experiment, limit=limit, after=after)
    query = _in_order(store, asked)
    return query, store.find(query, limit=limit, after=after)


def _in_order(store: Store, asked: _ListRequest) -> Query:
    """Return the query with its order: that of the options, or else its own, maybe reversed."""
    from runstore.reading.find import query_of
    from runstore.value_classes import replace

    query = query_of(store.backend, asked.where, asked.experiment)
    if sort := asked.sort or ("started" if asked.is_reversed and not query.order else ""):
        if query.order:
            raise UsageError(
                "The filter already has `order by`; --sort adds a second order.",
                hint="Leave out --sort, or `order by` in the filter.",
            )
        order = query_of(store.backend, f"order by {sort}", None).order
    elif asked.is_reversed:
        order = tuple(replace(one, is_descending=not one.is_descending) for one in query.order)
    else:
        return query
    return replace(query, order=order)


def _print_groups(
    store: Store, asked: _ListRequest, by: str, columns: str | None, limit: int | None, form: str
) -> None:
    from runstore.cli.lists.groups import print_groups

    print_groups(
        store,
        by,
        asked.experiment,
        asked.where,
        sort=asked.sort,
        columns=_names(columns),
        limit=limit,
        form=form,
    )


def _print_list(store: Store, page: Page[Run], query: Query | None) -> None:
    if not page:
        if query:
            text = "runstore: No run matches this filter."
        else:
            text = for_this_store(_ALL_IN_TRASH if store.trash(limit=1) else _NOTHING)
        output.say(text, err=True)
        return
    from runstore.cli.lists.runs import print_runs

    print_runs(page.parts(), query.order if query else ())


def _print_json(page: Page[Run]) -> None:
    from runstore.reading.grid.record import listed_records

    output.print_json_parts("runs", listed_records(page.parts()), {"next": page.next})


def _say_more(
    store: Store,
    page: Page[Run],
    query: Query | None,
    experiment: str | None,
    after: str | None,
) -> None:
    """Report the number of runs that are not shown."""
    if page.next is None:
        return
    from runstore.cli.lists.counts import count_text

    total = "" if after else count_text(store, query, experiment)
    # Cursors are for programs, and for people who already use them.
    cursor = f", or --after {page.next}" if after or not output.is_terminal(err=True) else ""
    output.say(f"Showing {len(page):,}{total}; for more: -n N, --all{cursor}", err=True)


def _tell_waiting(store: Store) -> None:
    """Print the number of runs that wait on this machine for the server, if there are any."""
    from runstore.waiting import WaitingRuns

    if waiting := store.backend.part(WaitingRuns).count:
        output.say(
            f"runstore: {counted(waiting, 'run')} of this machine"
            f" {'is' if waiting == 1 else 'are'} not on the server yet."
            f" {for_this_store('To deliver finished runs: runstore push')}",
            err=True,
        )


def _names(columns: str | None) -> list[str]:
    from runstore.model.query.spelling import listed_names

    return [one for one in listed_names(columns or "") if one]
