"""runstore experiments: list what can be run."""

from __future__ import annotations

import click

from runstore.cli.options import json_option
from runstore.cli.output import TableColumn, print_json, print_table, say


@click.command(short_help="List experiments and parameter files.")
@json_option
def command(*, as_json: bool) -> None:
    """List what can be run: experiment modules and parameter files of this project.

    The files are read, not run, so listing them is safe and quick.
    """
    from runstore.runner.listing import listed
    from runstore.runner.project import Project

    project = Project.find()
    entries = list(listed(project))
    if as_json:
        print_json([entry.as_json() for entry in entries])
        return
    if not entries:
        say(
            f"runstore: there are no modules in {project.experiments} or {project.params}."
            " Make a small project with: runstore init",
            err=True,
        )
        return
    print_table(
        (
            TableColumn("kind", narrowest=10, rank=1),
            TableColumn("name", narrowest=16, rank=0),
            TableColumn("what it is", narrowest=10, rank=2),
        ),
        [(entry.kind, entry.name, entry.told) for entry in entries],
    )
