"""Settling what became of silent runs: by their batch scheduler, or by the word of a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from runstore.capture.machine import scheduler
from runstore.capture.machine.process import is_gone
from runstore.inflight import take_in
from runstore.model.display.formatting import duration_text
from runstore.model.run import Run
from runstore.reading.find import found_page, query_of
from runstore.reading.liveness import last_sign
from runstore.reading.names import as_now, each_of, run_of
from runstore.value_classes import NamedTuple, dataclass

if TYPE_CHECKING:
    from runstore.capture.machine.scheduler import JobState
    from runstore.storage.backend import Backend

# A live run writes a heartbeat every ten seconds.
SILENCE = timedelta(seconds=60)
_UNFINISHED = "status in ('queued', 'running', 'live')"
_PRESUMED = "Silent for {silence} when it was marked as lost."
_OVER = "Its process is gone: job {job} of Slurm is {state}."


class Silent(NamedTuple):
    """A silent run that was not settled, and the reason as a clause without a full stop."""

    run: Run
    reason: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Runs that are `lost` now, with the reason as `error`, and the other silent runs."""

    lost: tuple[Run, ...]
    silent: tuple[Silent, ...]


def settle(backend: Backend, wanted: object, *, is_presumed: bool = False) -> Settled:
    """Mark silent runs as lost; see `Store.settle`."""
    take_in(backend)  # the last data of a run is a sign of life
    runs = (
        found_page(backend, query_of(backend, _UNFINISHED, None), None, None)
        if wanted is None
        else [run_of(backend, one) for one in each_of(wanted)]
    )
    now = datetime.now(timezone.utc)
    silent = [
        run
        for run in as_now(backend, list(runs))
        if (run.silent_for(now) or timedelta(0)) > SILENCE
    ]
    alive = {run.uid for run in silent if run.process and is_gone(run.process) is False}
    states, reasons = _asked(silent)
    lost: list[tuple[Run, int | None, str]] = []
    open_ones: list[Silent] = []
    for run in silent:
        state = states.get(run.uid)
        if run.uid in alive:
            open_ones.append(Silent(run, "its process is alive, but stopped or busy"))
            continue
        if state is not None and state.is_over:
            why = _OVER.format(job=_job(run), state=state.name)
        elif is_presumed and state is None:
            why = _PRESUMED.format(silence=duration_text(run.silent_for(now) or SILENCE))
        else:
            open_ones.append(Silent(run, reasons.get(run.uid, "") or _reason(run, state)))
            continue
        lost.append((run, last_sign(backend, run, now), why))
    if lost:
        backend.database.mark_lost(lost)
    marked = [backend.database.run_by_uid(run.uid) for run, *_ in lost]
    return Settled(as_now(backend, list(filter(None, marked))), tuple(open_ones))


def _job(run: Run) -> str:
    return str(run.facts.values.get("scheduler.job", ""))


def _asked(runs: Sequence[Run]) -> tuple[Mapping[str, JobState], Mapping[str, str]]:
    """Return the states of the jobs of runs by uid, and for the others the reason, if known."""
    of_slurm = [run for run in runs if run.facts.values.get("scheduler.kind") == scheduler.SLURM]
    if not of_slurm:
        return {}, {}
    here = scheduler.slurm_cluster()
    if here is None:
        return {}, {run.uid: "Slurm does not answer here" for run in of_slurm}
    reasons: dict[str, str] = {}
    asked: list[Run] = []
    for run in of_slurm:
        cluster = run.facts.values.get("scheduler.cluster")
        if cluster == here:
            asked.append(run)
        else:
            reasons[run.uid] = (
                f"its job ran in the cluster {cluster}, not in {here}"
                if cluster
                else "the cluster of its job is not recorded"
            )
    by_job = scheduler.slurm_states(sorted({_job(run) for run in asked}))
    return {run.uid: by_job[_job(run)] for run in asked if _job(run) in by_job}, reasons


def _reason(run: Run, state: JobState | None) -> str:
    if state is not None:
        return f"its job {_job(run)} is {state.name}"
    if _job(run):
        return f"nothing is known about its job {_job(run)}"
    return f"only {run.hostname or 'its machine'} can prove that its process is gone"
