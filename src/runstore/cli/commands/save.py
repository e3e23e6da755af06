"""runstore save: keep a file with a run that is going on."""

from __future__ import annotations

import click

from runstore.cli.context import attached_run
from runstore.cli.options import run_option
from runstore.cli.output import say


@click.command(short_help="Keep a file with a running run.")
@click.argument("path")
@click.argument("name", required=False)
@run_option
def command(path: str, name: str | None, run: str | None) -> None:
    """Keep a file or folder with the run that this program was started by, as NAME or PATH.

    Programs under `runstore exec` call it, in any language. On return the copy is on the disk.

    \b
    runstore save out/model.bin
    runstore save /tmp/plot.png loss.png
    """  # noqa: D301 - click keeps lines after the mark as they are
    with attached_run(run) as active:
        saved = active.save(path if name is None else name, None if name is None else path)
    for one in saved:
        say(one.path)
