"""`runstore run --list`: the modules of a project that can be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from runstore.cli.output import TableColumn, print_json, print_table, say

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_AS_JSON = "runstore.list_as_json"


def list_options(decorated: Decorated) -> Decorated:
    """Add `--list`, which prints modules and ends the command, and `--json` for it."""
    of_list = click.option(
        "--list",
        is_flag=True,
        expose_value=False,
        callback=_list,
        help="List the modules that can be run.",
    )
    # Read before --list, wherever it is typed.
    as_json = click.option(
        "--json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_note_json,
        help="JSON output for --list.",
    )
    return of_list(as_json(decorated))


def _note_json(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's
    context.meta[_AS_JSON] = wanted


def _list(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's
    if wanted and not context.resilient_parsing:
        print_modules(as_json=context.meta[_AS_JSON])
        context.exit()


def print_modules(*, as_json: bool) -> None:
    """Print the experiment modules and the parameter files of the project."""
    from runstore.runner.listing import listed
    from runstore.runner.project import Project

    project = Project.find()
    entries = list(listed(project))
    if as_json:
        print_json([entry.as_json() for entry in entries])
        return
    if not entries:
        say(
            f"runstore: There are no modules in {project.experiments} or {project.params}."
            " Create a small project with: runstore init",
            err=True,
        )
        return
    print_table(
        (
            TableColumn("kind", narrowest=10, rank=1),
            TableColumn("name", narrowest=16, rank=0),
            TableColumn("description", narrowest=10, rank=2),
        ),
        [(entry.kind, entry.name, entry.told) for entry in entries],
    )
