"""Delivery of runs that wait on this machine to their server, which could not be reached.

A delivery is a transfer in which runs get numbers of the server. It can be interrupted and
repeated at any time: a run is known by its uid, and the waiting store is only removed after it was
compared with the server, and if no program can add to it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from runstore.capture.machine.process import is_gone
from runstore.errors import (
    RunstoreError,
    ServerUnreachableError,
    StoreLockedError,
    genuine,
    suppressed,
)
from runstore.maintenance.transfer import take_in_all, transfer
from runstore.model.facts import ProcessIdentity
from runstore.model.results.transfers import Progress, Transfer
from runstore.reading.names import runs_named
from runstore.storage.backend import Backend
from runstore.storage.files.locks import locked
from runstore.storage.postgres.waiting import (
    STARTING,
    WaitingDatabase,
    delivered_change,
    note_delivered,
)
from runstore.storage.stored_runs import batches
from runstore.user_warnings import say, warn_in_background
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.postgres.database import ServerDatabase

_LOCK = "delivery.lock"
# Runs of other machines, whose processes cannot be checked, are kept for so long after their end.
_KEPT_S = 86_400.0
_REMOVED = "delivered-"

# So much is delivered before a store is opened; more is left to a thread.
_FEW_RUNS, _FEW_BYTES, _FEW_POINTS = 20, 32 << 20, 1_000_000
_RUNS_AT_ONCE = 20


def is_small(source: Backend) -> bool:
    """Check whether the runs that wait have few points, and no large files."""
    size, points = _waiting(source).amount()
    return size <= _FEW_BYTES and points <= _FEW_POINTS


def are_few(source: Backend) -> bool:
    """Check whether few runs wait."""
    return len(_waiting(source).uids_since(delivered_change(source.path))) <= _FEW_RUNS


def deliver(
    source: Backend,
    target: Backend,
    *,
    patience_s: float = 0.0,
    within_s: float | None = None,
    progress: Progress | None = None,
) -> Transfer:
    """Deliver the runs that wait, and remove their store if nobody needs it any more.

    Args:
        source: The waiting store.
        target: The store on the server.
        patience_s: How long to wait for another delivery, in seconds.
        within_s: Stop after that time, in seconds; None to deliver all.
        progress: Called after each part.

    Raises:
        StoreLockedError: Another program is delivering them.
        StoreError: One of the stores failed. Runs that were delivered before are complete.
    """
    with locked(target.path / _LOCK, is_shared=False, patience_s=patience_s):
        _remove_remains(target)
        if not source.is_in_place:  # delivered by another program
            return Transfer()
        server, database = cast("ServerDatabase", target.database).created_at(), _waiting(source)
        take_in_all(source)
        _find_parents(database, target)
        change = database.last_change()
        uids = database.uids_since(delivered_change(source.path, server))
        if within_s is not None:
            result, is_all = _transfer_within(source, target, uids, within_s)
        else:
            is_all, result = True, Transfer()
            if uids:
                result = transfer(source, target, uids, progress=progress)
        if is_all:
            _note(source, result, change, server)
            _remove_if_done(source, target, server)
    return result


def _transfer_within(
    source: Backend, target: Backend, uids: Sequence[str], within_s: float
) -> tuple[Transfer, bool]:
    """Transfer runs until time is up; return the result, and whether all were transferred."""
    deadline = time.monotonic() + within_s
    done: list[Transfer] = []
    for some in batches(uids, _RUNS_AT_ONCE):
        if time.monotonic() > deadline:
            break
        done.append(transfer(source, target, some))
    result = Transfer(
        added=sum(one.added for one in done),
        changed=sum(one.changed for one in done),
        skipped=tuple(skipped for one in done for skipped in one.skipped),
    )
    return result, len(done) * _RUNS_AT_ONCE >= len(uids)


def _waiting(source: Backend) -> WaitingDatabase:
    return cast("WaitingDatabase", source.database)


def _find_parents(database: WaitingDatabase, target: Backend) -> None:
    """Look up parents that are on the server."""
    for uid, name in database.named_parents().items():
        found = runs_named(target.database, name)
        if len(found) == 1 and found[0].uid != uid:
            database.set_parent(uid, found[0].uid)


def _note(source: Backend, result: Transfer, change: int, server: str) -> None:
    """Note what was delivered, except for the runs that were skipped."""
    database = _waiting(source)
    kept = [database.change_of(one.uid) for one in result.skipped]
    note_delivered(source.path, min([change, *(one - 1 for one in kept)]), server)


class DeliveryLater(NamedTuple):
    """A delivery without the user's asking.

    `folder` is that of the store on this machine, `place` its URL without passwords.
    """

    folder: Path
    place: str
    work: Callable[[], Transfer | None]

    def is_like(self, other: DeliveryLater) -> bool:
        """Check whether both deliver the same runs."""
        return self.folder == other.folder

    def do_with(self, alike: Sequence[DeliveryLater]) -> None:  # noqa: ARG002 - once for all
        """Deliver the runs, in the background."""
        self.do()

    def do(self) -> None:
        """Deliver the runs; a failure is a warning, because they can be delivered later."""
        try:
            result = self.work()
        except (StoreLockedError, ServerUnreachableError):
            return  # another program delivers them, or a later one
        except genuine(RunstoreError, OSError) as error:
            warn_in_background(
                f"Runs that wait on this machine could not be delivered: {error} They are kept in"
                f" {self.folder}; try again with: runstore push"
            )
            return
        if result is not None and result.added:
            runs = "1 run was" if result.added == 1 else f"{result.added:,} runs were"
            say(f"{runs} delivered from this machine to {self.place}.")


# Removal


def _remove_if_done(source: Backend, target: Backend, server: str) -> None:
    """Remove the waiting store if all of it is on the server, and no program can add to it.

    If something is not, the next delivery compares every run.
    """
    with (
        suppress(StoreLockedError),
        locked(target.path / STARTING, is_shared=False, patience_s=0.0) as has_locks,
    ):
        if not has_locks or not _is_left(source):
            return
        found = transfer(source, target, None, is_dry=True)
        if found.added or found.changed:  # recorded after the end of its run
            note_delivered(source.path, 0, server)
        if found.added or found.changed or found.skipped:
            return
        aside = target.path / f"{_REMOVED}{os.urandom(8).hex()}"
        source.path.rename(aside)
        source.database.close()
        _discard(aside, target)


def _is_left(source: Backend) -> bool:
    """Check whether all processes of the waiting runs have ended, and nothing is in flight."""
    spool = source.path / "spool"
    if spool.is_dir() and any(spool.iterdir()):
        return False
    return all(_is_over(*one) for one in _waiting(source).processes())


def _is_over(process: ProcessIdentity, is_active: bool, seen_at: int) -> bool:  # noqa: FBT001 - of a row
    if is_active or process.pid is None:
        return not is_active
    age_s = time.time() - seen_at / 1e6
    gone = is_gone(process, silent_s=age_s)
    return age_s > _KEPT_S if gone is None else gone


def _remove_remains(target: Backend) -> None:
    """Remove delivered stores whose removal was interrupted."""
    for path in target.path.glob(f"{_REMOVED}*"):
        _discard(path, target)


def _discard(delivered: Path, target: Backend) -> None:
    """Remove a delivered store; the server imports data that a child process logged meanwhile."""
    with suppressed(OSError):  # the next delivery tries again
        for path in (delivered / "spool").glob("*"):
            path.rename(target.spool.in_first_place(lambda place: place) / path.name)
        shutil.rmtree(delivered, ignore_errors=True)
