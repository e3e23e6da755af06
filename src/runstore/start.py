"""start_run: what a training script calls."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar, cast

from runstore import current
from runstore.config import IfDone
from runstore.errors import UsageError
from runstore.recording.active import ActiveRun
from runstore.recording.starting import StartRequest, start
from runstore.store import Store, open_shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from runstore.model.run import Run

F = TypeVar("F", bound="Callable[..., Any]")


def start_run(
    experiment_name: str | None = None,
    *,
    store: str | os.PathLike[str] | Store | None = None,
    resume: str | Run | ActiveRun | None = None,
    params: Any = None,
    notes: str | None = None,
    capture: bool = True,
    parent: str | ActiveRun | Run | None = None,
    live: bool = False,
    if_done: IfDone = "run",
) -> ActiveRun:
    """Start a run in the store of this project, or in the one given.

    Use it as a context manager, or as a plain object with `finish()`. To make each call of a
    function a run, see `recorded`.

    Args:
        experiment_name: Any printable text up to 255 bytes.
        store: A folder, a URL or an open `Store`; None finds the project's store.
        resume: Go on with this run instead; takes every name that `Store.get` takes.
        params: See `Store.start`.
        notes: See `Store.start`.
        capture: See `Store.start`.
        parent: See `Store.start`.
        live: See `Store.start`.
        if_done: See `Store.start`: `run`, `warn`, `skip` or `error`.

    Raises:
        AlreadyRanError: The same was run before, and `if_done` is `skip` or `error`.
        UsageError: Neither an experiment name nor a run to resume was given, or both.
    """
    if (experiment_name is None) == (resume is None):
        raise UsageError("start_run takes an experiment name, or resume=RUN; one of them.")

    request = StartRequest(
        "" if experiment_name is None else experiment_name,
        params,
        notes=notes,
        capture=capture,
        parent=parent,
        live=live,
        if_done=if_done,
    )

    return _entered(store, request, resume)


def _entered(
    store: str | os.PathLike[str] | Store | None,
    request: StartRequest,
    resume: str | Run | ActiveRun | None = None,
) -> ActiveRun:
    """Start or resume a run and make it the current one."""

    def begin() -> ActiveRun:
        opened = store if isinstance(store, Store) else open_shared(store)
        if resume is not None:
            return opened.resume(resume)
        return start(opened.backend, request, opened)

    run = begin()
    try:
        if request.if_done in {"run", "warn"}:
            run.execution.again = begin
        current.enter(run.execution)
    except BaseException as error:  # of a signal handler
        run.execution.end_by(error)
        raise
    return run


def recorded(
    experiment_name: str,
    *,
    store: str | os.PathLike[str] | Store | None = None,
    params: Any = None,
    notes: str | None = None,
    capture: bool = True,
    parent: str | ActiveRun | Run | None = None,
    live: bool = False,
    if_done: IfDone = "run",
) -> Callable[[F], F]:
    """Make each call of the decorated function a run: `@runstore.recorded("mnist")`.

    Decorating starts nothing and opens no store. The run begins and ends with the body of the
    function, of a coroutine, or of a generator of either kind; `current_run()` returns it there.

    Args:
        experiment_name: See `start_run`.
        store: See `start_run`; None finds the store at each call.
        params: See `Store.start`.
        notes: See `Store.start`.
        capture: See `Store.start`.
        parent: See `Store.start`.
        live: See `Store.start`.
        if_done: See `Store.start`; `skip` and `error` raise `AlreadyRanError` at the call.

    Raises:
        UsageError: No experiment name was given, or no function was decorated.
    """
    if not isinstance(experiment_name, str):
        raise UsageError(
            f"recorded takes an experiment name, got {experiment_name!r:.60}.",
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
    )

    def decorate(function: F) -> F:
        from runstore.recording.recorded_functions import run_per_call

        return cast("F", run_per_call(function, lambda: _entered(store, request)))

    return decorate


def attach_run(
    run: str | Run | ActiveRun | None = None,
    *,
    store: str | os.PathLike[str] | Store | None = None,
) -> ActiveRun:
    """Return a run that another process executes, to log to it from this process as well.

    Its end stays with the process that executes it; see `Store.attach`.

    Args:
        run: Any name of the run; None for the one that started this process, as
            `runstore exec` does.
        store: A folder, a URL or an open `Store`; None finds the project's store.

    Raises:
        RunFinishedError: It has ended.
        RunNotFoundError: There is no such run.
        UsageError: No run is named, and none started this process.
    """
    from runstore.recording.joining.attaching import surrounding_run

    opened = store if isinstance(store, Store) else open_shared(store)
    return opened.attach(surrounding_run() if run is None else run)
