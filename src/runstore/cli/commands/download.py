"""runstore download: write the saved files of a run to a folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import click

from runstore.cli.completions import complete_artifacts
from runstore.cli.context import open_store
from runstore.cli.ending import cleaned_up
from runstore.cli.exit_codes import FAILED
from runstore.cli.options import PathToWrite, run_argument
from runstore.cli.output import say
from runstore.cli.words import run_before
from runstore.config import is_there
from runstore.errors import NotFoundError, RunstoreError, StoreCorruptError, UsageError
from runstore.model.artifacts import why_no_name
from runstore.model.run import Run
from runstore.user_warnings import warn

_STDOUT = Path("-")


@click.command(short_help="Write the saved files of a run to a folder.")
@run_argument()
@click.argument("paths", nargs=-1, shell_complete=complete_artifacts)
@click.option(
    "-o",
    "--output",
    "--to",
    "to",
    type=PathToWrite(allow_dash=True),
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
@click.pass_context
def command(
    context: click.Context,
    run: str,
    paths: Sequence[str],
    to: Path,
    *,
    link: bool,
    overwrite: bool,
) -> None:
    """Write the artifacts of RUN at PATHS (default: all) to a folder.

    A path can be a folder of artifacts. Each file is first verified by its digest; if one is
    missing or damaged, the others are written. The exit code is 1 if an artifact was left out,
    because its path is not a valid file name.

    \b
    runstore download mnist#7
    runstore download mnist#7 model.pt -o /tmp
    """  # noqa: D301 - click keeps lines after the mark as they are
    with open_store() as store, cleaned_up():
        found = run_before(store, run, paths)
        if to == _STDOUT:
            _print(found, paths)
            return
        if not found.artifacts and not paths:
            say(f"runstore: {found.reference} has no artifacts.", err=True)
            return
        wanted = _wanted(found, paths)
        if not overwrite:
            _check_free(to / path for path in wanted if why_no_name(path) is None)
        lost: list[RunstoreError] = []
        left = {to / path for path in wanted} - set(_written(found, paths, to, lost, link=link))
    for other in lost[1:]:
        warn(str(other))
    if lost:
        raise lost[0]
    if left:
        context.exit(FAILED)  # a warning named them


def _written(
    run: Run, paths: Sequence[str], to: Path, lost: list[RunstoreError], *, link: bool
) -> Iterator[Path]:
    """Write and print files, and yield them; the most important error is the first of `lost`."""
    for path in paths or (None,):
        try:
            written = run.download(path, to, link=link)
        except (NotFoundError, StoreCorruptError) as error:
            lost.append(error)
            continue
        except RunstoreError as error:
            lost.insert(0, error)
            return
        for file in written:
            say(str(file))
            yield file


def _print(run: Run, paths: Sequence[str]) -> None:
    if len(paths) != 1:
        raise UsageError("Only one file can be printed.", hint="Name one PATH.")
    sys.stdout.flush()
    with run.open(paths[0]) as file:
        shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def _wanted(run: Run, paths: Sequence[str]) -> list[str]:
    """Return the paths of all artifacts that are named, or in a folder that is named."""
    named = [PurePosixPath(path) for path in paths]
    return [
        path
        for path in run.artifacts
        if not named or any(map(PurePosixPath(path).is_relative_to, named))
    ]


def _check_free(files: Iterable[Path]) -> None:
    """Check that no file exists before writing the first one."""
    for file in filter(is_there, files):
        raise UsageError(
            f"{file} already exists.",
            kept="Nothing was written.",
            hint="Choose another folder with --output, or add --overwrite.",
        )
