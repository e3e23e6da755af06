"""Runs executed by managers in this process, and their end when the process ends."""

from __future__ import annotations

from runstore import background
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.recording import live_runs
from runstore.recording.active import ActiveRun
from runstore.recording.execution import Execution
from runstore.store import Store

_watched: dict[str, ManagedRun] = {}


class ManagedExecution(Execution):
    """The execution of a managed run, which is no longer watched once its end is written."""

    can_reopen = False

    def write_end(
        self, status: Status, error: str | None, traceback: str | None, exit_code: int | None
    ) -> None:
        """Write the end."""
        forget(self.run)
        super().write_end(status, error, traceback, exit_code)


class ManagedRun(ActiveRun):
    """A run begun with `ManagerStore.add_run`.

    Its manager reports the end. If it cannot, because Ctrl-C or an error ends the process, the end
    is written at exit.

    Attributes:
        params_said: The parameters of the manager when the run was last written, as a text.
    """

    _execution_class = ManagedExecution
    execution: ManagedExecution

    def __init__(self, store: Store, run: Run) -> None:
        super().__init__(store.backend, run, store=store)
        self.params_said = ""

    def capture_the_rest(self) -> None:
        """Capture slow facts in the background: code changes, packages, hardware."""
        from runstore.capture.surroundings import Surroundings
        from runstore.recording.captures import Capture

        where = Surroundings.here(store=self.store.path)
        facts = self.record.facts
        background.do_later(Capture(self._backend, self.uid, facts, where, None))


def watch(run: ManagedRun) -> None:
    """Watch a run that has begun."""
    _watched[run.uid] = run


def watched(uid: str) -> ManagedRun | None:
    """Return the run with this uid if this process watches it."""
    return _watched.get(uid)


def watched_as(reference: str, store: Store) -> ManagedRun | None:
    """Return the newest run with this reference in a store, if this process watches it."""
    for run in reversed(_watched.values()):
        if run.reference == reference and run.store is store:
            return run
    return None


def forget(run: ManagedRun) -> None:
    """Stop watching a run whose end was reported."""
    _watched.pop(run.uid, None)
    live_runs.end(run.execution)
