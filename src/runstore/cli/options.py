"""Arguments and options that several commands have."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runstore.cli.completions import complete_runs, complete_words
from runstore.cli.context import STORE
from runstore.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
_ADDRESS = re.compile(r"[a-z][a-z0-9+]+://")


class PathToWrite(click.Path):
    """A path that a command writes to.

    An address is refused: as a path, it would make a folder called `s3:`.
    """

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Return the path.

        Raises:
            UsageError: It is an address.
        """
        if _ADDRESS.match(os.fsdecode(value)):
            raise UsageError(
                f"{value} is an address; this command writes to this machine alone.",
                kept="Nothing was written.",
                hint="Name a path.",
            )
        return Path(os.fsdecode(super().convert(value, param, ctx)))


def refuse_together(*given: tuple[str, object]) -> None:
    """Refuse options of which all but one would be ignored.

    Args:
        given: The name and the value of each option; a false value was not given.

    Raises:
        UsageError: Two of them were given.
    """
    names = [name for name, value in given if value]
    if len(names) > 1:
        raise UsageError(
            f"{names[0]} and {names[1]} exclude each other.", hint="Leave out one of them."
        )


def run_argument(
    name: str = "run", *, default: str | None = None
) -> Callable[[Decorated], Decorated]:
    """Return the argument for one run, an experiment or a filter; see `words.one_run`."""
    shown = name.upper()
    if default is None:
        return click.argument(name, metavar=shown, shell_complete=complete_words)
    return click.argument(
        name, metavar=f"[{shown}]", default=default, shell_complete=complete_words
    )


def words_argument(
    metavar: str, complete: Callable[..., Any] = complete_words, *, required: bool = False
) -> Callable[[Decorated], Decorated]:
    """Return the argument for several runs, experiments and filters; see `words`."""
    return click.argument(
        "words", metavar=metavar, nargs=-1, required=required, shell_complete=complete
    )


runs_argument = words_argument("[RUN | EXPERIMENT]... [FILTER]", required=True)
restore_option = click.option(
    "--restore",
    is_flag=True,
    help="Also copy runs that were permanently deleted in the receiving store.",
)


def _use_store(context: click.Context, _parameter: click.Parameter, given: str | None) -> None:
    """Keep the location for `open_store`, from before or after the command."""
    if given is not None:
        context.find_root().meta[STORE] = given


def _complete_folders(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="dir")]


store_option = click.option(
    "--store",
    metavar="LOCATION",
    expose_value=False,
    is_eager=True,  # other options complete values from it
    callback=_use_store,
    shell_complete=_complete_folders,
    help="Folder of the store, project with a store, database file or URL"
    " (default: the store of this project).",
)
# They neither read nor create a store.
_WITHOUT_STORE = frozenset({"completion", "init", "trust"})


def add_store_option(name: str, command: click.Command) -> click.Command:
    """Add `--store` to a command and its subcommands."""
    if name in _WITHOUT_STORE:
        return command
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_store_option(name, inner)
    elif not any("--store" in one.opts for one in command.params):
        store_option(command)
    return command


def _mask_output() -> None:
    # All code that keeps output of this run reads the setting, in other processes as well.
    os.environ["RUNSTORE_MASK_OUTPUT"] = "1"


run_option = click.option(
    "--run",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Run to add to (default: the run that started this program).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON output.")


def _tags(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> dict[str, str]:
    return {key: value for key, _, value in (one.partition("=") for one in given)}


tag_option = click.option(
    "--tag",
    "tags",
    metavar="KEY[=VALUE]",
    multiple=True,
    callback=_tags,
    help="Tag of the run; repeatable.",
)
mask_output_option = click.option(
    "--mask-output",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda _ctx, _param, wanted: _mask_output() if wanted else None,
    help="Mask secrets in the recorded output.",
)
yes_option = click.option(
    "-y", "--yes", is_flag=True, help="Answer yes to all questions; required without a terminal."
)


def limit_option(
    text: str, *, default: int = 20, least: int = 1, most: int
) -> Callable[[Decorated], Decorated]:
    """Return the option for the number of runs."""
    return click.option(
        "-n",
        "--limit",
        default=default,
        show_default=True,
        type=click.IntRange(least, most),
        help=text,
    )
