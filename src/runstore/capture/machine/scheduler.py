"""Asking a batch scheduler for the state of its jobs.

Source: the manuals of sacct, squeue and scontrol, Slurm 22.05 to 24.05.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence

from runstore.capture.child_process import environment
from runstore.errors import genuine
from runstore.value_classes import NamedTuple

SLURM = "slurm"
_ANSWER_S = 30
_AT_ONCE = 200
# States from which a job continues. In all others it has ended.
_ACTIVE = frozenset(
    {
        "COMPLETING", "CONFIGURING", "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD",
        "RESIZING", "RESV_DEL_HOLD", "RUNNING", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT",
        "STOPPED", "SUSPENDED",
    }
)  # fmt: skip
# Slurm deletes ended jobs from its list, and their states with them.
_UNLISTED = "no longer in the queue"


class JobState(NamedTuple):
    """The state of a job, by the scheduler's word for it; once it is over, no process lives."""

    name: str
    is_over: bool


def slurm_cluster() -> str | None:
    """Return the name of the cluster whose commands are installed here; None without one."""
    for line in _lines("scontrol", "show", "config") or ():
        name, _, value = line.partition("=")
        if name.strip() == "ClusterName":
            return value.strip()
    return None


def slurm_states(jobs: Sequence[str]) -> Mapping[str, JobState]:
    """Return the states of jobs of this cluster by job id; without those it did not report."""
    known = [job for job in jobs if job.isascii() and job.isdigit()]
    found: dict[str, JobState] = {}
    for begin in range(0, len(known), _AT_ONCE):
        found.update(_states(known[begin : begin + _AT_ONCE]))
    return found


def _states(jobs: Sequence[str]) -> Iterator[tuple[str, JobState]]:
    """Yield job ids and states: of the accounting if there is one, else of the queue."""
    wanted = f"--jobs={','.join(jobs)}"
    form = ("--noheader", "--parsable2", "--allocations", "--format=JobIDRaw,State")
    lines = _lines("sacct", *form, wanted)
    if lines is not None:
        # A job that was requeued has a line for each attempt, the last attempt last.
        for line in lines:
            job, _, state = line.partition("|")
            yield job, _state(state)
        return
    lines = _lines("squeue", "--noheader", "--states=all", "--format=%A %T")
    if lines is None:
        return
    listed = dict(line.split(maxsplit=1) for line in lines if " " in line)
    for job in jobs:
        yield job, _state(listed[job]) if job in listed else JobState(_UNLISTED, is_over=True)


def _state(text: str) -> JobState:
    """Return a state; `CANCELLED by 1000` is CANCELLED, and an empty one is not over."""
    name = (text.split() or [""])[0].rstrip("+")
    return JobState(name, is_over=bool(name) and name not in _ACTIVE)


def _lines(*command: str) -> list[str] | None:
    """Return the lines that a command prints; None if it is missing or fails."""
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_S,
            check=True,
            stdin=subprocess.DEVNULL,
            # Variables can change the format, and the cluster that is asked.
            env={
                name: value
                for name, value in environment().items()
                if not name.startswith(("SACCT_", "SQUEUE_", "SLURM_CLUSTERS"))
            },
        )
    except genuine(OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.splitlines()
