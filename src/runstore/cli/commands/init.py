"""runstore init: make a small project that runs at once."""

from __future__ import annotations

from pathlib import Path

import click

from runstore.cli.output import say


@click.command(short_help="Make a small project that runs at once.")
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=".", required=False
)
def command(folder: Path) -> None:
    """Make a small project in FOLDER (by default, here): one experiment, one parameter file."""
    from runstore.runner.new_project import COMMAND, make_project

    for path in make_project(folder):
        say(f"made {path}")
    enter = "" if folder == Path() else f"cd {folder} && "
    say(f"Run it with: {enter}{COMMAND}")
    say("Then see its run with: runstore ls")
