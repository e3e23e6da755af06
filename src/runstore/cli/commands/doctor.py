"""runstore doctor: check the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.context import for_this_store, open_store
from runstore.cli.dialogs import named_in_lines
from runstore.cli.exit_codes import FAILED
from runstore.cli.options import json_option
from runstore.cli.output import terminal_safe

if TYPE_CHECKING:
    from runstore.model.results.findings import Finding

_STYLES = {"damaged": "bold red", "dangling": "red", "orphaned": "yellow", "unused": "green"}


@click.command(short_help="Check the store for damage and leftovers.")
@click.option("--deep", is_flag=True, help="Also check all contents and the whole database.")
@json_option
@click.pass_context
def command(context: click.Context, *, deep: bool, as_json: bool) -> None:
    """Check the store for damage and leftovers, without changing it.

    \b
    damaged    has changed, or cannot be read
    dangling   refers to something that does not exist
    orphaned   exists without its run
    unused     is intact; `runstore gc` deletes it
    unchecked  has no hash, so changes cannot be detected
    waiting    is on this machine, because its database or bucket was unavailable

    The exit code is 1 if something is damaged, dangling or orphaned.
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        found = store.check(deep=deep)
        place = store.backend.place
        if store.backend.server is not None:
            from runstore.cli.transfers import tell_waiting_elsewhere

            tell_waiting_elsewhere(store)
    if as_json:
        output.print_json({"findings": [_as_json(one) for one in found]})
    else:
        for one in found:
            _print(one)
        if not found:
            output.say(f"runstore: {place!s} is in order.", err=True)
    if any(one.is_trouble for one in found):
        context.exit(FAILED)


def _print(one: Finding) -> None:
    if output.is_terminal():
        from rich.text import Text

        line = Text(one.kind, style=_STYLES.get(one.kind, "")).append(
            f"  {terminal_safe(one.what)}", style="default"
        )
        output.console().print(line, soft_wrap=True)
    else:
        output.say(f"{one.kind}\t{one.what}")
    for name in named_in_lines(one.names):
        output.say(name)
    if one.hint:
        output.say(f"  {for_this_store(one.hint)}")


def _as_json(one: Finding) -> dict[str, object]:
    return {"kind": one.kind, "what": one.what, "names": list(one.names), "hint": one.hint}
