"""start_run: what a training script calls."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runstore import current
from runstore.config import IfDone
from runstore.errors import UsageError
from runstore.recording.active import ActiveRun
from runstore.store import Store, open_shared

if TYPE_CHECKING:
    from runstore.model.run import Run


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

    Use it as a context manager, as a decorator, or as a plain object with `finish()`.

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

    def begin() -> ActiveRun:
        opened = store if isinstance(store, Store) else open_shared(store)
        if resume is not None:
            return opened.resume(resume)
        if experiment_name is None:
            raise UsageError("start_run needs an experiment name.")
        return opened.start(
            experiment_name,
            params=params,
            notes=notes,
            capture=capture,
            parent=parent,
            live=live,
            if_done=if_done,
        )

    run = begin()
    if if_done in {"run", "warn"}:
        run.repeat_with(begin)
    current.enter(run)
    return run


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
    from runstore.recording.joining import surrounding_run

    opened = store if isinstance(store, Store) else open_shared(store)
    return opened.attach(surrounding_run() if run is None else run)
