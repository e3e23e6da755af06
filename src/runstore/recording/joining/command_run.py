"""The run of a command under `runstore exec`, which its program takes over.

If a Python program under `runstore exec` starts a run, it continues the run of the command: a
single run has the output, the parameters and the metrics.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from runstore.capture.machine.process import command_of, current_process, processes_between
from runstore.capture.program.command import argument_texts, kept_arguments
from runstore.config import current_author
from runstore.current import COMMAND_VARIABLE
from runstore.errors import RunstoreError
from runstore.model.code.launchers import launched
from runstore.model.code.python_command import is_python, python_target
from runstore.model.params.parameter_set import has_values
from runstore.reading.names import record_of
from runstore.storage.backend import Backend
from runstore.user_warnings import warn
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.model.params.parameter_set import ParameterSet
    from runstore.model.run import Run
    from runstore.storage.new_runs import NewRun


class CommandRun(NamedTuple):
    """The run of this process's command, started by `runstore exec`.

    `given` are parameters that the user named; others were read from the command line. `offer` is
    the value of `COMMAND_VARIABLE`.
    """

    run: Run
    given: dict[str, Any]
    keeps_experiment: bool
    offer: str


def offer(uid: str, given: dict[str, Any], *, keeps_experiment: bool) -> str:
    """Return the value of `COMMAND_VARIABLE` that allows a program to take over a run."""
    told = {"run": uid, "params": given, "keeps_experiment": keeps_experiment}
    return json.dumps(told, default=str)


def run_of_this_command(backend: Backend) -> CommandRun | None:
    """Return the run of this process's command; None if it cannot be taken over.

    Only the program named in the command takes it over. Its forks and the programs that it starts
    have separate runs.
    """
    try:
        told = json.loads(os.environ[COMMAND_VARIABLE])
        run = backend.database.run_by_uid(told["run"])
        offered = told["params"], bool(told["keeps_experiment"])
    except (KeyError, TypeError, ValueError):
        return None
    if run is None or run.status.is_final or run.process is None:
        return None
    between = processes_between(run.process)
    command = run.facts.values.get("command.argv")
    if between is None or not isinstance(command, tuple):
        return None
    own = kept_arguments(argument_texts(sys.orig_argv))[0]
    program = _program(launched(own)[:2]) if own else None
    if program is None or program != _program(launched(command)[:2]):
        return None
    if any(_runs_itself(command_of(pid)) == program for pid in between):
        return None
    return CommandRun(run, *offered, os.environ[COMMAND_VARIABLE])


def take_over(backend: Backend, new: NewRun, outer: CommandRun) -> Run | None:
    """Continue the run of a command in this process, under the name that its program chose.

    Returns the run as it is now; None if another process has taken it over.
    """
    run, process = outer.run, outer.run.process
    sets = _with_given(new.parameter_sets, outer.given)
    taken = new._replace(
        uid=run.uid,
        experiment_name=run.experiment_name if outer.keeps_experiment else new.experiment_name,
        timestamp=run.timestamp,
        parameter_sets=sets,
    )
    if process is None or not backend.moves.take_over(taken, process, current_author()):
        return None
    backend.database.attach_facts(run.uid, new.facts)
    os.environ.pop(COMMAND_VARIABLE, None)
    return record_of(backend, run.uid)


def hand_back(backend: Backend, outer: CommandRun) -> None:
    """Offer the run of the command to a later call, as this one only decorates a function."""
    if outer.run.process is not None:
        backend.database.take_over(outer.run.uid, current_process(), outer.run.process)
    os.environ[COMMAND_VARIABLE] = outer.offer


def _with_given(sets: tuple[ParameterSet, ...], given: dict[str, Any]) -> tuple[ParameterSet, ...]:
    """Return the sets of a program with the parameters that the user named; empty for none."""
    if not has_values(sets):
        return ()
    from runstore.model.params.added import with_added
    from runstore.model.params.build import parameter_set

    try:
        return with_added(sets, parameter_set(given), None) if given else sets
    except RunstoreError as error:
        warn(f"{error} These parameters were not recorded: {', '.join(given)}.")
        return sets


def _program(target: tuple[str, str]) -> tuple[str, str]:
    """Return the common part of all command lines of a program."""
    kind, what = target
    return ("file", PurePath(what).name) if kind in {"script", "program"} else (kind, what)


def _runs_itself(command: Sequence[str]) -> tuple[str, str] | None:
    """Return the program that an interpreter runs directly, without a launcher."""
    if not command or not is_python(command[0]):
        return None
    return _program(python_target(command[1:])[:2])
