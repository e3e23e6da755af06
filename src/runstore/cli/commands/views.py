"""runstore views: save filters under a name, for `runstore ls @name`."""

from __future__ import annotations

import click

from runstore.cli import output
from runstore.cli.completions import complete_filters
from runstore.cli.context import open_store
from runstore.cli.options import json_option


@click.group(short_help="Save filters under a name.")
def command() -> None:
    """Save filters under a name in the store.

    Use `@name` in place of a FILTER.

    \b
    runstore views save good "metrics.acc.max > 0.9"
    runstore ls @good
    """  # noqa: D301 - click keeps lines after the mark as they are


@command.command()
@click.argument("name", shell_complete=complete_filters)
@click.argument("text", metavar="FILTER")
def save(name: str, text: str) -> None:
    """Save FILTER as NAME, replacing any filter of that name."""
    with open_store() as store:
        store.queries[name] = text


@command.command("ls")
@json_option
def list_all(*, as_json: bool) -> None:
    """List the saved filters."""
    with open_store() as store:
        kept = dict(store.queries)
    if as_json:
        output.print_json(kept)
        return
    for name, text in kept.items():
        output.say(f"@{name}\t{text}")


@command.command()
@click.argument("name", shell_complete=complete_filters)
def rm(name: str) -> None:
    """Remove the filter NAME."""
    with open_store() as store:
        del store.queries[name]
