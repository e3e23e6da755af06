"""runstore gc: remove for good what nobody needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.amounts import bytes_text, counted, freed_as_json, freed_text
from runstore.cli.context import open_store
from runstore.cli.options import json_option, yes_option
from runstore.errors import UsageError
from runstore.model.query.times import duration_s
from runstore.model.results.deletion import Amount
from runstore.store import TRASH_KEPT

if TYPE_CHECKING:
    from runstore.model.results.deletion import Collected

_WORTH_SHRINKING_BYTES = 1_000_000


@click.command(short_help="Remove for good what nobody needs.")
@click.option(
    "--older-than",
    metavar="AGE",
    help="How long a run has to be in the trash to go: '7 days', 0; 30 days by default.",
)
@click.option("--trash", is_flag=True, help="Empty the trash: as --older-than 0.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--vacuum", is_flag=True, help="Give free room within the database to the disk too.")
@yes_option
@json_option
def command(
    older_than: str | None, *, trash: bool, dry_run: bool, vacuum: bool, yes: bool, as_json: bool
) -> None:
    """Remove runs for good that were in the trash for long, and files that no run needs.

    What cannot be had back: of runs that are removed only the name stays. Contents that other
    runs have too are kept, and so is whatever is being saved meanwhile. Doing it twice, or with
    files that are gone already, is fine.
    """
    age = _age(older_than, is_all=trash)
    with open_store() as store:
        found = store.collect_garbage(older_than=age, dry=True)
        if found.runs and not (dry_run or yes) and sys.stdin.isatty():
            for line in _told(found):
                output.say(line, err=True)
            click.confirm("Remove this for good?", abort=True, err=True)
        if not dry_run:
            found = store.collect_garbage(older_than=age, vacuum=vacuum)
    if as_json:
        output.print_json(_as_json(found))
        return
    for reference in found.runs:
        output.say(reference)
    for line in _told(found):
        output.say(line, err=not dry_run)


def _age(older_than: str | None, *, is_all: bool) -> timedelta:
    if is_all:
        if older_than is not None:
            raise UsageError("--trash empties the trash.", hint="Leave out --older-than.")
        return timedelta(0)
    if older_than is None:
        return TRASH_KEPT
    with suppress(ValueError):
        seconds = duration_s(older_than, long_units=True)
        if seconds >= 0:
            return timedelta(seconds=seconds)
    raise UsageError(f"{older_than!r} is no duration.", hint="Write '7 days', '12 h' or 0.")


def _told(found: Collected) -> Iterator[str]:
    verb = "would be" if found.is_dry else "were" if len(found.runs) != 1 else "was"
    if found.runs:
        yield f"{counted(len(found.runs), 'run')} {verb} removed for good."
    yield f"{'To be freed' if found.is_dry else 'Freed'}: {freed_text(found.freed)}."
    if found.trashed:
        them = counted(found.trashed, "run")
        yield f"{them} in the trash; emptying it (--trash) frees {freed_text(found.trash_frees)}."
    if found.reusable_bytes > _WORTH_SHRINKING_BYTES:
        room = bytes_text(Amount(1, found.reusable_bytes))
        yield f"{room} of the database file are free for new runs; --vacuum gives them back."


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
