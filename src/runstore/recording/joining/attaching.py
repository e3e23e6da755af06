"""Logging to a run that another process executes."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from runstore.capture.machine.process import current_process, descends_from, is_gone
from runstore.current import PARENT_VARIABLE
from runstore.errors import RunFinishedError, UsageError
from runstore.recording.active import ActiveRun, join
from runstore.storage.backend import Backend
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.model.run import Run

# A live process writes a heartbeat every ten seconds.
_ALIVE_S = 60.0


def attach(backend: Backend, run: Run, store: Any) -> ActiveRun:
    """Return an object to log to a run of another process; see `Store.attach`.

    Raises:
        RunFinishedError: The run has ended.
    """
    if run.status.is_final:
        raise RunFinishedError(
            f"The run {run.reference} has ended, as {run.status}.",
            kept="Its record was not changed.",
            hint=f"To add metrics or files: store.add({run.reference!r}, …); to continue it:"
            f" runstore.start_run(resume={run.reference!r}).",
        )
    return join(backend, run, store)


def is_executed_elsewhere(run: Run) -> bool:
    """Check whether another process executes a run; warn unless it started this process."""
    process = run.process
    if run.status.is_final or process is None or process == current_process():
        return False
    silent = run.silent_for(datetime.now(timezone.utc)) or timedelta()
    if is_gone(process) is None and silent.total_seconds() > _ALIVE_S:
        return False
    if not descends_from(process):
        warn(
            f"The run {run.reference} is being executed by process {process.pid} of"
            f" {process.hostname}. This process logs to the same run and does not end it."
        )
    return True


def surrounding_run() -> str:
    """Return the uid of the run that this process was started in.

    Raises:
        UsageError: This process was not started in a run.
    """
    uid = os.environ.get(PARENT_VARIABLE)
    if not uid:
        raise UsageError(
            "This process was not started by a run.",
            hint="Name the run (on the command line with --run), or start the program with:"
            " runstore exec -- PROGRAM",
        )
    return uid
