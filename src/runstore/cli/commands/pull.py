"""runstore pull: copy runs from another store, and merge edits."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.cli.completions import complete_words_or_folders
from runstore.cli.context import open_store
from runstore.cli.exit_codes import FAILED
from runstore.cli.options import json_option, restore_option, words_argument
from runstore.cli.transfers import parted, selected, show_result, shown_progress


@click.command(short_help="Copy runs from another store, and merge edits.")
@words_argument("[RUN | EXPERIMENT]... [FILTER] OTHER", complete_words_or_folders, required=True)
@restore_option
@click.option("--dry-run", is_flag=True, help="Only count the runs and files to copy.")
@json_option
@click.pass_context
def command(
    context: click.Context, words: Sequence[str], *, restore: bool, dry_run: bool, as_json: bool
) -> None:
    """Copy runs with all their data from the store OTHER, and merge their edits.

    A RUN, EXPERIMENT or FILTER selects runs of OTHER; without one, all runs are copied, including
    runs in the trash. For details, see `runstore push`. Nothing is written to a store of another
    user unless you trust it.

    Runs that were permanently deleted here are skipped, unless you pass --restore.

    The exit code is 0, or 1 if a run was skipped because its data is damaged or was refused.

    \b
    runstore pull /data/team/runs
    runstore pull --restore mnist#7 /data/team/runs
    runstore pull mnist "tags.phase = final" /data/team/runs
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.store import other_store

    named, other = parted(words)
    with other_store(other, is_to_write=False) as sender, shown_progress() as progress:
        wanted = selected(sender, named)
        with open_store(create=not dry_run) as store:
            result = store.pull(sender, **wanted, restore=restore, dry=dry_run, progress=progress)
            place = store.backend.place
    show_result(result, place, as_json=as_json)
    if not result.is_complete:
        context.exit(FAILED)
