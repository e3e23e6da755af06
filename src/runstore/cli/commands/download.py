"""runstore download: write the saved files of a run to a folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from runstore.cli.completions import complete_artifacts
from runstore.cli.context import open_store
from runstore.cli.options import run_argument
from runstore.cli.output import say
from runstore.cli.words import one_run
from runstore.config import is_there
from runstore.errors import UsageError
from runstore.model.run import Run


@click.command(short_help="Write the saved files of a run to a folder.")
@run_argument()
@click.argument("paths", nargs=-1, shell_complete=complete_artifacts)
@click.option(
    "-o",
    "--output",
    "--to",
    "to",
    default=".",
    metavar="FOLDER",
    help="Folder to write to, or - to print one file to stdout (default: here).",
)
@click.option(
    "--link",
    is_flag=True,
    help="Create links to the read-only files of the store instead of copies.",
)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def command(run: str, paths: Sequence[str], to: str, *, link: bool, overwrite: bool) -> None:
    """Write the artifacts of RUN at PATHS (default: all) to a folder.

    A path can be a folder of artifacts. Each file is first verified by its digest.

    \b
    runstore download mnist#7
    runstore download mnist#7 model.pt -o /tmp
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store:
        found = one_run(store, run)
        if to == "-":
            _print(found, paths)
            return
        if not overwrite:
            _check_free(found, paths, Path(to))
        for path in paths or (None,):
            for file in found.download(path, to, link=link):
                say(str(file))


def _print(run: Run, paths: Sequence[str]) -> None:
    if len(paths) != 1:
        raise UsageError("Only one file can be printed.", hint="Name one PATH.")
    sys.stdout.flush()
    with run.open(paths[0]) as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _check_free(run: Run, paths: Sequence[str], folder: Path) -> None:
    """Check that no file exists before writing the first one."""
    wanted = [path.strip("/") for path in paths]
    for path in run.artifacts:
        is_meant = not wanted or any(path == one or path.startswith(f"{one}/") for one in wanted)
        if is_meant and is_there(folder / path):
            raise UsageError(
                f"{folder / path} already exists.",
                kept="Nothing was written.",
                hint="Choose another folder with --output, or add --overwrite.",
            )
