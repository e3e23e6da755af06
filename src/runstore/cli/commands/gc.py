"""runstore gc: delete trashed runs and unreferenced files permanently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.amounts import bytes_text, freed_as_json, freed_text
from runstore.cli.context import open_store
from runstore.cli.dialogs import confirm, named_in_lines
from runstore.cli.grammar.durations import duration
from runstore.cli.options import json_option, yes_option
from runstore.errors import UsageError
from runstore.model.display.formatting import counted
from runstore.model.results.deletion import Amount
from runstore.store import TRASH_KEPT

if TYPE_CHECKING:
    from runstore.model.results.deletion import Collected

_WORTH_SHRINKING_BYTES = 1_000_000


@click.command(short_help="Delete trashed runs and unreferenced files permanently.")
@click.option(
    "--older-than",
    metavar="AGE",
    help="Minimum time in the trash, with a unit, such as '7 days' or 12h (default: 30 days).",
)
@click.option("--trash", is_flag=True, help="Delete all runs in the trash.")
@click.option("--dry-run", is_flag=True, help="List the runs and files, and delete nothing.")
@click.option("--vacuum", is_flag=True, help="Also shrink the database file.")
@yes_option
@json_option
def command(
    older_than: str | None, *, trash: bool, dry_run: bool, vacuum: bool, yes: bool, as_json: bool
) -> None:
    """Permanently delete runs that have been in the trash for 30 days, and unreferenced files.

    This cannot be undone; only the names of deleted runs are kept. Deleting runs needs
    confirmation, or -y. Contents used by other runs are kept, and so are files that are being
    saved.

    \b
    runstore gc --dry-run
    runstore gc --older-than "7 days"
    runstore gc --trash
    """  # noqa: D301 - click keeps lines after the mark as they are
    age = _age(older_than, is_all=trash)
    with open_store() as store:
        found = store.collect_garbage(older_than=age, dry=True)
        if found.runs and not (dry_run or yes):
            confirm(
                "Delete them permanently?",
                [*named_in_lines(found.runs), *_summary(found)],
                kept="Nothing was deleted.",
            )
        if not dry_run:
            found = store.collect_garbage(older_than=age, vacuum=vacuum)
    if as_json:
        output.print_json(_as_json(found))
        return
    for reference in found.runs:
        output.say(reference)
    for line in _summary(found):
        output.say(line, err=not dry_run)


def _age(older_than: str | None, *, is_all: bool) -> timedelta:
    if is_all:
        if older_than is not None:
            raise UsageError("--trash deletes runs of any age.", hint="Leave out --older-than.")
        return timedelta(0)
    if older_than is None:
        return TRASH_KEPT
    return duration(older_than, "--older-than")


def _summary(found: Collected) -> Iterator[str]:
    verb = "would be" if found.is_dry else "were" if len(found.runs) != 1 else "was"
    if found.runs:
        yield f"{counted(len(found.runs), 'run')} {verb} deleted permanently."
    yield f"{'To be freed' if found.is_dry else 'Freed'}: {freed_text(found.freed)}."
    if found.trashed:
        them = counted(found.trashed, "run")
        yield f"{them} in the trash; emptying it (--trash) frees {freed_text(found.trash_frees)}."
    if found.reusable_bytes > _WORTH_SHRINKING_BYTES:
        room = bytes_text(Amount(1, found.reusable_bytes))
        yield f"{room} of the database file are free for new runs; --vacuum shrinks the file."


def _as_json(found: Collected) -> dict[str, Any]:
    return {
        "runs": list(found.runs),
        "is_dry": found.is_dry,
        "freed": freed_as_json(found.freed),
        "rows": found.rows,
        "trashed": found.trashed,
        "trash_frees": freed_as_json(found.trash_frees),
        "reusable_bytes": found.reusable_bytes,
    }
