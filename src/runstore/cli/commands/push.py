"""runstore push: copy runs to another store, and merge edits."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.cli.completions import complete_words_or_folders
from runstore.cli.context import open_store, store_location
from runstore.cli.exit_codes import FAILED
from runstore.cli.options import json_option, restore_option, words_argument
from runstore.cli.transfers import (
    check_new_place,
    deliver_waiting,
    parted,
    selected,
    show_result,
    shown_progress,
)
from runstore.errors import UsageError


@click.command(short_help="Copy runs to another store, and merge edits.")
@words_argument("[[RUN | EXPERIMENT]... [FILTER] OTHER]", complete_words_or_folders)
@restore_option
@click.option(
    "--recover",
    is_flag=True,
    help="Without OTHER: also write data that waits for another URL of the store, and add data"
    " whose run is missing to new runs in the experiment `recovered`.",
)
@click.option("--dry-run", is_flag=True, help="Only count the runs and files to copy.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    words: Sequence[str],
    *,
    restore: bool,
    recover: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy runs with all their data to the store OTHER, and merge their edits.

    Without a RUN, EXPERIMENT or FILTER, all runs are copied, including runs in the trash. A run
    keeps its identity in both stores, so repeating the command copies only new data. If OTHER
    does not exist, it is created. Unfinished runs are skipped. If the command is interrupted,
    repeat it to continue.

    Without OTHER, runs and other data that wait on this machine, because the store of the project
    was unavailable, are written to that store.

    Runs that were permanently deleted in OTHER are skipped, unless you pass --restore.

    The exit code is 0, or 1 if a run was skipped because its data is damaged or was refused.

    \b
    runstore push /data/team/runs
    runstore push postgresql://db.example.org/runs
    runstore push mnist "metrics.acc.max > 0.9" /data/team/runs
    runstore push --dry-run latest /data/team/runs
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.store import has_store, other_store

    if not words:
        is_complete = deliver_waiting(store_location(), is_recovering=recover, as_json=as_json)
        if not is_complete:
            context.exit(FAILED)
        return
    if recover:
        raise UsageError(
            "--recover cannot be combined with another store.",
            kept="Nothing was transferred.",
            hint="First recover the runs: runstore push --recover",
        )
    named, other = parted(words)
    if not has_store(other):
        check_new_place(other)
    with open_store() as store, shown_progress() as progress:
        wanted = selected(store, named)
        with other_store(other, is_to_write=True, create=not dry_run, sender=store) as receiver:
            result = store.push(
                receiver, **wanted, restore=restore, dry=dry_run, progress=progress
            )
            place = receiver.backend.place
    show_result(result, place, as_json=as_json)
    if not result.is_complete:
        context.exit(FAILED)
