"""runstore run: run an experiment over parameter sets, as one run."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from runstore.cli.already_ran import chosen, if_done_option, skipping
from runstore.cli.completions import complete_experiment_modules, complete_parameter_modules
from runstore.cli.context import open_store
from runstore.cli.dialogs import edited
from runstore.cli.options import mask_output_option
from runstore.cli.output import say

_EDIT = "\0edit"
_INDEX = re.compile(r"\d+(?:-\d+)?")


class _ManyWords(click.Command):
    """A command whose `--names` and `--indices` take every word up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _one_word_each(args))


def _one_word_each(args: Sequence[str]) -> list[str]:
    """Repeat an option before each of its words: `--indices 0 2-4` is one index and a range."""
    spread: list[str] = []
    option, is_first = "", False
    for word in args:
        if word.startswith("-") and word != "-":
            option, is_first = (word if word in {"--names", "--indices"} else ""), True
            spread.append(word)
            continue
        belongs = option == "--names" or (option == "--indices" and _INDEX.fullmatch(word))
        if option and not is_first:
            if belongs:
                spread.append(option)
            else:
                option = ""
        spread.append(word)
        is_first = False
    return spread


@click.command(cls=_ManyWords, short_help="Run an experiment over parameter sets.")
@click.argument("experiment", shell_complete=complete_experiment_modules)
@click.option(
    "-p",
    "--params",
    "files",
    metavar="PARAMS",
    multiple=True,
    help="Parameter file; repeatable.",
    shell_complete=complete_parameter_modules,
)
@click.option("--names", multiple=True, metavar="NAME…", help="Run only the sets of these names.")
@click.option("--indices", multiple=True, metavar="N…", help="Run only these sets: 0 2-4.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value in every set: lr=0.1, model.layers=3.",
)
@click.option(
    "--notes",
    is_flag=False,
    flag_value=_EDIT,
    metavar="[TEXT]",
    help="What the run is about; without a text, in your editor.",
)
@click.option("--store-full", is_flag=True, help="Keep a folder of plain files for this run.")
@click.option("--dry", is_flag=True, help="Run, but record nothing.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where files of earlier runs are looked up.",
)
@click.option("--dry-cache", is_flag=True, help="Read from the cache, write nothing into it.")
@click.option("--overwrite", is_flag=True, help="Make cached files anew.")
@click.option("--keep-going", is_flag=True, help="Go on with the next set after one failed.")
@mask_output_option
@if_done_option
def command(*, notes: str | None, dry: bool, if_done: str | None, **options: Any) -> None:
    """Run EXPERIMENT over parameter sets and record it as one run.

    EXPERIMENT is a module in experiments/ with a function run(params, manager). PARAMS are
    modules in params/ with a function get_params() that returns named parameter sets; without
    -p, the experiment's own get_params() is used.

    \b
    runstore run digits -p small
    runstore run digits -p small -p large --names svm forest --set seed=7
    runstore run digits -p small --if-done skip

    Where the same was run before, that is said, and it is run again; see --if-done.
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.recording.live_runs import Terminated
    from runstore.runner.experiment import Request, execute, prepare
    from runstore.runner.project import Project
    from runstore.testing import temporary_store

    wanted = "run" if dry else chosen(if_done, "warn")
    request = Request(notes=_notes(notes), if_done=wanted, **options)
    plan = prepare(Project.find(), request)
    argv = ["runstore", *sys.argv[1:]]
    if dry:
        say("runstore: a dry run: nothing is recorded.", err=True)
    with (
        temporary_store() if dry else open_store(create=True) as store,
        _progress(len(plan.steps)) as progress,
        skipping(wanted),
    ):
        progress.tells_nearest = if_done == "warn"
        try:
            outcome = execute(plan, store, request, argv=argv, progress=progress)
        except (KeyboardInterrupt, Terminated):
            say(f"runstore: {_recorded(progress.reference, is_dry=dry)}: interrupted", err=True)
            raise
    _tell(outcome, is_dry=dry)
    sys.exit(1 if outcome.failures else 0)


def _notes(given: str | None) -> str | None:
    if given != _EDIT:
        return given
    return edited("", "Notes of this run; without any, nothing is noted.") or None


def _progress(total: int) -> Any:
    from runstore.cli.progress import shown_on_terminal

    return shown_on_terminal(total)


def _recorded(reference: str, *, is_dry: bool) -> str:
    return "not recorded (dry run)" if is_dry else f"recorded as {reference}"


def _tell(outcome: Any, *, is_dry: bool) -> None:
    for failure in outcome.failures:
        say(failure.traceback, err=True, nl=False, keep_lines=True)
    what = _recorded(outcome.reference, is_dry=is_dry)
    sets = f", {outcome.done} of {outcome.total} parameter sets" if outcome.total > 1 else ""
    say(f"runstore: {what}: {outcome.status}{sets}", err=True)
    if outcome.folder is not None and not is_dry:
        say(f"runstore: its files are in {outcome.folder}", err=True)
