"""runstore show: one run, its most important parts first."""

from __future__ import annotations

from itertools import chain

import click

from runstore.cli import output
from runstore.cli.completions import complete_documents
from runstore.cli.context import open_store
from runstore.cli.options import json_option, refuse_together, run_argument
from runstore.cli.words import one_run
from runstore.errors import NotFoundError, quoted
from runstore.model.display.formatting import local_time
from runstore.model.run import Run
from runstore.store import Store


@click.command(short_help="Show one run.")
@run_argument(default="latest")
@json_option
@click.option(
    "--full",
    is_flag=True,
    help="Show everything, including environment, samples of the machine and edits.",
)
@click.option("--history", is_flag=True, help="Show only the edits, each with its old value.")
@click.option(
    "--document",
    metavar="NAME",
    shell_complete=complete_documents,
    help="Captured text to print: patch, packages, untracked, modules or cells.",
)
@click.option("--patch", "document", flag_value="patch", help="Same as --document patch.")
@click.option("--packages", "document", flag_value="packages", help="Same as --document packages.")
@click.option("--no-pager", is_flag=True, help="Do not use a pager.")
def command(
    run: str, document: str | None, *, as_json: bool, full: bool, history: bool, no_pager: bool
) -> None:
    """Show RUN (default: the newest): status, parameters, metrics, notes, artifacts and code.

    RUN is mnist#7, mnist#-1 (the newest of mnist), latest, a reference, a unique prefix of one, or
    a uid. For an experiment or a filter, the newest run is shown.

    If the text does not fit on the terminal, it is shown in $PAGER or less.
    """
    refuse_together(("--full", full), ("--history", history), (f"--document {document}", document))
    refuse_together(("--json", as_json), (f"--document {document}", document))
    with open_store() as store:
        found = one_run(store, run)
        if document is not None:
            output.print_raw(_document(store, found, document))
        elif history:
            _print_history(store, found, as_json=as_json)
        elif as_json:
            from runstore.reading.grid.record import full_record

            output.print_json(full_record(store.backend, found))
        else:
            _print(store, found, is_full=full, has_pager=not no_pager)


def _print(store: Store, run: Run, *, is_full: bool, has_pager: bool) -> None:
    from runstore.cli.shown.full import full_sections
    from runstore.cli.shown.layout import plain_lines, terminal_lines
    from runstore.cli.shown.pager import print_pages

    if not output.is_terminal():
        output.say_lines(plain_lines(full_sections(store, run, is_brief=not is_full)))
        return
    width, _ = output.terminal_size()
    if is_full:
        lines = list(terminal_lines(full_sections(store, run), width))
    else:
        from runstore.cli.shown.brief import brief_sections, heading

        head = heading(run, width)
        lines = list(chain(head, terminal_lines(brief_sections(store, run), width)))
    print_pages(lines, has_pager=has_pager)


def _document(store: Store, run: Run, name: str) -> str:
    text = store.document(run.uid, name)
    if text is None:
        known = ", ".join(store.documents(run.uid)) or "none"
        raise NotFoundError(
            f"{run.reference} has no document {quoted(name)}.", hint=f"It has: {known}."
        )
    return text


def _print_history(store: Store, run: Run, *, as_json: bool) -> None:
    events = store.events(run.uid)
    if as_json:
        from runstore.model.display.as_json import event_as_json

        output.print_json([event_as_json(event) for event in events])
    elif events:
        from runstore.cli.shown.full import edit_line
        from runstore.cli.shown.layout import PagePart, plain_lines, terminal_lines

        edits = [PagePart("", [(local_time(event.at), edit_line(event)) for event in events])]
        if output.is_terminal():
            for line in terminal_lines(edits, output.terminal_size()[0]):
                output.say_coloured(line)
        else:
            output.say_lines(plain_lines(edits))
    else:
        output.say(f"runstore: {run.reference} has no edits.", err=True)
