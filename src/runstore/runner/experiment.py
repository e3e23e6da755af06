"""Running an experiment module over parameter sets, as one run."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runstore import background
from runstore.current import PARENT_VARIABLE
from runstore.errors import (
    RunstoreError,
    StoreUnavailableError,
    UsageError,
    UserCodeError,
    attempt,
)
from runstore.model.display.short_names import short_name
from runstore.model.display.suggestions import nearest
from runstore.model.facts import REPEATS, Facts
from runstore.model.params.build import parameter_set
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.recording.active import ActiveRun
from runstore.recording.outcome import status_of
from runstore.runner import modules, overrides, own_output, run_folder
from runstore.runner.experiment_manager import CacheOptions, ExperimentManager
from runstore.runner.project import Module, Project
from runstore.runner.repeating.differences import Differences, repeated_run, what_differs
from runstore.runner.selection import Candidate, check_names, named_sets, select
from runstore.store import Store
from runstore.user_warnings import warn
from runstore.value_classes import dataclass, field, replace

if TYPE_CHECKING:
    from runstore.config import IfDone

# An experiment whose first argument is called so gets all its sets in one call.
_ALL_SETS = frozenset({"param_sets", "params_list", "parameter_sets", "argsets", "all_params"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to run an experiment; see the options of `runstore run`.

    `repeats` is the uid of the run that it repeats.
    """

    experiment: str
    files: Sequence[str] = ()
    names: Sequence[str] = ()
    indices: Sequence[str] = ()
    settings: Sequence[str] = ()
    notes: str | None = None
    tags: Mapping[str, str] | None = None
    store_full: bool = False
    cache: Path | None = None
    dry_cache: bool = False
    overwrite: bool = False
    keep_going: bool = False
    if_done: IfDone = "run"
    repeats: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment with its parameter sets, before it runs; one call may take all, as a list."""

    experiment: str
    function: Callable[..., Any]
    sets: Sequence[Candidate]
    takes_all: bool

    @property
    def steps(self) -> list[tuple[ParameterSet | None, Any]]:
        """The calls: the parameter set of each, and its first argument."""
        if self.takes_all:
            return [(None, [one.values for one in self.sets])]
        return [(one.recorded, one.values) for one in self.sets]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: its parameter set, the error in a line, the user's traceback."""

    name: str
    error: str
    traceback: str


@dataclass(slots=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        reference: The run.
        done: Calls that returned.
        total: Calls that were to be made.
        pruned: Calls that were stopped early on purpose.
        failures: Calls that raised anything else.
        folder: The folder of the full store, if any.
        is_recorded: Whether its end is recorded.
    """

    reference: str
    total: int
    done: int = 0
    pruned: int = 0
    failures: list[Failure] = field(default_factory=list)
    folder: Path | None = None
    is_recorded: bool = True

    @property
    def status(self) -> Status:
        """The status of the run."""
        if self.failures:
            return Status.ERROR
        return Status.PRUNED if self.pruned else Status.COMPLETE

    @property
    def error(self) -> str | None:
        """The error, in a few lines; None if there is none."""
        if not self.failures:
            return None
        first = self.failures[0].error
        if self.total == 1:
            return first
        names = ", ".join(one.name for one in self.failures)
        return f"{first}\n{len(self.failures)} of {self.total} parameter sets failed: {names}"


class Progress(Protocol):
    """Receives the progress of a run."""

    def differs(self, reference: str, differences: Differences) -> None:
        """Receive the differences from the run that is repeated."""

    def started(self, run: ActiveRun) -> None:
        """Receive the run when it is recorded."""

    def begin(self, name: str) -> None:
        """Receive the name of a set when it begins."""

    def advance(self) -> None:
        """Count a set as done."""


def prepare(project: Project, request: Request) -> Plan:
    """Load an experiment and choose its parameter sets. Nothing is recorded yet.

    Raises:
        UsageError: A module, function or set is missing or does not fit; one clear message.
        InvalidValueError: A value cannot be recorded.
    """
    module = project.experiment(request.experiment)
    loaded = modules.load(project, module)
    function = modules.function_of(loaded, "run", module, project)
    sets = _gathered(project, module, loaded, request.files)
    chosen = select(sets, request.names, request.indices)
    plan = Plan(module.name, function, chosen, _takes_all(function, module))
    return with_settings(plan, request.settings)


def with_settings(plan: Plan, settings: Sequence[str]) -> Plan:
    """Return a plan with other values in all its parameter sets.

    Raises:
        UsageError: A key does not exist, or a text does not fit its type.
    """
    if not settings:
        return plan
    changed = [_changed(one, settings) for one in plan.sets]
    found = (told for one in plan.sets for told in overrides.doubts(one.values, settings))
    for told in dict.fromkeys(found):
        warn(told)
    return replace(plan, sets=changed)


def _gathered(
    project: Project, module: Module, loaded: Any, files: Sequence[str]
) -> list[Candidate]:
    if not files:
        if not callable(getattr(loaded, "get_params", None)):
            raise UsageError(
                f"{module.name} has no parameters of its own.",
                kept="Nothing was recorded.",
                hint="Name a parameter file: -p PARAMS",
            )
        return _sets_of(project, module)
    repeated = next((one for one in files if list(files).count(one) > 1), None)
    if repeated is not None:
        raise UsageError(f"-p {repeated} was passed twice.", kept="Nothing was recorded.")
    sets = [one for name in files for one in _sets_of(project, project.parameters(name))]
    check_names(sets)
    return sets


def _sets_of(project: Project, module: Module) -> list[Candidate]:
    loaded = modules.load(project, module)
    sets = named_sets(
        _called(modules.function_of(loaded, "get_params", module, project)), module.name
    )
    check_names(sets)
    return sets


def _called(get_params: Callable[..., Any]) -> Any:
    """Return the result of the user's function; a list if it is a generator."""
    try:
        given = get_params()
        return list(given) if isinstance(given, Iterator) else given
    except Exception as error:  # the user's code
        trace = modules.user_traceback(error)
        raise UserCodeError(
            f"get_params failed: {trace.strip().splitlines()[-1]}",
            traceback=trace,
            kept="Nothing was recorded.",
        ) from error


def _changed(one: Candidate, settings: Sequence[str]) -> Candidate:
    values = overrides.apply(one.values, settings)
    recorded = parameter_set(values, name=one.recorded.name, file=one.recorded.file)
    return Candidate(values, recorded)


def _takes_all(function: Callable[..., Any], module: Module) -> bool:
    try:
        signature = inspect.signature(function)
        signature.bind(None, None)
    except TypeError:
        raise UsageError(
            f"run in {module.name} does not take two arguments.",
            kept="Nothing was recorded.",
            hint="Define run(params, manager).",
        ) from None
    return next(iter(signature.parameters)) in _ALL_SETS


def execute(
    plan: Plan, store: Store, request: Request, *, argv: Sequence[str], progress: Progress
) -> Outcome:
    """Run a plan as one run, and return how it went.

    The run is complete when every call returned, an error when one raised, pruned when one was
    pruned and none raised anything else, and interrupted on Ctrl-C and SIGTERM, which are
    re-raised.

    Args:
        plan: The experiment and its sets.
        store: Where it is recorded.
        request: Notes, full store, cache.
        argv: The exact command, to be kept.
        progress: Receives the progress.

    Raises:
        AlreadyRanError: The same was run before, and the request says not to run it again.
        StoreError: The run could not be recorded; it did not begin.
    """
    repeated = repeated_run(store, request.cache) if request.dry_cache else None
    if repeated is not None:
        sets = [one.recorded for one in plan.sets]
        found = what_differs(store, repeated, sets, argv)
        progress.differs(repeated.reference, found)
    if request.settings:
        with suppress(RunstoreError):  # the run may be recorded elsewhere
            _question_new_names(store, plan, request.settings)
    run = store.start(
        plan.experiment,
        params=[one.recorded for one in plan.sets],
        notes=request.notes,
        tags=request.tags,
        argv=argv,
        full_store=request.store_full,
        if_done=request.if_done,
        is_told_by_params=True,
    )
    store = run.store  # that of this machine, if the server cannot be reached
    if request.repeats is not None:
        store.backend.database.attach_facts(run.uid, Facts(values={REPEATS: request.repeats}))
    progress.started(run)
    outcome = Outcome(run.reference, len(plan.steps))
    with ExitStack() as stack:
        if request.store_full:
            outcome.folder = store.folder_of(run.reference)
            _begin_folder(outcome.folder, store, run)
            stack.callback(_end_folder, outcome.folder, store, run)
        stack.enter_context(run)
        stack.enter_context(_told_to_children(run))
        manager = _manager(store, run, request, outcome.folder)
        stack.callback(manager.remove_temporary_files)
        run.execution.has_output = True
        with own_output.kept(store.path, run.uid):
            _work_through(plan, manager, request, outcome, progress)
        trace = "\n".join(one.traceback for one in outcome.failures)
        run.finish(outcome.status, error=outcome.error, traceback=trace or None)
        outcome.is_recorded = run.execution.is_end_kept
    return outcome


def _question_new_names(store: Store, plan: Plan, settings: Sequence[str]) -> None:
    """Ask about new settings that resemble a parameter of the last run that is missing now."""
    sets = [one.recorded for one in plan.sets]
    for earlier in store.list(plan.experiment, limit=1):
        before, now = _names_of(earlier.parameter_sets), _names_of(sets)
        for key in dict.fromkeys(one.partition("=")[0].strip() for one in settings):
            near = nearest(key, sorted(before - now)) if key in now - before else ""
            if near:
                last = short_name(earlier)
                warn(f"--set {key}: {last} has {near!r} and no {key!r}. Did you mean {near!r}?")


def _names_of(sets: Sequence[ParameterSet]) -> set[str]:
    return {name for one in sets for name, *_ in one.flat()}


def _work_through(
    plan: Plan,
    manager: ExperimentManager,
    request: Request,
    outcome: Outcome,
    progress: Progress,
) -> None:
    for one, values in plan.steps:
        name = one.name if one else plan.experiment
        progress.begin(name)
        manager.begin_set(one)
        attempt(partial(_run, plan, values, manager, outcome), partial(_note_error, outcome, name))
        if outcome.failures and not request.keep_going:
            return
        progress.advance()


def _run(plan: Plan, values: Any, manager: ExperimentManager, outcome: Outcome) -> None:
    plan.function(values, manager)
    outcome.done += 1


def _note_error(outcome: Outcome, name: str, error: Exception) -> None:
    """Note an error of the user's code; a pruned trial is none."""
    if status_of(error) is Status.PRUNED:
        outcome.pruned += 1
        return
    trace = modules.user_traceback(error)
    outcome.failures.append(Failure(name, trace.strip().splitlines()[-1], trace))


def _manager(
    store: Store, run: ActiveRun, request: Request, folder: Path | None
) -> ExperimentManager:
    manager = ExperimentManager.of_run(run)
    manager.cache = CacheOptions(
        folder=request.cache.absolute() if request.cache else Path(store.backend.home, "cache"),
        is_dry=request.dry_cache,
        overwrite=request.overwrite,
    )
    if folder is not None:
        manager.artifacts_path = folder / run_folder.ARTIFACTS
    return manager


def _begin_folder(folder: Path, store: Store, run: ActiveRun) -> None:
    """Create the folder of a full store; the run fails if that is impossible."""
    record = run.record
    try:
        run_folder.write_beginning(folder, record)
    except OSError as error:
        run.finish("error", error=f"The run's folder could not be created: {error}")
        raise StoreUnavailableError(
            f"The run's folder {folder} could not be created: {error.strerror}.",
            kept=f"{run.reference} is recorded as an error; the experiment was not started.",
        ) from error
    store.backend.database.set_reproduce(
        run.uid, run_folder.reproduction(record.cli or "", folder)
    )


def _end_folder(folder: Path, store: Store, run: ActiveRun) -> None:
    background.wait_until_done()
    run_folder.write_end(folder, store, run.record)


@contextmanager
def _told_to_children(run: ActiveRun) -> Iterator[None]:
    """Let programs that the experiment starts record their runs below this one."""
    told = {PARENT_VARIABLE: run.uid, "RUNSTORE_URL": run.store.backend.url}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
