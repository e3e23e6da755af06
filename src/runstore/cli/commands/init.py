"""runstore init: create a small example project."""

from __future__ import annotations

from pathlib import Path

import click

from runstore.cli.options import PathToWrite
from runstore.cli.output import say


@click.command(short_help="Create a small example project.")
@click.argument("folder", type=PathToWrite(file_okay=False), default=".", required=False)
def command(folder: Path) -> None:
    """Create a small project in FOLDER (default: here): an experiment and its parameters."""
    from runstore.runner.new_project import COMMAND, make_project

    for path in make_project(folder):
        say(f"created {path}")
    enter = "" if folder == Path() else f"cd {folder} && "
    say(f"Run it with: {enter}{COMMAND}")
    say("Then look at its runs with: runstore ls")
