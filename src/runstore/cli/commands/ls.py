"""runstore ls: list runs, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from runstore.cli import output
from runstore.cli.completions import complete_experiments
from runstore.cli.context import open_store
from runstore.cli.options import json_option, limit_option
from runstore.cli.words import filter_text, is_filter, tell_hints
from runstore.errors import UsageError
from runstore.model.arguments import PAGE_LIMIT
from runstore.model.display.as_json import run_as_json
from runstore.model.display.formatting import local_time
from runstore.model.display.suggestions import some_of
from runstore.model.run import Run
from runstore.reading.pages import Page
from runstore.reading.shown.facts import lifetime_text
from runstore.store import Store

_COLUMNS = (
    output.TableColumn("run", narrowest=26, rank=0, keeps_end=True),
    output.TableColumn("status", narrowest=11, rank=1, styles=output.STATUS_STYLES),
    output.TableColumn("started", narrowest=19, rank=3),
    output.TableColumn("took", narrowest=20, rank=2),
    output.TableColumn("parameters", narrowest=10, rank=4),
    output.TableColumn("notes", narrowest=10, rank=5),
)


@click.command(short_help="List runs, newest first.")
@click.argument(
    "words", metavar="[EXPERIMENT] [FILTER]", nargs=-1, shell_complete=complete_experiments
)
@limit_option("Runs per page.", most=PAGE_LIMIT)
@click.option("--after", metavar="CURSOR", help="Go on where a page ended.")
@click.option("--sort", metavar="KEY", help="As order by: metrics.loss.min, 'started desc'.")
@click.option(
    "--columns", metavar="NAMES", help="Columns, such as run,params.lr,metrics,tags.phase."
)
@click.option("--sets", is_flag=True, help="A row for each parameter set of a run.")
@click.option(
    "--group-by",
    metavar="FIELD",
    help="A row for each value of a field, such as experiment, status, params.model; --columns"
    " names metrics to sum up.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "json", "jsonl", "csv", "markdown", "parquet")),
    default="table",
    show_default=True,
    help="How to print.",
)
@json_option
def command(
    words: Sequence[str],
    limit: int,
    after: str | None,
    sort: str | None,
    columns: str | None,
    form: str,
    group_by: str | None,
    *,
    sets: bool,
    as_json: bool,
) -> None:
    """List runs, newest first; all of them, those of EXPERIMENT, or those that FILTER accepts.

    \b
    runstore ls mnist
    runstore ls "params.lr > 0.01 and status = error"
    runstore ls mnist --sort metrics.loss.min --columns run,params,metrics.loss
    runstore ls @good
    runstore ls --group-by experiment --columns metrics.acc

    @good is a filter kept with `runstore query save good "…"`.
    In a pipe there is one line per run with tabs between the columns.
    """  # noqa: D301 - click keeps lines after the mark as they are
    form = "json" if as_json and (group_by or columns or sets or form != "table") else form
    with open_store() as store:
        if group_by is not None:
            if after or sets:
                raise UsageError("--group-by has neither pages nor sets.", hint="Add -n.")
            _print_groups(store, words, group_by, sort, columns, limit, form)
            return
        page = _found(store, words, sort, limit, after)
        tell_hints(page)
        if form != "table" or columns or sets:
            from runstore.cli.lists.formats import print_runs
            from runstore.reading.unknown_names import is_known_column

            known = partial(is_known_column, store.backend)
            print_runs(page.table(sets=sets), _names(columns), form, known)
            _tell_more(page)
            return
    if as_json:
        output.print_json({"runs": [run_as_json(run) for run in page], "next": page.next})
        return
    if not page.items:
        output.say("runstore: there are no runs.", err=True)
        return
    output.print_table(_COLUMNS, [_row(run) for run in page])
    _tell_more(page)


def _print_groups(
    store: Store,
    words: Sequence[str],
    by: str,
    sort: str | None,
    columns: str | None,
    limit: int,
    form: str,
) -> None:
    from runstore.cli.lists.groups import print_groups

    experiment, where = _asked(store, words)
    print_groups(
        store,
        by,
        experiment,
        where,
        sort=sort,
        columns=_names(columns),
        limit=limit,
        form=form,
    )


def _tell_more(page: Page[Run]) -> None:
    if page.next is not None:
        output.say(f"There are more: add --after {page.next}", err=True)


def _names(columns: str | None) -> list[str]:
    return [one.strip() for one in (columns or "").split(",") if one.strip()]


def _found(
    store: Store, words: Sequence[str], sort: str | None, limit: int, after: str | None
) -> Page[Run]:
    """Return the page that was asked for; what has no sign of a filter is an experiment."""
    experiment, where = _asked(store, words)
    if not where and sort is None:
        return store.list(experiment, limit=limit, after=after)
    text = f"{where} order by {sort}" if sort else where
    return store.find(text, experiment=experiment, limit=limit, after=after)


def _asked(store: Store, words: Sequence[str]) -> tuple[str | None, str]:
    """Return the experiment and the filter, where there is one."""
    experiment = words[0] if words and not is_filter(store, words[0]) else None
    return experiment, " ".join(filter_text(store, one) for one in words[experiment is not None :])


def _row(run: Run) -> tuple[str, ...]:
    return (
        run.reference,
        run.status_text,
        local_time(run.started_at),
        lifetime_text(run),
        _parameters(run),
        run.notes or "",
    )


def _parameters(run: Run) -> str:
    """Return the values of a single set, or the names of several."""
    sets = run.parameter_sets
    if len(sets) == 1:
        return sets[0].preview()
    return some_of([one.name for one in sets])
