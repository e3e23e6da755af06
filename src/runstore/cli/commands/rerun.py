"""runstore rerun: repeat a recorded run as a new run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from runstore.cli.context import STORE, open_store
from runstore.cli.options import json_option, run_argument
from runstore.cli.output import print_json, say
from runstore.cli.words import one_run
from runstore.current import AGAIN_VARIABLE
from runstore.errors import ConflictError
from runstore.value_classes import replace

if TYPE_CHECKING:
    from runstore.runner.experiment import Plan, Request
    from runstore.runner.repeating.differences import Differences
    from runstore.runner.repeating.recorded import RecordedCommand
    from runstore.store import Store

_LISTED = 12  # differences, at most
_IN_COPY = "copy"  # the value of AGAIN_VARIABLE in a copy of the recorded code


@click.command(short_help="Repeat a recorded run as a new run.")
@run_argument()
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="New value of a parameter in the command, such as lr=0.1; repeatable.",
)
@click.option(
    "--recorded-code",
    is_flag=True,
    help="Run the recorded commit and changes in a temporary folder.",
)
@click.option(
    "-y", "--anyway", is_flag=True, help="Run the current code and inputs, even if they differ."
)
@click.option("--notes", metavar="TEXT", help="Notes of the new run.")
@click.option(
    "--dry-run", is_flag=True, help="Show the command and the differences, and execute nothing."
)
@json_option
def command(run: str, *, recorded_code: bool, **options: Any) -> None:
    """Run the command of RUN again, in its folder, and record a new run.

    Differences are shown first: commit, uncommitted changes, inputs, packages, Python, host. If
    parameters, code or inputs differ, nothing is started (exit code 4), unless you add
    --recorded-code or --anyway.

    \b
    runstore rerun digits#3
    runstore rerun digits#3 --set lr=0.1
    runstore rerun digits#3 --dry-run

    Notes, tags and output files of RUN are not copied. `runstore show` names the repeated run.
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.runner.repeating.recorded import recorded_command

    with open_store() as store:
        recorded = recorded_command(one_run(store, run))
        # The folder changes before the run is recorded.
        click.get_current_context().find_root().meta[STORE] = store.backend.url
        if recorded_code:
            _repeat_in_copy(store, recorded, options)
        os.chdir(recorded.folder)
        _repeat(store, recorded, **options)


def _repeat(
    store: Store,
    recorded: RecordedCommand,
    *,
    settings: Sequence[str],
    anyway: bool,
    notes: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Show the differences from a run, and run its command in the working directory."""
    from runstore.runner.repeating.recorded import others_of_its_program, use_recorded_python

    python = use_recorded_python(recorded)
    again = _Again(store, recorded, settings, notes, is_executed=not dry_run)
    told = again.differences
    others = others_of_its_program(store, recorded.run)
    if not as_json:
        _tell(again, told, [one.reference for one in others], python)
    if dry_run:
        _print_dry(again, told, as_json=as_json)
        return
    if told.decisive and not anyway:
        is_copy = os.environ.get(AGAIN_VARIABLE) == _IN_COPY
        has_code = recorded.run.commit is not None and not is_copy
        raise _refused(again.name, has_code=has_code)
    again.execute(is_one_of_several=bool(others))


def _repeat_in_copy(
    store: Store, recorded: RecordedCommand, options: Mapping[str, Any]
) -> NoReturn:
    """Run this command in a copy of the recorded code, and end with its exit code.

    It is another process, because this one is older than the files of the copy.
    """
    from runstore.runner.repeating.checkout import checked_out, import_first
    from runstore.runner.signals import held_back, pass_on_until_ended

    words = [sys.executable, "-m", "runstore", "rerun", recorded.run.uid]
    for name, word in (("anyway", "--anyway"), ("dry_run", "--dry-run"), ("as_json", "--json")):
        words += [word] if options[name] else []
    words += [] if options["notes"] is None else ["--notes", options["notes"]]
    words += [word for one in options["settings"] for word in ("--set", one)]
    before = Path.cwd()
    code = checked_out(store, recorded.run, recorded.root, in_part=options["anyway"])
    with held_back(), code as checkout:
        import_first(checkout.root)
        os.chdir(recorded.moved_to(checkout.root).folder)
        url = store.backend.url  # not in the words, which every user of the machine can see
        environment = {**os.environ, AGAIN_VARIABLE: _IN_COPY, "RUNSTORE_URL": url}
        pid = os.posix_spawn(sys.executable, words, environment, setsigmask=())
        status, _ = pass_on_until_ended(pid, lambda: None)
        os.chdir(before)
    if checkout.is_kept:
        say(f"runstore: the run wrote files, which are in {checkout.root}", err=True)
    exit_code = os.waitstatus_to_exitcode(status)
    sys.exit(exit_code if exit_code >= 0 else 128 - exit_code)


class _Again:
    """A command that is about to be repeated, in its folder."""

    def __init__(
        self,
        store: Store,
        recorded: RecordedCommand,
        settings: Sequence[str],
        notes: str | None,
        *,
        is_executed: bool,
    ) -> None:
        from runstore.model.display.short_names import short_name
        from runstore.runner.repeating.differences import what_differs

        self.name = short_name(recorded.run)
        self._notes = notes
        self._settings = settings
        self._plan: tuple[Plan, Request] | None = None
        sets = recorded.run.parameter_sets
        if recorded.is_experiment:
            if is_executed:
                self._plan = _planned(recorded, notes)
                sets = tuple(one.recorded for one in self._plan[0].sets)
            words = [*recorded.words, *(word for one in settings for word in ("--set", one))]
            self.recorded = replace(recorded, words=tuple(words))
        else:
            self.recorded = _with_settings(recorded, settings)
        self.differences: Differences = what_differs(
            store,
            recorded.run,
            sets,
            recorded.words,
            is_other_process=not recorded.is_experiment,
        )

    def execute(self, *, is_one_of_several: bool) -> NoReturn:
        """Run and record the command, and end this process.

        Args:
            is_one_of_several: Whether the program of the run recorded other runs as well.
        """
        os.environ[AGAIN_VARIABLE] = "1"
        if self._plan is not None:
            from runstore.cli.commands.run import record
            from runstore.runner.experiment import with_settings

            plan, request = self._plan
            record(with_settings(plan, self._settings), request, self.recorded.words)
        _execute_command(self.recorded, self._notes, is_one_of_several=is_one_of_several)


def _planned(recorded: RecordedCommand, notes: str | None) -> tuple[Plan, Request]:
    """Load an experiment and its parameter sets, with the options that it had."""
    from runstore.cli.commands.run import command as run_command
    from runstore.runner.experiment import Request, prepare
    from runstore.runner.project import Project

    context = click.get_current_context()
    options = run_command.make_context("run", list(recorded.words[2:]), parent=context).params
    for name in ("dry_run", "no_record", "if_done", "notes"):
        options.pop(name)
    request = Request(notes=notes, repeats=recorded.run.uid, **options)
    return prepare(Project.find(), request), request


def _with_settings(recorded: RecordedCommand, settings: Sequence[str]) -> RecordedCommand:
    """Return the command with other values: those of its `-p` options, or of its own words."""
    from runstore.runner.repeating.settings import split, with_settings

    options, words = list(recorded.options), list(recorded.words)
    for setting in settings:
        key, _ = split(setting)
        places = [
            place + 1
            for place, option in enumerate(options[:-1])
            if option == "-p" and options[place + 1].partition("=")[0].strip() == key
        ]
        if places:
            options[places[-1]] = setting
        else:
            words = with_settings(words, [setting], recorded.folder)
    return replace(recorded, options=tuple(options), words=tuple(words))


def _execute_command(
    recorded: RecordedCommand, notes: str | None, *, is_one_of_several: bool
) -> NoReturn:
    """Run and record a command as `runstore exec` does."""
    from runstore.cli.commands.exec_ import command as exec_command
    from runstore.cli.commands.exec_ import execute
    from runstore.runner.programs.params import leaf_names, read_params

    words = [*recorded.options, "--", *recorded.words]
    context = exec_command.make_context("exec", words, parent=click.get_current_context())
    options: dict[str, Any] = context.params
    run = recorded.run
    is_of_script = "command.program" in run.facts.values
    if not is_of_script:
        options["experiment"] = run.experiment_name  # it may have been renamed
    if is_of_script and not options["no_params"]:
        # A script has its own parameters; `runstore exec` adds those of the command line.
        read = leaf_names(read_params(recorded.words, recorded.folder))
        options["no_params"] = not set(read) <= set(leaf_names(run.params))
    options.update(notes=notes, if_done="run", repeats=run.uid)
    execute(is_one_of_several=is_one_of_several, **options)


def _tell(again: _Again, told: Differences, others: Sequence[str], python: str | None) -> None:
    """Print the command and the differences."""
    place = again.recorded.folder
    say(f"runstore: {again.name} in {place}: {_shown_line(again.recorded)}", err=True)
    if python is not None:
        say(f"runstore: python is {python}, as recorded.", err=True)
    if others:
        from runstore.model.display.suggestions import either

        named = either(others, word="and")
        say(f"runstore: its program also recorded other runs, such as {named}.", err=True)
    if told.decisive or told.others:
        say(f"runstore: differences since {again.name} was recorded:", err=True)
    lines = list(told)  # the decisive ones first
    for one in lines[:_LISTED]:
        say(f"  {one}", err=True)
    if len(lines) > _LISTED:
        say(f"  … and {len(lines) - _LISTED:,} more: --dry-run --json lists all", err=True)


def _shown_line(recorded: RecordedCommand) -> str:
    """Return the command, without the folder of an interpreter that is a usual one here."""
    from runstore.capture.machine.other_python import is_own
    from runstore.reading.shown.facts import without_folder_of_python

    program = recorded.words[0]
    is_usual = is_own(program) or shutil.which(Path(program).name) == program
    return without_folder_of_python(recorded.line) if is_usual else recorded.line


def _print_dry(again: _Again, told: Differences, *, as_json: bool) -> None:
    if as_json:
        print_json({
            "run": again.recorded.run.reference,
            "command": list(again.recorded.words),
            "options": list(again.recorded.options),
            "folder": str(again.recorded.folder),
            "differences": list(told.decisive),
            "other_differences": list(told.others),
        })  # fmt: skip
        return
    say(again.recorded.line, keep_lines=True)
    count = "" if told.decisive else " Nothing that matters differs."
    say(f"runstore: Nothing was executed.{count}", err=True)


def _refused(name: str, *, has_code: bool) -> ConflictError:
    todo = " To run the recorded code, add --recorded-code." if has_code else ""
    return ConflictError(
        f"{name} would not be repeated exactly.",
        kept="Nothing was started.",
        hint=f"To run it in spite of the differences, add --anyway.{todo}",
    )
