"""Arguments and options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from runstore.cli.completions import complete_runs

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

runs_argument = click.argument(
    "words",
    metavar="[RUN | EXPERIMENT]... [FILTER]",
    nargs=-1,
    required=True,
    shell_complete=complete_runs,
)


def _mask_output() -> None:
    # Whatever keeps output of this run, also in another process, asks for the setting.
    os.environ["RUNSTORE_MASK_OUTPUT"] = "1"


run_option = click.option(
    "--run",
    metavar="RUN",
    shell_complete=complete_runs,
    help="The run; by default the one that started this program.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
mask_output_option = click.option(
    "--mask-output",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda _ctx, _param, wanted: _mask_output() if wanted else None,
    help="Mask secrets in the output that is kept.",
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def limit_option(
    text: str, *, default: int = 20, least: int = 1, most: int
) -> Callable[[Decorated], Decorated]:
    """Return the option that says how many runs there are at most."""
    return click.option(
        "-n",
        "--limit",
        default=default,
        show_default=True,
        type=click.IntRange(least, most),
        help=text,
    )
