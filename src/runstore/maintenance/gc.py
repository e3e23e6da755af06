"""Garbage collection: expired runs in the trash, and unreferenced files.

Data required by a run is never removed: saving is blocked while contents are checked and removed,
and runs in the trash count as runs. After an interruption, the next call continues.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.errors import StoreError, genuine
from runstore.inflight import take_in
from runstore.maintenance.usage import (
    amount_in,
    folders_named,
    freed_by,
    names_of,
)
from runstore.model.reference import folder_name
from runstore.model.results.deletion import Amount, Collected, Freed
from runstore.storage.files.objects import Objects, is_old
from runstore.storage.files.safe_files import folder_at, remove_tree
from runstore.storage.files.spool import OBJECTS, uid_of
from runstore.storage.integrity.orphan_rows import OrphanRows
from runstore.storage.integrity.references import References
from runstore.storage.rows import now_micros
from runstore.storage.stored_runs import batches
from runstore.storage.transfer.staging import remove_abandoned
from runstore.storage.trash import Expired, InTrash
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

RUNS_AT_ONCE = 100
_FILES_AT_ONCE = 500
_ANY_TIME = 2**62  # later than any deletion


# Transfers that were not continued for so long have been abandoned.
_UNFINISHED = timedelta(days=7)


def collect(backend: Backend, *, older_than: timedelta, is_dry: bool, vacuum: bool) -> Collected:
    """Clean up; see `Store.collect_garbage`."""
    if not is_dry and (refusal := backend.database.driver.refusal) is not None:
        raise refusal
    before = max(0, now_micros() - older_than // timedelta(microseconds=1))
    expired = backend.trash.expired(before)
    sweep = _Sweep(backend, expired if is_dry else [], is_dry=is_dry)
    first = Amount()
    if not is_dry:
        take_in(backend)
        # On a full disk, this space is required to remove the rows of a run.
        first = sweep.contents()
        expired = _purged(backend, expired, before)
        remove_abandoned(backend.database, now_micros() - _UNFINISHED // timedelta(microseconds=1))
    freed = Freed(
        folders=sweep.folders(),
        leftovers=sweep.spool() + sweep.incoming(),
        contents=first + sweep.contents(),
    )
    sweep.say_what_is_left()
    rows = OrphanRows(backend.database)
    orphans = rows.counted() if is_dry else rows.remove()
    if vacuum and not is_dry:
        backend.database.driver.vacuum()
    left = _in_trash_but(backend, expired)
    return Collected(
        runs=tuple(one.reference for one in expired),
        freed=freed,
        rows=orphans,
        trashed=len(left),
        trash_frees=freed_by(backend, left)[0],
        reusable_bytes=backend.database.driver.reusable_bytes(),
        is_dry=is_dry,
    )


def _purged(backend: Backend, expired: Sequence[Expired], before: int) -> list[Expired]:
    """Permanently remove runs, unless they were restored, and return the removed ones."""
    return [
        one for some in batches(expired, RUNS_AT_ONCE) for one in backend.trash.purge(some, before)
    ]


def _in_trash_but(backend: Backend, expired: Sequence[Expired]) -> dict[str, list[str]]:
    """Return the names of other runs in the trash, by uid."""
    going = _uids(expired)
    return {
        one.uid: names_of(backend, one.uid, one.reference)
        for one in backend.trash.expired(_ANY_TIME)
        if one.uid not in going
    }


class _Sweep:
    """Removes unreferenced files, or only counts them."""

    def __init__(self, backend: Backend, expired: Sequence[Expired], *, is_dry: bool) -> None:
        self._backend = backend
        self._expired = expired
        self._is_dry = is_dry
        self._objects = backend.objects
        self._references = References(backend.database)
        # Files that could not be removed, with the reason.
        self._left: dict[str, str] = {}

    def say_what_is_left(self) -> None:
        """Warn once, if files could not be removed."""
        if self._left:
            path, why = min(self._left.items())
            more = f", and {len(self._left) - 1:,} more" if len(self._left) > 1 else ""
            warn(f"Not removed: {path} ({why}){more}. To check the store: runstore doctor.")

    @contextmanager
    def _noting(self, path: Path) -> Iterator[None]:
        """Continue after a file that cannot be removed, or is a link to elsewhere."""
        try:
            yield
        except FileNotFoundError:
            pass  # another process removed it
        except genuine(OSError) as error:
            if isinstance(error, StoreError):
                raise
            self._left[str(path)] = error.strerror or str(error)

    def contents(self) -> Amount:
        """Remove unreferenced contents."""
        needed = self._references.needed(without={one.run_id for one in self._expired})
        candidates = (
            path
            for path in self._files(self._objects)
            if (digest := self._objects.digest_at(path)) is not None and digest not in needed
        )
        total = Amount()
        for some in batches(candidates, _FILES_AT_ONCE):
            total += self._with_nobody_saving(some)
        return total

    def _with_nobody_saving(self, paths: Sequence[Path]) -> Amount:
        if self._is_dry:
            awaited = self._backend.spool.awaited_digests()
            old = paths if self._objects.is_locked else filter(self._objects.is_old, paths)
            return self._freed(path for path in old if self._digest(path) not in awaited)
        with self._objects.alone() as is_alone:
            # The same may have been saved since; from here on, saving is blocked.
            free = set(self._references.unneeded(map(self._digest, paths)))
            free -= self._backend.spool.awaited_digests()
            old = paths if is_alone else filter(self._objects.is_old, paths)
            return self._freed(path for path in old if self._digest(path) in free)

    def _freed(self, paths: Iterable[Path]) -> Amount:
        total = Amount()
        for path in paths:
            with self._noting(path):
                size = self._objects.stored_size(path)
                if self._is_dry or self._objects.remove(path):
                    total += Amount(1, size)
        return total

    def _digest(self, path: Path) -> str:
        return self._objects.digest_at(path) or ""

    def _files(self, objects: Objects) -> Iterator[Path]:
        with self._noting(objects.folder):
            yield from objects.files()

    def incoming(self) -> Amount:
        """Remove files of unfinished saves."""
        if not self._is_dry:
            self._objects.remove_leftovers()
        found = [path for path in self._files(self._objects) if self._objects.is_leftover(path)]
        aside = self._removed(self._unneeded_aside(), 2)
        if not found:
            return aside
        if self._is_dry:
            return aside + self._removed(found, 2)
        with self._objects.alone() as is_alone:
            return aside + self._removed((one for one in found if is_alone or is_old(one)), 2)

    def _unneeded_aside(self) -> Iterator[Path]:
        """Yield old files of saves beside the store that ended before a record was written."""
        for place in self._backend.spool.own_places():
            objects = Objects(place / OBJECTS)
            files = list(self._files(objects))
            # Before their ages: contents that are saved again become recent, and get a record.
            awaited = self._backend.spool.awaited_digests() if files else set()
            for path in filter(is_old, files):
                if objects.is_leftover(path) or (objects.digest_at(path) or "") not in awaited:
                    yield path

    def folders(self) -> Amount:
        """Remove folders of plain files of permanently removed runs."""
        total = Amount()
        for folder in gone_folders(self._backend, self._expired):
            with self._noting(folder):
                total += amount_in(folder)
                if not self._is_dry:
                    with folder_at(folder.parent, levels=1) as runs:
                        remove_tree(runs, folder.name)
        return total

    def spool(self) -> Amount:
        """Remove spool files of permanently removed runs."""
        return self._removed(gone_in_flight(self._backend, self._expired), 1)

    def _removed(self, paths: Iterable[Path], levels: int) -> Amount:
        """Remove files that many folders deep in the store; removes a link, not its target."""
        total = Amount()
        for path in paths:
            with self._noting(path), folder_at(path.parent, levels=levels) as folder:
                size = folder.entry(path.name).st_size
                if not self._is_dry:
                    folder.remove(path.name)
                total += Amount(1, size)
        return total


def gone_folders(backend: Backend, expired: Collection[Expired] = ()) -> Iterator[Path]:
    """Yield the folders of plain files of removed and of expired runs."""
    gone = {reference for _, reference in backend.trash.purged_names()}
    going = _uids(expired)
    for one in expired:
        gone.update(names_of(backend, one.uid, one.reference))
    by_name = {folder_name(reference): reference for reference in gone}
    for folder in folders_named(backend, sorted(gone)):
        reference = by_name[folder.name]
        # Runs written by another tool may share a reference, and so a folder.
        sharing = backend.database.runs_by_reference(reference)
        sharing += InTrash(backend.database).runs_by_reference(reference)
        if all(run.uid in going for run in sharing):
            yield folder


def gone_in_flight(backend: Backend, expired: Collection[Expired] = ()) -> Iterator[Path]:
    """Yield spool files of removed and of expired runs, and partial files left by a crash."""
    going = _uids(expired)
    places = {backend.spool.place, *backend.spool.own_places()}
    for path in backend.spool.every_file():
        is_cut_off = path.suffix == ".tmp" and path.parent in places
        if (
            uid_of(path) in going
            or backend.database.is_purged(uid_of(path))
            or (is_cut_off and is_old(path))
        ):
            yield path


def _uids(expired: Iterable[Expired]) -> set[str]:
    return {one.uid for one in expired}
