"""Running any command, of any language, as a run."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from runstore.capture.machine.process import current_process
from runstore.capture.secrets import MASK, mask_arguments
from runstore.current import COMMAND_VARIABLE, PARENT_VARIABLE
from runstore.errors import (
    CommandNotFoundError,
    InvalidValueError,
    NotFoundError,
    RunstoreError,
    UsageError,
    quoted,
)
from runstore.model.code.documents import IMPORTED_MODULES, LATE_MODULES, entries_of
from runstore.model.code.launchers import launched
from runstore.model.facts import Facts, FactValue
from runstore.model.status import Status
from runstore.recording.active import ActiveRun
from runstore.recording.joining.command_run import offer
from runstore.recording.output import program_lines
from runstore.recording.output.keeper import OutputKeeper
from runstore.recording.recorder import Recorder
from runstore.runner.signals import pass_on_until_ended
from runstore.runner.streams import Streams, flush_own
from runstore.storage.sqlite.paths import is_file, is_folder, mode_of
from runstore.store import Store
from runstore.user_warnings import warn
from runstore.value_classes import dataclass, replace

if TYPE_CHECKING:
    from runstore.config import IfDone
    from runstore.model.run import Run
    from runstore.runner.programs.metric_lines import MetricLines

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
_EXIT_SIGNAL = 128
# Variables that name a pager; git also has one in its settings.
_PAGERS = (
    "PAGER", "GIT_PAGER", "MANPAGER", "PSQL_PAGER", "SYSTEMD_PAGER", "GH_PAGER", "AWS_PAGER",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        reference: Its run.
        status: As recorded.
        exit_code: Its own, or 128 + the number of the signal that ended it, as shells have it.
        error: The error in a line; None for success.
        run: The run as it is kept; None if the store cannot be read.
        is_recorded: Whether this end is recorded.
    """

    reference: str
    status: Status
    exit_code: int
    error: str | None
    run: Run | None = None
    is_recorded: bool = True


def experiment_of(command: Sequence[str]) -> str:
    """Return the experiment name of a command: its script, module or program, without suffix.

    Launchers and wrappers such as `torchrun` or `nice` name nothing. The name shows nothing that
    is masked in the command.
    """
    name = launched(command).name or Path(command[0]).name
    masked = mask_arguments(command)
    if masked == tuple(command) or any(name in part for word in masked for part in _parts(word)):
        return name
    (shown,) = mask_arguments([name])
    return MASK if shown == name else shown


def _parts(word: str) -> list[str]:
    """Return a word, and the words in it without their quotes, as of `sh -c`."""
    try:
        return [word, *shlex.split(word)]
    except ValueError:
        return [word]


def check_command(command: Sequence[str]) -> None:
    """Refuse a command that cannot be started, before anything is recorded.

    Raises:
        UsageError: There is no command.
        CommandNotFoundError: The program is missing, or may not be executed.
    """
    if not command or not command[0]:
        raise UsageError(
            "No command was named.",
            kept="Nothing was recorded.",
            hint="Write for example: runstore exec -- python train.py",
        )
    program = command[0]
    if shutil.which(program) is None:
        exists = os.sep in program and bool(mode_of(program))
        raise CommandNotFoundError(
            f"{program} {'is a folder' if is_folder(program) else 'cannot be executed'}."
            if exists
            else f"There is no command {quoted(program)}.",
            exit_code=EXIT_NOT_EXECUTABLE if exists else EXIT_NOT_FOUND,
            kept="Nothing was recorded.",
            hint="" if is_folder(program) else _hint_for_program(command, exists=exists),
        )


def _hint_for_program(command: Sequence[str], *, exists: bool) -> str:
    program = command[0]
    if list(command[1:2]) == ["--"]:
        return f"Name an experiment with -e: runstore exec -e {shlex.join(command)}"
    if not exists and program.endswith(".py") and is_file(program):
        return f"Name the interpreter: runstore exec -- python {program}"
    if not exists and len(command) == 1 and " " in program:
        return f"For a command of the shell, write: runstore exec -- sh -c {shlex.quote(program)}"
    return "Make it executable with chmod +x, or name its interpreter." if exists else ""


def run_command(
    store: Store,
    command: Sequence[str],
    *,
    experiment: str | None = None,
    params: Any = None,
    given: Mapping[str, Any] = MappingProxyType({}),
    metrics: Sequence[str] = (),
    notes: str | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
    if_done: IfDone = "run",
    uses: Sequence[str] = (),
    saves: Sequence[str] = (),
    facts: Mapping[str, FactValue] = MappingProxyType({}),
    started: Callable[[ActiveRun], object] = lambda _: None,
) -> Ended:
    """Run a command as a run: its output is shown and kept, signals are passed on.

    Call it in the main thread, inside `signals.held_back`.

    Args:
        store: Where the run is recorded.
        command: Program and arguments.
        experiment: Experiment name; by default that of the command.
        params: As in `Store.start`.
        given: Parameters that are kept even if the program records its own.
        metrics: Patterns of metrics in the output; see `metric_lines`.
        notes: Prose.
        tags: Values by key.
        if_done: As in `Store.start`; files among the arguments count as its inputs.
        uses: Files and folders that it reads, noted as inputs.
        saves: Files and folders that it writes, kept when it has ended.
        facts: More facts about the run.
        started: Called with the run before the command starts.

    Raises:
        AlreadyRanError: The same was run before, and is not to be run again.
        UsageError: There is no command.
        CommandNotFoundError: It cannot be started.
        StoreError: The run could not be recorded; the command was not started.
    """
    check_command(command)
    run = store.start(
        experiment_of(command) if experiment is None else experiment,
        params=params,
        notes=notes,
        tags=tags,
        argv=command,
        is_other_process=True,
        if_done=if_done,
    )
    started(run)
    store = run.store  # that of this machine, if the server cannot be reached
    if facts:
        _keep(store, run.uid, Facts(values=facts))
    for path in uses:
        _unless_refused(run.use, path)
    output = _Output(store, run, metrics)
    environment = _environment(run, output)
    if if_done == "run":
        # The next call with --if-done looks for a run under the name of the command.
        keeps_experiment = experiment is not None
        offered = offer(run.uid, dict(given), keeps_experiment=keeps_experiment)
        environment[COMMAND_VARIABLE] = offered
    flush_own()
    try:
        pid = _spawn(command, environment, output.write_ends)
    except OSError as error:
        output.begin()
        output.end()
        told = f"{command[0]} could not be started: {error.strerror}"
        run.finish(Status.ERROR, error=told, exit_code=EXIT_NOT_EXECUTABLE)
        ended = Ended(run.reference, Status.ERROR, EXIT_NOT_EXECUTABLE, told)
        return replace(ended, is_recorded=run.execution.is_end_kept)
    output.begin()
    wait_status, asked = pass_on_until_ended(pid, output.resized)
    output.end()
    for path in saves:
        _unless_refused(run.save, path)
    run.execution.has_output = True
    return _ended(store, run, _how_it_ended(run.reference, wait_status, asked))


def _environment(run: ActiveRun, output: _Output) -> dict[str, str]:
    """Return the variables of a command, by which its own runs and lines find this run."""
    environment = {
        **os.environ,
        PARENT_VARIABLE: run.uid,
        "RUNSTORE_URL": run.store.backend.url,
        program_lines.VARIABLE: output.lines.path,
    }
    environment.pop(COMMAND_VARIABLE, None)
    if output.is_on_terminals:  # a pager would wait for keys from one that has no keyboard
        environment.update(dict.fromkeys(_PAGERS, "cat"))
    return environment


class _Output:
    """The output of a command: shown, kept, and read for metrics."""

    def __init__(self, store: Store, run: ActiveRun, metrics: Sequence[str]) -> None:
        self._keeper = OutputKeeper(store.backend.spool, run.uid)
        self._reports: MetricLines | None = None
        if metrics:
            from runstore.runner.programs.metric_lines import MetricLines

            self._reports = MetricLines(metrics, lambda values, step: run.log(values, step=step))
        self.lines = program_lines.LineTaker(store.backend.spool, run)
        self._streams: Streams | None = None
        self.write_ends = (1, 2)
        try:
            self._streams = Streams(self._keeper, *([self._reports] if self._reports else []))
            self.write_ends = self._streams.write_ends
        except OSError as error:
            warn(f"The output is shown but not kept: {error.strerror}.")

    @property
    def is_on_terminals(self) -> bool:
        """Whether the command has terminals that are not this one."""
        return self._streams is not None and all(map(os.isatty, self.write_ends))

    def begin(self) -> None:
        """Read what the command writes, once it has its own descriptors."""
        if self._streams is not None:
            self._streams.begin()

    def resized(self) -> None:
        """Pass the new size of the terminal on to the command."""
        if self._streams is not None:
            self._streams.resized()

    def end(self) -> None:
        """Keep the rest, after the end of the command."""
        if self._streams is not None:
            self._streams.end()
            if self._reports is not None:
                self._reports.end()
        self._keeper.close()
        self.lines.end()


def _ended(store: Store, run: ActiveRun, ended: Ended) -> Ended:
    """Write the end of a run, unless its program has; return how the run ended."""
    kept: Run | None = None
    with suppress(RunstoreError):
        kept = run.record
    if kept is None or kept.process == current_process():
        _note_edited_modules(store, run)
    elif kept.status.is_final and kept.status is not Status.LOST:
        run.execution.leave_to(kept.status)
        return _ended_by_program(store, kept, ended)
    run.finish(ended.status, error=ended.error, exit_code=ended.exit_code)
    ended = replace(ended, is_recorded=run.execution.is_end_kept)
    return ended if kept is None else replace(ended, reference=kept.reference, run=kept)


def _ended_by_program(store: Store, kept: Run, ended: Ended) -> Ended:
    """Return the end that a program reported; an exit code that contradicts it is a fact."""
    error = kept.error and kept.error.splitlines()[0]
    if kept.status is Status.COMPLETE and ended.exit_code:
        error = f"then the command ended with exit code {ended.exit_code}"
        with suppress(RunstoreError):
            _keep(store, kept.uid, Facts(values={"command.exit_code": ended.exit_code}))
    return Ended(kept.reference, kept.status, ended.exit_code, error, kept)


def _note_edited_modules(store: Store, run: ActiveRun) -> None:
    """Note that a module was written while the command ran, which may have loaded either."""
    try:
        why = _edited_module(store, run)
    except RunstoreError as error:
        why = f"the modules of its start could not be read: {error.what}"
    if why:
        with suppress(RunstoreError):
            _keep(store, run.uid, Facts(unknown={LATE_MODULES: why}))


def _edited_module(store: Store, run: ActiveRun) -> str:
    """Return a module of a command that was written since its start; empty without any."""
    text = store.document(run.uid, IMPORTED_MODULES)
    if text is None:
        return ""
    from runstore.capture.program.command_modules import edited_since

    root = str(run.record.facts.values.get("git.root"))
    modules = entries_of(IMPORTED_MODULES, text, run.reference)
    return edited_since(run.started_at, [place for place, _ in modules.values()], root)


def _keep(store: Store, uid: str, facts: Facts) -> None:
    """Add facts to the run of a command or of its program."""
    store.backend.part(Recorder).keep_facts(uid, facts, f"facts about the run {uid}")


def _unless_refused(record: Callable[[str], object], path: str) -> None:
    """Record something beside the command; a failure is a warning."""
    try:
        record(path)
    except (NotFoundError, InvalidValueError) as error:
        warn(str(error))


def _spawn(command: Sequence[str], environment: dict[str, str], ends: tuple[int, int]) -> int:
    """Start the command with every signal as this process found it; a spawn, not a fork."""
    return os.posix_spawnp(
        command[0],
        list(command),
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, ends[0], 1), (os.POSIX_SPAWN_DUP2, ends[1], 2)],
        setsigmask=(),
        # Python ignores these; a command does not expect that.
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )


def _how_it_ended(reference: str, wait_status: int, asked: int | None) -> Ended:
    code = os.waitstatus_to_exitcode(wait_status)
    if code == 0:
        return Ended(reference, Status.COMPLETE, 0, None)
    exit_code = _EXIT_SIGNAL - code if code < 0 else code
    if asked is not None:
        name = signal.Signals(asked).name
        return Ended(reference, Status.INTERRUPTED, exit_code, f"asked to end by {name}")
    told = f"ended by {_signal_name(-code)}" if code < 0 else f"exit status {code}"
    return Ended(reference, Status.ERROR, exit_code, told)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
