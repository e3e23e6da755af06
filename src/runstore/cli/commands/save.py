"""runstore save: save a file to a run."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from runstore.cli.context import run_to_add_to
from runstore.cli.options import run_option
from runstore.cli.output import say
from runstore.errors import InvalidValueError


@click.command(short_help="Save a file to a run.")
@click.argument("path")
@click.argument("name", required=False)
@run_option
def command(path: str, name: str | None, run: str | None) -> None:
    """Save a file or folder to the run that started this program, as NAME (default: PATH).

    Programs under `runstore exec` can call it, in any language. When it returns, the copy is on
    disk. With --run, the run may already have finished.

    \b
    runstore save out/model.bin
    runstore save /tmp/plot.png loss.png
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.model.run import Run

    with run_to_add_to(run) as (store, found):
        named = own_name(path) if name is None else name
        if isinstance(found, Run):
            before = found.artifacts
            after = store.add(found, artifacts={named: Path(path)}).artifacts
            saved = tuple(one for one in after.values() if one != before.get(one.path))
        else:
            saved = found.save(named, Path(path))
    for one in saved:
        say(one.path)


def own_name(path: str, advice: str = "Pass a name: runstore save") -> str:
    """Return the name that a file or folder is saved under without one.

    Raises:
        InvalidValueError: Its path cannot be a name. The hint is the advice, path and name.
    """
    from runstore.artifacts.serializers import name_of_file
    from runstore.model.artifacts import why_no_name

    try:
        return name_of_file(path)
    except InvalidValueError as error:
        last = Path(path).name
        if why_no_name(last) is None:
            error.hint = f"{advice} {shlex.join([path, last])}"
        raise
