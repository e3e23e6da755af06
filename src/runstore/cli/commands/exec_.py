"""runstore exec: run a program in any language, and record it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from runstore.cli.already_ran import chosen, if_done_option, say_nearest, skipping
from runstore.cli.completions import complete_experiment_names
from runstore.cli.context import open_store
from runstore.cli.options import mask_output_option, tag_option
from runstore.cli.output import recorded_text, say
from runstore.errors import InvalidValueError, UsageError, quoted
from runstore.model.display.suggestions import some_of

if TYPE_CHECKING:
    from runstore.config import IfDone
    from runstore.model.facts import FactValue
    from runstore.model.run import Run

# Maximum number of parameters to name.
_NAMED = 8


# Names of these options in other programs.
_KNOWN_AS = {
    "--name": "--experiment",
    "--project": "--experiment",
    "--params": "--param",
    "--config": "--param",
    "--description": "--notes",
    "--message": "--notes",
    "--output": "--save",
    "--artifact": "--save",
    "--input": "--use",
}


class _Exec(click.Command):
    """A command that suggests its own name of an unknown option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            ours = _KNOWN_AS.get(error.option_name)
            if ours is None:
                raise
            raise UsageError(
                f"`runstore exec` has no option {quoted(error.option_name)}.",
                kept="Nothing was recorded.",
                hint=f"Did you mean {ours}?",
            ) from None


@click.command(
    "exec",
    cls=_Exec,
    context_settings={"allow_interspersed_args": False},
    short_help="Run any command and record it.",
)
@click.option(
    "-e",
    "--experiment",
    metavar="NAME",
    shell_complete=complete_experiment_names,
    help="Experiment (default: the name of the script or program).",
)
@click.option(
    "-p",
    "--param",
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Parameter to record; repeatable.",
)
@click.option(
    "--no-params", is_flag=True, help="Do not record the options of COMMAND as parameters."
)
@click.option(
    "-m",
    "--metrics",
    metavar="PATTERN",
    multiple=True,
    help="Metrics to read from the output, such as 'step {step}: loss {loss}', or json;"
    " repeatable.",
)
@click.option("--notes", metavar="TEXT", help="Notes of the run.")
@tag_option
@click.option(
    "--use",
    "uses",
    metavar="PATH",
    multiple=True,
    help="File or folder that the command reads; repeatable.",
)
@click.option(
    "--save",
    "saves",
    metavar="PATH",
    multiple=True,
    help="File or folder to save at the end; repeatable.",
)
@mask_output_option
@if_done_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(*, if_done: str | None, **options: Any) -> None:
    """Run COMMAND and record its output, parameters, exit code and status.

    The output is shown and recorded, signals are forwarded, and the exit code is that of COMMAND.
    Parameters are read from its options: --lr 0.1, --layers=3, --no-cuda, key=value.
    COMMAND logs metrics and saves files with `runstore metric`, `runstore save`, or lines that it
    appends to the file named by $RUNSTORE_LOG.

    \b
    runstore exec -- python train.py --lr 0.1
    runstore exec -m 'loss: {loss}' -- ./simulate
    runstore exec -e fit -p seed=1 -- Rscript fit.R data.csv
    """  # noqa: D301 - click keeps lines after the mark as they are
    _check_saves(options["saves"])
    execute(if_done=chosen(if_done, "run"), **options)


def execute(
    *,
    experiment: str | None,
    settings: Sequence[str],
    no_params: bool,
    metrics: Sequence[str],
    notes: str | None,
    tags: Mapping[str, str],
    uses: Sequence[str],
    saves: Sequence[str],
    if_done: IfDone,
    command: Sequence[str],
    repeats: str | None = None,
    is_one_of_several: bool = False,
) -> NoReturn:
    """Run and record a command, and end this process with its exit code.

    Args:
        repeats: The uid of the run that it repeats.
        is_one_of_several: Whether the program of that run recorded other runs as well.
        if_done: As in `Store.start`.
        experiment: See the options of `runstore exec`, as for the others.
        settings: Parameters.
        no_params: Whether the words of the command are not parameters.
        metrics: Patterns.
        notes: Prose.
        tags: Values by key.
        uses: Inputs.
        saves: Results.
        command: The program and its arguments.
    """
    from runstore.config import is_on
    from runstore.model.facts import EXEC_OPTIONS, REPEATS
    from runstore.runner import overrides
    from runstore.runner.command import check_command, run_command
    from runstore.runner.programs import params as command_params
    from runstore.runner.signals import held_back

    check_command(command)
    _check_patterns(metrics)
    given = overrides.built(settings)
    read = {}
    if not no_params and is_on("exec-params"):
        read = command_params.read_params(command, Path())
    params = command_params.merged(read, given)
    options = _as_words(experiment, settings, metrics, uses, saves, no_params=no_params)
    facts: dict[str, FactValue] = {EXEC_OPTIONS: options} if options else {}
    if repeats is not None and not is_one_of_several:
        facts[REPEATS] = repeats
    with held_back(), open_store(create=True) as store, skipping(if_done):
        ended = run_command(
            store,
            command,
            experiment=experiment,
            params=params or None,
            given=given,
            metrics=metrics,
            notes=notes,
            tags=tags,
            if_done=if_done,
            uses=uses,
            saves=saves,
            facts=facts,
            started=lambda run: say_nearest(run, if_done),
        )
        if repeats is not None and is_one_of_several and ended.run is not None:
            from runstore.runner.repeating.recorded import note_repeated

            note_repeated(store, ended.run, repeats)
    if read and ended.run is not None and ended.run.params == params:
        _say_read(ended.run, [*command_params.leaf_names(read)])
    error = "" if ended.error is None else f": {ended.error}"
    recorded = recorded_text(ended.reference, is_recorded=ended.is_recorded)
    say(f"runstore: {recorded}: {ended.status}{error}", err=True)
    sys.exit(ended.exit_code)


def _check_saves(saves: Sequence[str]) -> None:
    """Refuse results that could not be saved at the end, because their paths cannot be names."""
    from runstore.cli.commands.save import own_name

    for path in saves:
        try:
            own_name(path, "The command itself can save it with a name: runstore save")
        except InvalidValueError as error:
            error.kept = "The command was not started."
            raise


def _check_patterns(metrics: Sequence[str]) -> None:
    """Refuse wrong patterns of metrics; most commands have none."""
    if metrics:
        from runstore.runner.programs import metric_lines

        for pattern in metrics:
            if pattern != metric_lines.JSON:
                metric_lines.compiled(pattern)


def _as_words(
    experiment: str | None,
    settings: Sequence[str],
    metrics: Sequence[str],
    uses: Sequence[str],
    saves: Sequence[str],
    *,
    no_params: bool,
) -> tuple[str, ...]:
    """Return the options that `runstore rerun` needs, with secrets masked."""
    from runstore.capture.program.command import kept_arguments

    named: list[tuple[str, Sequence[str]]] = [
        ("-e", [experiment] if experiment else []),
        ("-p", settings),
        ("-m", metrics),
        ("--use", uses),
        ("--save", saves),
    ]
    words = [word for option, values in named for value in values for word in (option, value)]
    return kept_arguments([*words, *(["--no-params"] if no_params else [])])[0]


def _say_read(run: Run, names: Sequence[str]) -> None:
    """Print the parameters that were read, at the first run of an experiment."""
    if run.run_number == 1:
        one = "parameter" if len(names) == 1 else "parameters"
        say(
            f"runstore: {one} {some_of(names, _NAMED)} read from the command line; use --no-params"
            f" to leave {'it' if len(names) == 1 else 'them'} out",
            err=True,
        )
