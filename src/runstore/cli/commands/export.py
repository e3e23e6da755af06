"""runstore export: runs as a dataset of Parquet files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.completions import complete_experiments
from runstore.cli.context import for_this_store, open_store
from runstore.cli.exit_codes import FAILED
from runstore.cli.options import PathToWrite, words_argument
from runstore.cli.words import place_meant
from runstore.errors import UsageError
from runstore.model.display.formatting import counted

if TYPE_CHECKING:
    from runstore.exports.dataset import Exported

_NAMES_SHOWN = 10


@click.command(short_help="Write runs to a dataset of Parquet files.")
@words_argument("[EXPERIMENT] [FILTER]", complete_experiments)
@click.option(
    "--parquet",
    "folder",
    type=PathToWrite(),
    metavar="DIR",
    help="Folder of the dataset; a later export to it writes only what changed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def command(
    context: click.Context, words: tuple[str, ...], folder: Path | None, *, as_json: bool
) -> None:
    """Write runs, parameters, metrics, tags and artifacts to a dataset of Parquet files.

    DuckDB, Polars, Dask, Spark and other engines read it. Without arguments, it has all runs.
    Repeat the command to update the dataset.

    \b
    runstore export --parquet runs
    runstore export mnist "status = complete" --parquet good-runs

    The exit code is 1 if a damaged metric was left out.
    """  # noqa: D301 - click keeps lines after the mark as they are
    if folder is None:
        raise UsageError(
            "The format and the folder are missing.",
            hint="Pass --parquet DIR. For one table, use: runstore ls --all --format csv",
        )
    from runstore.exports.dataset import export_dataset

    with open_store() as store, _progress() as tell:
        experiment, where = place_meant(store, words)
        done = export_dataset(store.backend, folder.absolute(), where, experiment, tell)
    if as_json:
        output.print_json(_as_json(done))
    else:
        _print(done, folder)
    if done.left_out:
        context.exit(FAILED)


def _as_json(done: Exported) -> dict[str, Any]:
    return {
        "folder": str(done.folder),
        "runs": done.runs,
        "written": done.written,
        "unchanged": done.unchanged,
        "removed": done.removed,
        "left_out": [one._asdict() for one in done.left_out],
    }


def _print(done: Exported, folder: Path) -> None:
    changes = [
        f"{counted(done.written, 'file')} written",
        *([f"{done.unchanged:,} up to date"] if done.unchanged else []),
        *([f"{done.removed:,} removed"] if done.removed else []),
    ]
    output.say(f"runstore: {folder} has {counted(done.runs, 'run')} ({', '.join(changes)}).")
    for one in done.left_out[:_NAMES_SHOWN]:
        output.say(
            f"runstore: The metric {one.metric!r} of {one.run} was left out. {one.reason}",
            err=True,
        )
    more = len(done.left_out) - _NAMES_SHOWN
    if more > 0:
        output.say(f"runstore: {counted(more, 'other metric')} were left out as well.", err=True)
    if done.left_out:
        output.say(for_this_store("To see what else is damaged: runstore doctor --deep"), err=True)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows how many parts are written, on a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.progress import Progress

    with Progress(console=output.console(err=True), transient=True) as bar:
        task = bar.add_task("export")
        yield lambda done, everything: bar.update(task, completed=done, total=everything)
