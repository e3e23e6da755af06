"""start_run, recorded and attach_run, the functions for training scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from operator import attrgetter

from runstore import current
from runstore.config import is_on
from runstore.errors import UsageError, genuine, shown
from runstore.model.arguments import hinted
from runstore.recording.request import StartRequest
from runstore.store import Store, open_shared, started
from runstore.user_warnings import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import CodeType, FrameType
    from typing import Any, TypeVar

    from runstore.config import IfDone
    from runstore.model.run import Run
    from runstore.recording.active import ActiveRun

    F = TypeVar("F", bound=Callable[..., Any])

# Functions before a call that are searched for it: a decorator may contain some itself.
_NEAREST = 3
# Lines of decorators before an empty function.
_DECORATORS_AT_MOST = 20


@hinted('Write: start_run("mnist", params={"lr": 0.1}).')
def start_run(
    experiment_name: str | None = None,
    *,
    store: str | os.PathLike[str] | Store | None = None,
    resume: str | Run | ActiveRun | None = None,
    params: Any = None,
    seed: Any = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Mapping[str, Any] | Iterable[str] | None = None,
    output: bool | None = None,
    capture: bool = True,
    parent: str | ActiveRun | Run | None = None,
    live: bool = False,
    if_done: IfDone = "run",
) -> ActiveRun:
    """Start a run in the store of this project, or in another store.

    Use it as a context manager, or as a plain object with `finish()`. As a decorator it starts
    nothing and makes each call of the function a run, as `recorded` does.

    Args:
        experiment_name: The experiment that the run belongs to: any printable text up to 255
            bytes. The run gets its next number.
        store: A folder, a URL or an open `Store`; None finds the project's store, or creates one.
        resume: A run to continue instead of a new one, by any name that `Store.get` accepts.
            Parameters and tags are added to its existing ones.
        params: Parameters: a mapping, a dataclass, an object with attributes, or a list of these
            for several parameter sets. Use `ActiveRun.params` to add more later.
        seed: Added to the parameters as `seed`. It is recorded only: runstore does not touch
            random number generators.
        name: Display name of the run, kept as the tag `name`; it need not be unique.
        notes: Free text about the run.
        tags: Values by key, such as `{"phase": "pilot"}`, or a list of keys without values.
        output: Whether to keep Python's output to `sys.stdout` and `sys.stderr` until the run
            ends. By default the setting `output`, which is on by default.
        capture: Whether to record git, host, packages and source code. Slow facts are read
            in the background.
        parent: Parent run; by default the run whose block surrounds this call, in this process
            or in the one that started it.
        live: Whether this is an interactive session, which has no defined end.
        if_done: Action if a complete run had the same parameters, code and inputs: `run`
            without checking, `warn` and run, `skip`, or `error`. The last two raise
            `AlreadyRanError`.

    Returns:
        The run, which is already durable.

    Raises:
        AlreadyRanError: An identical run exists, and `if_done` is `skip` or `error`.
        InvalidValueError: The name or a value cannot be stored; the message names it.
        StoreError: The store did not accept the run.
        UsageError: Neither an experiment name nor a run to resume was given, or both; or `seed`
            and `params` disagree.
    """
    if (experiment_name is None) == (resume is None):
        raise UsageError(
            "start_run takes an experiment name or resume=RUN, and not both.",
            kept="No run was recorded.",
            hint='Write start_run("mnist"), or start_run(resume="mnist#7").',
        )

    request = StartRequest(
        "" if experiment_name is None else experiment_name,
        params,
        notes=notes,
        capture=capture,
        parent=parent,
        live=live,
        if_done=if_done,
        tags=tags,
        seed=seed,
        name=name,
    )

    wrapper = sys._getframe().f_back  # noqa: SLF001 - the documented way; it adds hints
    if resume is None and wrapper is not None and _is_decorator(wrapper.f_back):
        return _per_call(store, request, output=output)  # type: ignore[return-value]
    return _entered(store, request, resume, output=output)


def _is_decorator(frame: FrameType | None) -> bool:
    """Check whether a frame calls `start_run` as a decorator; fast for all other calls."""
    if frame is None:  # the first function of a thread
        return False
    line, code = frame.f_lineno or 0, frame.f_code
    inside = [one for one in code.co_consts if isinstance(one, type(code))]
    before = [one for one in inside if one.co_firstlineno <= line]
    nearest = sorted(before, key=attrgetter("co_firstlineno"))[-_NEAREST:]
    # The lines of a function begin with its decorators.
    if not any(line <= _last_line(one) for one in nearest):
        return False
    try:
        from runstore.capture.program.decorators import is_decorator

        return is_decorator(frame, start_run)
    except genuine(AttributeError, LookupError, OSError, TypeError, ValueError):
        return False  # of a later Python, or no descriptor is left to load the module


def _last_line(code: CodeType) -> int:
    """Return the last line of a function; with an empty body, one behind its decorators."""
    first = code.co_firstlineno
    last = max((number or 0 for _, _, number in code.co_lines()), default=0)
    return last if last > first else first + _DECORATORS_AT_MOST


def _entered(
    store: str | os.PathLike[str] | Store | None,
    request: StartRequest,
    resume: str | Run | ActiveRun | None = None,
    *,
    output: bool | None = None,
) -> ActiveRun:
    """Start or resume a run, make it the current one, and keep its output."""

    def begin() -> ActiveRun:
        opened = store if isinstance(store, Store) else open_shared(store)
        if resume is not None:
            return _with_more(opened.resume(resume), request)
        return started(opened, request)

    run = begin()
    try:
        if request.if_done in {"run", "warn"}:
            run.execution.again = begin
        current.enter(run.execution)
        if run.execution.is_first:
            _say_where(run, output=output)
        run.execution.keep_output_of_script(wanted=output)
    except BaseException as error:  # of a signal handler
        run.execution.end_by(error)
        raise
    return run


def _say_where(run: ActiveRun, *, output: bool | None) -> None:
    """Show, once per store, its folder and how to turn the recording of output off."""
    kept = ""
    if output or (output is None and _is_output_wanted()):
        kept = ", with their output (start_run(output=False) turns that off)"
    say(f"runs are recorded in {run.execution.store_path}{kept}.")


def _is_output_wanted() -> bool:
    try:
        return is_on("output")
    except UsageError:  # a warning says so when something is printed
        return True


def _with_more(run: ActiveRun, request: StartRequest) -> ActiveRun:
    """Add the arguments for a new run to a resumed run."""
    from runstore.recording.starting import tags_of

    try:
        seed = {} if request.seed is None else {"seed": request.seed}
        if request.params is not None or seed:
            run.add_params(request.params, **seed)
        if tags := tags_of(request, run.execution.tag_names):
            run.tags.update(tags)
        if request.notes is not None:
            run.edit(notes=request.notes)
    except BaseException as error:  # of a signal handler, or any other
        run.execution.end_by(error)
        raise
    return run


@hinted('Write: @recorded("mnist", params={"lr": 0.1}).')
def recorded(
    experiment_name: str,
    *,
    store: str | os.PathLike[str] | Store | None = None,
    params: Any = None,
    seed: Any = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Mapping[str, Any] | Iterable[str] | None = None,
    output: bool | None = None,
    capture: bool = True,
    parent: str | ActiveRun | Run | None = None,
    live: bool = False,
    if_done: IfDone = "run",
) -> Callable[[F], F]:
    """Make each call of the decorated function a run: `@runstore.recorded("mnist")`.

    Decorating starts nothing and opens no store. The run begins and ends with the body of the
    function, of a coroutine, or of a generator of either kind; `current_run()` returns it there.
    The arguments of a call are not recorded; `current_run().params["lr"] = lr` adds one.

    Args:
        experiment_name: The experiment of the runs.
        store: A folder, a URL or an open `Store`; None finds the store at each call.
        params: Parameters of every run: a mapping, a dataclass, or a list of these.
        seed: Added to the parameters as `seed`; see `start_run`.
        name: Display name of the runs, kept as the tag `name`.
        notes: Free text about the runs.
        tags: Values by key, or a list of keys without values.
        output: Whether to keep the output of Python code; see `start_run`.
        capture: Whether to record git, host, packages and source code.
        parent: Parent run; by default the run that surrounds the call.
        live: Whether the runs are interactive sessions, which have no defined end.
        if_done: Action if an identical run exists: `run`, `warn`, `skip` or `error`; the
            last two raise `AlreadyRanError` at the call.

    Raises:
        UsageError: No experiment name was given, or no function was decorated.
    """
    if not isinstance(experiment_name, str):
        raise UsageError(
            f"Expected an experiment name, got {shown(experiment_name)}.",
            hint='Decorate with parentheses: @runstore.recorded("mnist").',
        )

    request = StartRequest(
        experiment_name,
        params,
        notes=notes,
        capture=capture,
        parent=parent,
        live=live,
        if_done=if_done,
        tags=tags,
        seed=seed,
        name=name,
    )

    return _per_call(store, request, output=output)


def _per_call(
    store: str | os.PathLike[str] | Store | None, request: StartRequest, *, output: bool | None
) -> Callable[[F], F]:
    """Return a decorator that makes each call of a function a run."""

    def decorate(function: F) -> F:
        from runstore.recording.recorded_functions import run_per_call

        wrapper: F = run_per_call(function, lambda: _entered(store, request, output=output))
        return wrapper

    return decorate


def attach_run(
    run: str | Run | ActiveRun | None = None,
    *,
    store: str | os.PathLike[str] | Store | None = None,
) -> ActiveRun:
    """Return a run that another process executes, to log to it from this process as well.

    Only the process that executes the run can end it; see `Store.attach`.

    Args:
        run: Any name of the run; None for the run that started this process, as with
            `runstore exec`.
        store: A folder, a URL or an open `Store`; None finds the project's store.

    Raises:
        RunFinishedError: The run has ended.
        RunNotFoundError: There is no such run.
        UsageError: No run was named, and none started this process.
    """
    from runstore.recording.joining.attaching import surrounding_run

    opened = store if isinstance(store, Store) else open_shared(store)
    return opened.attach(surrounding_run() if run is None else run)
