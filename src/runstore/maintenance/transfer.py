"""Transfer of runs from one store to another; see `Store.push`.

Runs are transferred some dozens at a time: their files first, each verified by its digest, then
everything else in one transaction. An interrupted transfer therefore leaves whole runs and
unreferenced files, and the next one continues.
"""

from __future__ import annotations

import os
import time
from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from operator import attrgetter
from typing import TYPE_CHECKING

from runstore.capture.machine.process import is_gone
from runstore.errors import (
    InvalidValueError,
    StoreCorruptError,
    StoreError,
    UsageError,
)
from runstore.inflight import take_in
from runstore.maintenance.contents import ContentsCopier
from runstore.maintenance.run_folders import copy_run_folder
from runstore.model.facts import ProcessIdentity
from runstore.model.results.deletion import Amount
from runstore.model.results.transfers import (
    ACTIVE,
    DAMAGED,
    DELETED,
    FOREIGN,
    REFUSED,
    Progress,
    Skipped,
    Transfer,
)
from runstore.model.status import Status
from runstore.reading.find import found_page, query_of
from runstore.reading.liveness import settle_all
from runstore.reading.metrics.points import parts_by_points
from runstore.reading.metrics.summaries import refresh
from runstore.reading.names import runs_of
from runstore.storage.backend import Backend
from runstore.storage.rows import is_uid
from runstore.storage.stored_runs import batches
from runstore.storage.transfer.branches import were_both_continued
from runstore.storage.transfer.candidates import (
    KnownRuns,
    count_candidates,
    raise_counters,
    to_compare,
)
from runstore.storage.transfer.checking import problem_of
from runstore.storage.transfer.joining import PointJoiner
from runstore.storage.transfer.merging import merged
from runstore.storage.transfer.places import placed_as
from runstore.storage.transfer.records import RunRecord
from runstore.storage.transfer.staging import extend, long_gains, long_series, stage
from runstore.storage.transfer.transaction import DamagedError, Delivery, records_of, write_runs

if TYPE_CHECKING:
    from runstore.model.query.tree import Query

_RUNS_AT_ONCE = 50
_FIRST_AT_ONCE = 4
# How long other writers of the receiving store may have to wait for one transaction.
_HELD_S = 0.03
# So many are compared by their fingerprints first.
_MANY_RUNS = 1000
# A run of another machine without a sign of life for so long is transferred as it is.
_SILENT_S = 600.0
_TRIES = 3
_UID_SHOWN = 80


def transfer(
    source: Backend,
    target: Backend,
    uids: Collection[str] | None = None,
    *,
    is_dry: bool = False,
    may_change: bool = True,
    is_restoring: bool = False,
    progress: Progress | None = None,
) -> Transfer:
    """Transfer runs; see `Store.push`.

    Args:
        source: The store that has the runs; it is not changed, except that data in flight is
            imported and ended runs are marked as such.
        target: The store to write to.
        uids: The runs; None for all, including deleted ones.
        is_dry: Whether to only count them.
        may_change: Whether to change runs that the target has already.
        is_restoring: Whether to add runs again that were permanently removed from the target.
        progress: Called after each part.

    Raises:
        StoreError: One of the stores failed. Runs that were transferred before are complete.
        UsageError: It is the same store.
    """
    if source is target or os.path.realpath(source.path) == os.path.realpath(target.path):
        raise UsageError(
            f"{target.place} is the same store.",
            kept="Nothing was transferred.",
            hint="Name another store.",
        )
    take_in_all(source)
    job = _Transfer(
        source,
        target,
        progress,
        is_dry=is_dry,
        may_change=may_change,
        is_restoring=is_restoring,
    )
    try:
        with target.database.driver.as_one():
            job.all_of(uids)
    except StoreError as error:
        done = job.result()
        count = done.added + done.changed
        if count and not is_dry:
            runs = "1 run was" if count == 1 else f"{count:,} runs were"
            error.kept = f"{runs} transferred before, completely."
            error.hint = error.hint or "Repeat the transfer to continue."
        raise
    return job.result()


def take_in_all(source: Backend) -> None:
    """Import data in flight, and mark runs as lost whose process has ended."""
    if source.database.is_writable:
        take_in(source)
        settle_all(source)
        refresh(source.metrics, source.spool)  # points of silent runs


def uids_of(
    backend: Backend,
    where: str | Query,
    experiment: str | None,
    runs: Iterable[object] | None,
) -> list[str] | None:
    """Return the uids of the runs that match a filter, or of named runs; None for all."""
    if runs is not None:
        if where or experiment:
            raise UsageError(
                "Both a filter and runs were passed.",
                kept="Nothing was transferred.",
                hint="Pass only one of them.",
            )
        return [one.uid for one in runs_of(backend, runs)]
    if isinstance(where, str) and not where.strip() and experiment is None:
        return None
    query = query_of(backend, where, experiment)
    return [one.uid for one in found_page(backend, query, None, None)]


class _Transfer:
    def __init__(
        self,
        source: Backend,
        target: Backend,
        progress: Progress | None,
        *,
        is_dry: bool,
        may_change: bool,
        is_restoring: bool,
    ) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._is_dry = is_dry
        self._may_change = may_change
        self._is_restoring = is_restoring
        self._added = self._changed = self._unchanged = self._points = 0
        self._skipped: list[Skipped] = []
        self._joined: list[str] = []
        self._done = self._total = 0
        self._has_copied_folder = False
        self._contents = ContentsCopier(source, target, self._show, is_dry=is_dry)
        self._at_once = _FIRST_AT_ONCE

    def result(self) -> Transfer:
        return Transfer(
            added=self._added,
            changed=self._changed,
            unchanged=self._unchanged,
            points=self._points,
            contents=Amount(self._contents.files, self._contents.size_bytes),
            joined=tuple(self._joined),
            skipped=tuple(self._skipped),
            is_dry=self._is_dry,
        )

    def all_of(self, uids: Collection[str] | None) -> None:
        database = self._source.database
        self._total = count_candidates(database) if uids is None else len(uids)
        is_short = uids is not None and len(uids) < _MANY_RUNS
        every = iter(uids) if uids is not None and is_short else self._different(uids)
        experiments: set[str] = set()
        for some in batches(every, _RUNS_AT_ONCE):
            experiments |= self._some(some)
            self._done += len(some)
            self._show()
        if not self._is_dry and not database.is_provisional:
            names = None if uids is None else experiments
            raise_counters(database, self._target.database, names)

    def _different(self, uids: Collection[str] | None) -> Iterator[str]:
        """Yield the runs that are not equal in both stores, and count the others."""
        known = KnownRuns(self._target.database)
        wanted = None if uids is None else frozenset(uids)
        for run in to_compare(self._source.database, wanted):
            if not is_uid(run.uid):
                self._skip(str(run.uid)[:_UID_SHOWN], str(run.uid), DAMAGED, "an invalid uid")
                self._done += 1
            elif known.has(run):
                self._unchanged += 1
                self._done += 1
                if run.is_full_store and self._may_change and not self._is_dry:
                    # They come after their run: the last transfer may have ended before.
                    self._copy_folders([run.uid])
            elif run.uid in known.purged and not self._is_restoring:
                self._skip(str(known.purged[run.uid]), run.uid, DELETED)
                self._done += 1
            else:
                yield run.uid

    def _some(self, uids: Sequence[str], tries: int = _TRIES) -> set[str]:
        """Transfer some runs, and return the names of their experiments.

        Runs that change meanwhile are read again a few times.
        """
        theirs, unreadable = records_of(self._source.database, uids)
        for uid, why in unreadable.items():
            self._skip(uid, uid, DAMAGED, why)
        mine, _ = records_of(self._target.database, list(theirs))
        full = [uid for uid, one in theirs.items() if one.row.full_store]
        late: list[Delivery] = []
        for part in parts_by_points(self._wanted(theirs, mine), attrgetter("points")):
            late += self._transfer(part)
        if not self._is_dry:
            self._copy_folders(full)
        if late and tries > 1:
            self._some([one.uid for one in late], tries - 1)
        else:
            for one in late:
                self._skip(one.theirs.row.reference, one.uid, ACTIVE)
        return {
            one.row.experiment for one in theirs.values() if isinstance(one.row.experiment, str)
        }

    def _wanted(
        self, theirs: dict[str, RunRecord], mine: dict[str, RunRecord]
    ) -> Iterator[Delivery]:
        for uid, record in theirs.items():
            why, detail = self._why_not(record, mine.get(uid))
            if why:
                self._skip(str(record.row.reference), uid, why, detail)
                continue
            known = mine.get(uid)
            if known is not None and known.purged_at is not None:
                yield Delivery(uid, record, known, record)
                continue
            there = record
            if known is not None and self._source.database.is_provisional:
                there = placed_as(record, known.row)
            join = PointJoiner(self._source.database, self._target.database)
            try:
                after = record if known is None else merged(known, there, join)
            except StoreCorruptError as error:
                self._skip(record.row.reference, uid, DAMAGED, error.what)
                continue
            if known is not None and after is known and not join.found:
                self._unchanged += 1
            elif known is not None and not self._may_change:
                self._skip(record.row.reference, uid, FOREIGN)
            else:
                yield Delivery(uid, record, known, after, join.found)

    def _why_not(self, theirs: RunRecord, mine: RunRecord | None) -> tuple[str, str]:
        if theirs.purged_at is not None:
            return DELETED, ""
        if problem := problem_of(theirs):
            return DAMAGED, problem
        if mine is not None:
            if mine.purged_at is not None:
                if not (mine.is_staged or self._is_restoring):
                    return DELETED, ""
                mine = None
            elif problem := problem_of(mine):
                return DAMAGED, f"{problem} in {self._target.place}"
        # A start whose answer was lost is on the server as well, and has ended here.
        both = (theirs,) if self._source.database.is_provisional else (theirs, mine)
        is_active = any(one is not None and _is_active(one) for one in both)
        return (ACTIVE, "") if is_active else ("", "")

    def _skip(self, reference: str, uid: str, why: str, detail: str = "") -> None:
        self._skipped.append(Skipped(reference, uid, why, detail))

    def _transfer(self, wanted: Sequence[Delivery]) -> list[Delivery]:
        """Transfer runs, and return those that changed meanwhile."""
        with nullcontext() if self._is_dry else self._target.objects.in_use():
            ready = self._with_contents(wanted)
            if not self._is_dry:
                return self._write(ready)
        for one in ready:
            self._count(one)
        return []

    def _with_contents(self, wanted: Sequence[Delivery]) -> list[Delivery]:
        """Copy the files of runs, and return the runs that have all of them."""
        missing = {one.uid: dict(one.missing_contents) for one in wanted}
        failed = self._contents.copy(dict(ChainMap(*missing.values())))
        ready = []
        for one in wanted:
            errors = [failed[digest] for digest in missing[one.uid] if digest in failed]
            if not errors:
                ready.append(one)
                continue
            why = REFUSED if isinstance(errors[0], InvalidValueError) else DAMAGED
            self._skip(one.theirs.row.reference, one.uid, why, errors[0].what)
        return ready

    def _write(self, ready: list[Delivery]) -> list[Delivery]:
        """Write runs, so few at once that other writers need not wait long.

        Returns the runs that changed meanwhile.
        """
        late: list[Delivery] = []
        ready = list(self._staged(ready))
        while ready:
            some = ready[: self._at_once]
            try:
                done = write_runs(self._source.database, self._target.database, some)
            except DamagedError as error:  # nothing of this part was written
                broken = error.wanted
                self._skip(broken.theirs.row.reference, broken.uid, DAMAGED, error.why)
                ready.remove(broken)
                continue
            del ready[: len(some)]
            late += done.late
            for one in some:
                if one not in done.late:
                    self._count(one)
            fitting = int(len(some) * _HELD_S / max(done.held_s, 1e-4))
            self._at_once = min(max(1, fitting), 2 * self._at_once, _RUNS_AT_ONCE)
        return late

    def _staged(self, wanted: Iterable[Delivery]) -> Iterator[Delivery]:
        """Write the long series of runs first."""
        for one in wanted:
            try:
                yield self._with_series(one) if one.is_new else self._with_gains(one)
            except StoreCorruptError as error:
                self._skip(one.theirs.row.reference, one.uid, DAMAGED, error.what)

    def _with_series(self, one: Delivery) -> Delivery:
        """Write the long series of a new run."""
        source, target = self._source.database, self._target.database
        is_removed = one.mine is not None and not one.mine.is_staged
        if is_removed or source.is_provisional or not long_series(one.theirs):
            return one
        stage(source, target, one.theirs)
        return one._replace(mine=self._mine(one.uid))

    def _with_gains(self, one: Delivery) -> Delivery:
        """Write what the long series of a run in both stores gained."""
        mine = one.mine
        if mine is None:
            return one
        found = long_gains(mine, one.theirs, one.after)
        gains = [key for key in found if one.joined.get(key) is None]
        if not gains:
            return one
        databases = self._source.database, self._target.database
        joined = dict(one.joined)
        for key in gains:
            if not extend(*databases, mine, one.theirs, key):
                break  # it is written with the run, unless the run was changed
            joined.pop(key, None)
        now = self._mine(one.uid)
        if now is None or now._replace(series=mine.series) != mine:
            return one  # it was changed meanwhile, which is noticed when it is written
        after = one._replace(mine=now, joined=joined)
        self._points += one.points - after.points
        return after

    def _mine(self, uid: str) -> RunRecord | None:
        known, _ = records_of(self._target.database, [uid])
        return known.get(uid)

    def _count(self, one: Delivery) -> None:
        self._points += one.points
        if one.mine is None or one.is_new:
            self._added += 1
            return
        self._changed += 1
        if were_both_continued(one.mine, one.theirs):
            self._joined.append(one.after.row.reference)

    def _copy_folders(self, uids: Iterable[str]) -> None:
        """Copy the folders of plain files of full stores, unless they are there."""
        skipped = {one.uid for one in self._skipped}
        for uid in uids:
            if uid not in skipped:
                is_first = not self._has_copied_folder
                copied = copy_run_folder(self._source, self._target, uid, removes_others=is_first)
                self._has_copied_folder |= copied.files > 0
                self._contents.files += copied.files
                self._contents.size_bytes += copied.size_bytes

    def _show(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total, self._contents.size_bytes)


def _is_active(record: RunRecord) -> bool:
    """Return whether a run is being executed, or may be."""
    row = record.row
    if Status(row.status).is_final:
        return False
    silent_s = time.time() - (row.last_seen_at or row.started_at) / 1e6
    if row.hostname is not None:
        process = ProcessIdentity(row.hostname, row.boot_id, row.pid, row.process_started)
        gone = is_gone(process, silent_s=silent_s)
        if gone is not None:
            return not gone
    return silent_s < _SILENT_S
