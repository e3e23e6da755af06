"""runstore experiments: list recorded experiments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.context import for_this_store, open_store
from runstore.cli.options import json_option
from runstore.model.display.as_json import optional_utc
from runstore.model.display.formatting import ago_text, local_time
from runstore.model.run import DAMAGED
from runstore.model.status import Status

if TYPE_CHECKING:
    from runstore.model.results.groups import RunGroup


@click.command(short_help="List experiments that have runs.")
@json_option
def command(*, as_json: bool) -> None:
    """List experiments that have runs, with the number of runs of each status and the newest run.

    The most recently run experiment comes first. To list the modules that can be run, use
    `runstore run --list`.
    """
    with open_store() as store:
        groups = store.group("experiment")
    if as_json:
        output.print_json([_as_json(one) for one in groups])
        return
    if not groups:
        output.say(
            for_this_store(
                "runstore: There are no runs yet; record one with: runstore exec -- COMMAND"
            ),
            err=True,
        )
        return
    statuses = [
        one.value for one in Status if any(one.value in group.statuses for group in groups)
    ]
    output.print_table(list(_columns(statuses)), [list(_cells(one, statuses)) for one in groups])


def _columns(statuses: Sequence[str]) -> Iterator[output.TableColumn]:
    yield output.TableColumn("experiment", narrowest=16, rank=0)
    yield output.TableColumn("runs", rank=1, is_number=True)
    for rank, status in enumerate(statuses, 4):
        yield output.TableColumn(status, rank=rank, is_number=True)
    yield output.TableColumn("newest", narrowest=10, rank=3, end=6)
    yield output.TableColumn("started", narrowest=10, rank=2)


def _cells(group: RunGroup, statuses: Sequence[str]) -> Iterator[str]:
    """Yield the cells of an experiment; for programs, with full references and times."""
    is_terminal = output.is_terminal()
    yield str(group.value)
    yield f"{group.runs:,}" if is_terminal else str(group.runs)
    for status in statuses:
        count = group.statuses.get(status, 0)
        yield f"{count:,}" if is_terminal else str(count)
    started = group.last_started_at
    if is_terminal:
        yield group.last_name
        yield DAMAGED if started is None else ago_text(started, datetime.now(timezone.utc))
    else:
        yield group.last_reference
        yield DAMAGED if started is None else local_time(started)


def _as_json(group: RunGroup) -> dict[str, object]:
    return {
        "name": group.value,
        "runs": group.runs,
        "statuses": dict(group.statuses),
        "last_run": group.last_reference,
        "last_started_at": optional_utc(group.last_started_at),
    }
