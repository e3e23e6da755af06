"""Whether runs without an end are alive or provably gone."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from runstore.errors import StoreError, StoreLockedError, StoreUnavailableError
from runstore.model.status import Status
from runstore.storage.backend import Backend
from runstore.storage.rows import from_micros, to_micros
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.model.run import Run

# How long reading waits for other writers.
_PATIENCE_S = 0.5


def settled(backend: Backend, runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the runs, after marking those as lost whose process is provably gone."""
    gone = _gone(runs)
    if not gone:
        return tuple(runs)
    signs, is_marked = _mark_lost(backend, gone)
    ends = {} if is_marked else _waiting_ends(backend, signs)
    return tuple(
        _as_ended(backend, run, signs[run.uid], ends.get(run.uid)) if run.uid in signs else run
        for run in runs
    )


def _gone(runs: Sequence[Run]) -> Sequence[Run]:
    """Return the runs whose process is provably gone."""
    if all(run.status.is_final for run in runs):
        return ()
    from runstore.capture.machine.process import is_gone

    now, gone = datetime.now(timezone.utc), []
    for run in runs:
        silence = run.silent_for(now)
        if silence is None or run.process is None:
            continue
        if is_gone(run.process, silent_s=silence.total_seconds()):
            gone.append(run)
    return gone


def mark_left(backend: Backend, run: Run) -> None:
    """Mark a run of this process as lost whose program has ended, by `os.execv`."""
    if not run.status.is_final:
        _mark_lost(backend, [run])


def _mark_lost(backend: Backend, gone: Sequence[Run]) -> tuple[Mapping[str, int | None], bool]:
    """Mark runs as lost.

    Returns:
        The time of the last point or line of each, by uid; and whether the store was updated.
    """
    from runstore.inflight import take_in

    now = datetime.now(timezone.utc)
    # The last data of a run is stronger evidence than its silence.
    take_in(backend)
    signs = {run.uid: last_sign(backend, run, now) for run in gone}
    if _may_mark(backend):
        # Runs locked by others, or on a full disk, are updated next time: reading goes on.
        is_refused = suppress(StoreLockedError, StoreUnavailableError)
        with is_refused, backend.database.driver.hurried(_PATIENCE_S):
            backend.database.mark_lost([(run, signs[run.uid], None) for run in gone])
            return signs, True
    return signs, False


def last_sign(backend: Backend, run: Run, now: datetime) -> int | None:
    """Return the time of the last point, sample or line of a run; None without any.

    The regular heartbeat is only written every ten seconds. Times that a program set for its
    points count if they are between the start of the run and now.
    """
    from runstore.reading.output.whole import last_printed

    first, last = to_micros(run.started_at), to_micros(now)
    printed = last_printed(backend, run.uid, first, last)
    with suppress(StoreError):  # a damaged store
        logged = backend.database.last_point_between(run.uid, first, last)
        return max(filter(None, (printed, logged)), default=None)
    return printed


def settle_all(backend: Backend, *, is_for_filter: bool = False) -> bool:
    """Mark every run as lost whose process is provably gone, before a query.

    Runs of other machines are not checked: nothing can be proved about them here.

    Args:
        backend: The store.
        is_for_filter: Whether to warn of runs that a filter finds with their former status.

    Returns:
        Whether the store could be updated.
    """
    from runstore.capture.machine.process import marks_of_here
    from runstore.storage.query.finder import Finder

    marks = marks_of_here()
    if marks is None:
        return False
    gone = _gone(Finder(backend.database).unfinished(*marks))
    if not gone:
        return _may_mark(backend)
    is_marked = _mark_lost(backend, gone)[1]
    if not is_marked and is_for_filter:
        count = "1 run" if len(gone) == 1 else f"{len(gone):,} runs"
        warn(
            f"A filter by status finds {count} without a recorded end as running, although the"
            " process has ended: the database cannot be written now."
        )
    return is_marked


def _may_mark(backend: Backend) -> bool:
    return backend.database.is_writable and not backend.database.driver.is_writing


def _waiting_ends(backend: Backend, uids: Container[str]) -> dict[str, Mapping[str, Any]]:
    """Return the ends of runs that the database could not accept yet, by uid."""
    records = backend.spool.records(is_to_take=True)
    return {one.uid: one.body for one in records if one.kind == "end" and one.uid in uids}


def _as_ended(
    backend: Backend, seen: Run, last_sign: int | None, end: Mapping[str, Any] | None
) -> Run:
    """Return the run as it is now; if the store cannot be updated, as it should be."""
    from runstore.value_classes import replace

    run = backend.database.run_by_uid(seen.uid) or seen
    if run.status.is_final or run.process != seen.process:  # another process resumed it
        return run
    if end is not None:
        status, ended_at = Status(end["status"]), from_micros(end["ended_at"])
        return replace(run, **{**end, "status": status, "ended_at": ended_at})
    ended_at = max(run.last_seen_at or run.started_at, run.started_at)
    if last_sign is not None:
        ended_at = max(ended_at, from_micros(last_sign))
    return replace(run, status=Status.LOST, ended_at=ended_at)
