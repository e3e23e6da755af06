"""runstore verify: check the history of edits."""

from __future__ import annotations

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.exit_codes import FAILED
from runstore.cli.options import json_option


@click.command(short_help="Check the history of edits.")
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Check that no edit of a run was altered, removed or inserted later.

    Each edit of notes, tags and names is recorded as an event, with a hash of its content and of
    all earlier events. If events of a run do not match, the first of them is reported, and the
    exit code is 1.

    \b
    runstore verify
    runstore doctor --deep    also checks metrics, parameters, captured texts and files
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        found = store.verify()
    if as_json:
        output.print_json(
            {
                "events": found.events,
                "not_covered": found.not_covered,
                "problems": list(found.problems),
            }
        )
    else:
        for problem in found.problems:
            output.say(problem)
        intact = "1 event is" if found.events == 1 else f"{found.events:,} events are"
        output.say(f"runstore: {intact} intact.", err=True)
        if found.not_covered:
            old = f"{found.not_covered:,} older without a hash"
            output.say(f"runstore: not covered: {old}.", err=True)
    if found.problems:
        context.exit(FAILED)
