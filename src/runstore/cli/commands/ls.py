"""runstore ls: list runs, newest first."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.cli import output
from runstore.cli.completions import complete_experiments
from runstore.cli.context import open_store
from runstore.model.legible import local_time
from runstore.model.run import Run
from runstore.pages import Page
from runstore.store import PAGE_LIMIT, Store

_COLUMNS = (
    output.Column("run", narrowest=26, rank=0, keeps_end=True),
    output.Column("status", narrowest=11, rank=1, styles=output.STATUS_STYLES),
    output.Column("started", narrowest=19, rank=3),
    output.Column("took", narrowest=20, rank=2),
    output.Column("parameters", narrowest=10, rank=4),
    output.Column("notes", narrowest=10, rank=5),
)
_SETS_SHOWN = 3


@click.command(short_help="List runs, newest first.")
@click.argument(
    "words", metavar="[EXPERIMENT] [FILTER]", nargs=-1, shell_complete=complete_experiments
)
@click.option(
    "-n",
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, PAGE_LIMIT),
    help="Runs per page.",
)
@click.option("--after", metavar="CURSOR", help="Go on where a page ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(words: Sequence[str], limit: int, after: str | None, *, as_json: bool) -> None:
    """List runs, newest first; all of them, those of EXPERIMENT, or those that FILTER accepts.

    \b
    runstore ls mnist
    runstore ls "params.lr > 0.01 and status = error"
    runstore ls mnist "order by metrics.loss.min"

    In a pipe there is one line per run with tabs between the columns.
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        page = _found(store, words, limit, after)
    if as_json:
        output.print_json({"runs": [output.run_as_json(run) for run in page], "next": page.next})
        return
    if not page.items:
        click.echo("runstore: there are no runs.", err=True)
        return
    output.print_table(_COLUMNS, [_row(run) for run in page])
    if page.next is not None:
        click.echo(f"There are more: add --after {page.next}", err=True)


def _found(store: Store, words: Sequence[str], limit: int, after: str | None) -> Page[Run]:
    """Return the page that was asked for; what has no sign of a filter is an experiment."""
    if not words:
        return store.list(limit=limit, after=after)
    if len(words) == 1 and not _is_filter(words[0]):
        return store.list(words[0], limit=limit, after=after)
    experiment, filters = (None, words) if _is_filter(words[0]) else (words[0], words[1:])
    return store.find(" ".join(filters), experiment=experiment, limit=limit, after=after)


def _is_filter(word: str) -> bool:
    return any(sign in word for sign in " =<>~")


def _row(run: Run) -> tuple[str, ...]:
    return (
        run.reference,
        run.status.value,
        local_time(run.started_at),
        output.lifetime_text(run),
        _parameters(run),
        run.notes or "",
    )


def _parameters(run: Run) -> str:
    """Return the values of a single set, or the names of several."""
    sets = run.parameter_sets
    if len(sets) == 1:
        return sets[0].preview()
    shown = ", ".join(one.name for one in sets[:_SETS_SHOWN])
    more = f" and {len(sets) - _SETS_SHOWN} more" if len(sets) > _SETS_SHOWN else ""
    return shown + more
