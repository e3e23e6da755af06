"""runstore get: fetch files that a run saved."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from runstore.cli.completions import complete_artifacts, complete_runs
from runstore.cli.context import open_store
from runstore.cli.output import say
from runstore.config import is_there
from runstore.errors import UsageError
from runstore.model.run import Run


@click.command(short_help="Fetch files that a run saved.")
@click.argument("run", shell_complete=complete_runs)
@click.argument("paths", nargs=-1, shell_complete=complete_artifacts)
@click.option(
    "-o",
    "--to",
    default=".",
    metavar="FOLDER",
    help="Where to write; - prints one file to stdout.",
)
@click.option("--link", is_flag=True, help="Share the store's own files, which are read-only.")
@click.option("--overwrite", is_flag=True, help="Write over files that are there.")
def command(run: str, paths: Sequence[str], to: str, *, link: bool, overwrite: bool) -> None:
    """Write the artifacts of RUN into a folder: those at PATHS, or all.

    A path may be a folder of artifacts. Contents are checked against their digest first.
    """
    with open_store() as store:
        found = store.get(run)
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
        raise UsageError("One file can be printed at once.", hint="Name one PATH.")
    sys.stdout.flush()
    with run.open(paths[0]) as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _check_free(run: Run, paths: Sequence[str], folder: Path) -> None:
    """Refuse to write over anything, before the first file is written."""
    wanted = [path.strip("/") for path in paths]
    for path in run.artifacts:
        is_meant = not wanted or any(path == one or path.startswith(f"{one}/") for one in wanted)
        if is_meant and is_there(folder / path):
            raise UsageError(
                f"{folder / path} is there already.",
                kept="Nothing was written.",
                hint="Choose another folder with --to, or add --overwrite.",
            )
