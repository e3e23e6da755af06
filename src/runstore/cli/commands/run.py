"""runstore run: run an experiment over parameter sets and record one run."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from runstore.cli.already_ran import chosen, if_done_option, is_chosen, skipping
from runstore.cli.completions import complete_experiment_modules, complete_parameter_modules
from runstore.cli.context import open_store
from runstore.cli.dialogs import edited
from runstore.cli.lists.modules import list_options
from runstore.cli.options import PathToWrite, mask_output_option, tag_option
from runstore.cli.output import TableColumn, is_terminal, print_table, recorded_text, say
from runstore.model.display.formatting import counted

if TYPE_CHECKING:
    from runstore.runner.experiment import Plan, Request

_EDIT = "\0edit"
_INDEX = re.compile(r"\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*")


class _ManyWords(click.Command):
    """A command whose `--names` and `--indices` accept several words after EXPERIMENT."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with_value = {
            name
            for one in self.params
            if isinstance(one, click.Option) and not one.is_flag
            for name in one.opts
        }
        return super().parse_args(ctx, _one_word_each(args, with_value))


def _one_word_each(args: Sequence[str], with_value: Collection[str]) -> list[str]:
    """Repeat an option before each of its words: `--indices 0 2-4` is an index and a range.

    Before EXPERIMENT an option has one word: in `--names few pi`, `pi` is the experiment.
    """
    spread: list[str] = []
    option, before, has_experiment = "", "", False
    for word in args:
        if word.startswith("-") and word != "-":
            option = word if word in {"--names", "--indices"} else ""
        elif before not in with_value:
            belongs = option == "--names" or (option == "--indices" and _INDEX.fullmatch(word))
            if option and has_experiment and belongs:
                spread.append(option)
            else:
                option, has_experiment = "", True
        before = word
        spread.append(word)
    return spread


@click.command(cls=_ManyWords, short_help="Run an experiment over parameter sets.")
@click.argument("experiment", shell_complete=complete_experiment_modules)
@click.option(
    "-p",
    "--params",
    "files",
    metavar="PARAMS",
    multiple=True,
    help="Parameter file; repeatable (default: the experiment's own get_params).",
    shell_complete=complete_parameter_modules,
)
@click.option(
    "--names",
    multiple=True,
    metavar="NAME,…",
    help="Names of the parameter sets to run (default: all).",
)
@click.option(
    "--indices",
    multiple=True,
    metavar="N,…",
    help="Indices of the parameter sets to run, from 0, such as 0,2-4 (default: all).",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Value of a parameter in every set, such as lr=0.1 or model.layers=3; repeatable.",
)
@click.option(
    "--notes",
    is_flag=False,
    flag_value=_EDIT,
    metavar="[TEXT]",
    help="Notes of the run; without TEXT, your editor opens.",
)
@tag_option
@click.option("--dry-run", is_flag=True, help="Show the parameter sets, and execute nothing.")
@click.option("--no-record", is_flag=True, help="Run without recording.")
@click.option(
    "--store-full", is_flag=True, help="Also write a folder of plain files for this run."
)
@click.option(
    "--cache",
    type=PathToWrite(file_okay=False),
    metavar="FOLDER",
    help="Folder of cached files (default: in the store).",
)
@click.option("--dry-cache", is_flag=True, help="Read the cache, but write nothing to it.")
@click.option("--overwrite", is_flag=True, help="Replace cached files.")
@click.option("--keep-going", is_flag=True, help="Continue with the other sets if one fails.")
@mask_output_option
@if_done_option
@list_options
def command(
    *, notes: str | None, dry_run: bool, no_record: bool, if_done: str | None, **options: Any
) -> None:
    """Run EXPERIMENT over parameter sets and record it as one run.

    EXPERIMENT is a module in experiments/ with a function run(params, manager). PARAMS are
    modules in params/ with a function get_params() that returns named parameter sets.

    \b
    runstore run digits -p small
    runstore run digits -p small -p large --names svm,forest --set seed=7
    runstore run digits -p small --dry-run
    runstore run --list

    If an identical run exists, a warning names it, and the experiment runs again; see --if-done.
    With --dry-run, the modules are still imported, because they define the parameter sets.
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.runner.experiment import Request, prepare
    from runstore.runner.project import Project

    wanted = "run" if no_record else chosen(if_done, "warn")
    asked = None if dry_run else _notes(notes)
    request = Request(notes=asked, if_done=wanted, **options)
    plan = prepare(Project.find(), request)
    if dry_run:
        _print_plan(plan)
        return
    record(
        plan,
        request,
        ["runstore", *sys.argv[1:]],
        is_kept=not no_record,
        is_asked=is_chosen(if_done),
    )


def record(
    plan: Plan,
    request: Request,
    argv: Sequence[str],
    *,
    is_kept: bool = True,
    is_asked: bool = False,
) -> NoReturn:
    """Run an experiment, and end this process: with 1 if a parameter set failed.

    Args:
        plan: The experiment and its parameter sets.
        request: The request.
        argv: The command, as recorded.
        is_kept: Whether the run is recorded.
        is_asked: Whether the user chose what to do about an identical run.
    """
    from runstore.recording.live_runs import Terminated
    from runstore.runner.experiment import execute
    from runstore.testing import temporary_store

    if not is_kept:
        say("runstore: Nothing is recorded, because of --no-record.", err=True)
    with (
        open_store(create=True) if is_kept else temporary_store() as store,
        _progress(len(plan.steps)) as progress,
        skipping(request.if_done),
    ):
        progress.asked = request.if_done if is_asked else None
        try:
            outcome = execute(plan, store, request, argv=argv, progress=progress)
        except (KeyboardInterrupt, Terminated):
            ended = _recorded(progress.reference, is_kept=is_kept)
            say(f"runstore: {ended}: interrupted", err=True)
            raise
    _report(outcome, is_kept=is_kept)
    sys.exit(1 if outcome.failures else 0)


def _print_plan(plan: Plan) -> None:
    """Print the parameter sets that would be run."""
    columns = (
        TableColumn("set", narrowest=8, rank=0),
        TableColumn("file", narrowest=8, rank=2),
        TableColumn("parameters", narrowest=20, rank=1),
        TableColumn("hash", narrowest=8, rank=3),
    )
    width = 60 if is_terminal() else None
    sets = [one.recorded for one in plan.sets]
    rows = [(one.name, one.file or "", one.preview(width), one.hash) for one in sets]
    print_table(columns, rows)
    calls = "one call for all sets" if plan.takes_all else counted(len(plan.steps), "call")
    say(f"runstore: {plan.experiment} would be run: {calls}. Nothing was executed.", err=True)


def _notes(given: str | None) -> str | None:
    if given != _EDIT:
        return given
    return edited("", "Notes of this run; leave them empty for none.") or None


def _progress(total: int) -> Any:
    from runstore.cli.progress import shown_on_terminal

    return shown_on_terminal(total)


def _recorded(reference: str, *, is_kept: bool, is_recorded: bool = True) -> str:
    return recorded_text(reference, is_recorded=is_recorded) if is_kept else "not recorded"


def _report(outcome: Any, *, is_kept: bool) -> None:
    for failure in outcome.failures:
        say(failure.traceback, err=True, nl=False, keep_lines=True)
    ended = _recorded(outcome.reference, is_kept=is_kept, is_recorded=outcome.is_recorded)
    sets = f", {outcome.done} of {outcome.total} parameter sets" if outcome.total > 1 else ""
    say(f"runstore: {ended}: {outcome.status}{sets}", err=True)
    if outcome.folder is not None and is_kept:
        say(f"runstore: its files are in {outcome.folder}", err=True)
