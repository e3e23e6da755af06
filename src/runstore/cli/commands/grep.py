"""runstore grep: search notes, errors and output of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.completions import complete_experiments, listed_after
from runstore.cli.context import open_store
from runstore.cli.exit_codes import NOTHING_FOUND
from runstore.cli.options import json_option, limit_option, words_argument
from runstore.cli.words import place_meant, tell_hints
from runstore.model.arguments import PAGE_LIMIT
from runstore.model.display.as_json import as_utc, optional_utc
from runstore.model.run import status_word, time_of

if TYPE_CHECKING:
    from runstore.model.text.matches import FoundTexts
    from runstore.reading.pages import Page

_FIELDS = ("notes", "error", "output")


def _fields(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(name.strip() for text in given for name in text.split(",")) or _FIELDS


@click.command(short_help="Search notes, errors and output.")
@click.argument("text")
@words_argument("[EXPERIMENT] [FILTER]", complete_experiments)
@click.option("-i", "--ignore-case", is_flag=True, help="Ignore case.")
@click.option("-E", "--regexp", is_flag=True, help="Treat TEXT as a regular expression.")
@click.option(
    "--in",
    "fields",
    multiple=True,
    metavar="FIELDS",
    callback=_fields,
    shell_complete=lambda _context, _parameter, begun: listed_after(begun, _FIELDS),
    help="Texts to search: notes, error (with its traceback), output (default: all).",
)
@click.option("-l", "--runs", "only_runs", is_flag=True, help="Print only the names of the runs.")
@limit_option("Maximum number of runs.", most=PAGE_LIMIT)
@click.option(
    "-m",
    "--max-count",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="Maximum number of lines of each run; 0 for all.",
)
@click.option(
    "-C",
    "--context",
    default=0,
    metavar="N",
    type=click.IntRange(0, 1000),
    help="Number of lines to print before and after each match.",
)
@click.option("-t", "--times", is_flag=True, help="Print the time of each line of output.")
@click.option("--after", metavar="CURSOR", help="Cursor printed by the previous page.")
@json_option
def command(
    text: str,
    words: Sequence[str],
    fields: Sequence[str],
    limit: int,
    max_count: int,
    context: int,
    after: str | None,
    *,
    ignore_case: bool,
    regexp: bool,
    only_runs: bool,
    times: bool,
    as_json: bool,
) -> int:
    """Show lines of notes, errors and output that contain TEXT, newest runs first.

    \b
    runstore grep "CUDA out of memory"
    runstore grep -i warmup mnist
    runstore grep -E "loss: (nan|inf)" "params.lr > 0.01" --in output
    runstore grep -C 3 Traceback latest

    TEXT is a literal text within one line; write -- before a text that begins with a dash. The
    search covers all runs, the runs of EXPERIMENT, a single run, or the runs that match FILTER.

    In a pipe, each match is one tab-separated line: run, field, number, text. With -C, a match
    has a colon after its number, and lines of context have a dash. The exit code is 1 if nothing
    is found.
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        experiment, where = place_meant(store, words)
        page = store.grep(
            text,
            where,
            experiment=experiment,
            fields=fields,
            regexp=regexp,
            ignore_case=ignore_case,
            lines=1 if only_runs else max_count or None,
            context=0 if only_runs else context,
            limit=limit,
            after=after,
        )
        tell_hints(page)
    if as_json:
        output.print_json(
            {
                "found": [_as_json(one, has_lines=not only_runs) for one in page],
                "next": page.next,
            }
        )
    elif only_runs:
        for one in page:
            output.say(one.run.reference)
    elif page.items:
        from runstore.cli.lists.found_lines import print_found

        print_found(page, has_context=context > 0, with_times=times)
    if not as_json:
        _tell(page, lines_matter=not only_runs)
    return 0 if page.items else NOTHING_FOUND


def _tell(page: Page[FoundTexts], *, lines_matter: bool) -> None:
    """Report the lines and runs that were left out."""
    if not page.items:
        output.say("runstore: Nothing was found.", err=True)
    if lines_matter and any(one.has_more for one in page):
        output.say("runstore: Some runs have more lines: add -m 0", err=True)
    if page.next is not None:
        output.say(f"runstore: There are more runs: add --after {page.next}", err=True)


def _as_json(found: FoundTexts, *, has_lines: bool) -> dict[str, Any]:
    run = found.run
    named = {
        "reference": run.reference,
        "uid": run.uid,
        "experiment_name": run.experiment_name,
        "status": status_word(run),
        "started_at": optional_utc(time_of(run, "started_at")),
    }
    if not has_lines:
        return named
    return {
        **named,
        "lines": [
            {
                "field": line.field,
                "number": line.number,
                "text": line.text,
                "spans": line.spans,
                "before": line.before,
                "after": line.after,
                "at": None if line.at is None else as_utc(line.at),
                "stream": line.stream,
            }
            for line in found.lines
        ],
        "has_more": found.has_more,
    }
