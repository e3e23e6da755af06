"""runstore artifacts: list the files that a run saved."""

from __future__ import annotations

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.options import json_option, run_argument
from runstore.cli.words import one_run
from runstore.model.artifacts import Artifact
from runstore.model.display.as_json import artifact_as_json
from runstore.model.display.formatting import local_time, size_text

_COLUMNS = (
    output.TableColumn("path", narrowest=20, rank=0),
    output.TableColumn("size", narrowest=10, rank=1),
    output.TableColumn("type", narrowest=10, rank=2),
    output.TableColumn("saved", narrowest=19, rank=3),
    output.TableColumn("sha256", narrowest=12, rank=4),
)


@click.command(short_help="List the files that a run saved.")
@run_argument(default="latest")
@json_option
def command(run: str, *, as_json: bool) -> None:
    """List the artifacts of RUN (default: the newest run).

    `runstore download` writes them to a folder.
    """
    with open_store() as store:
        found = one_run(store, run)
        saved = list(found.artifacts.values())
    if as_json:
        output.print_json([artifact_as_json(one) for one in saved])
        return
    if not saved:
        output.say(f"runstore: {found.reference} has no artifacts.", err=True)
        return
    output.print_table(_COLUMNS, [_row(one) for one in saved])


def _row(one: Artifact) -> tuple[str, ...]:
    size = size_text(one.size_bytes)
    return one.path, size, one.media_type, local_time(one.saved_at), one.digest[:12]
