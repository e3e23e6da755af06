"""Data in flight that no opening imports.

The database lacks its run, as after a backup was restored, or the server had another URL.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from runstore.config import author_named
from runstore.errors import suppressed
from runstore.inflight import take_in
from runstore.inflight.deferred import is_over
from runstore.model.reference import local_timestamp
from runstore.model.status import Status
from runstore.storage.backend import Backend
from runstore.storage.files.safe_files import names_in
from runstore.storage.files.spool import RECORD_SUFFIX, Spool, uid_of
from runstore.storage.integrity.checks import Checks
from runstore.storage.new_runs import NewRun
from runstore.storage.past_runs import PastRun, write_past_run
from runstore.storage.rows import is_uid

EXPERIMENT = "recovered"
_NOTES = "Recovered from data in flight: the store had no record of this run."
_QUIET_S = 60.0  # a file of a run that still goes on is written more often


def files_without_run(backend: Backend) -> dict[str, list[Path]]:
    """Return the files in the store's own spool whose run is unknown, by the uid of the run."""
    known = Checks(backend.database).uids()
    place = backend.spool.place
    found: dict[str, list[Path]] = defaultdict(list)
    for path in backend.spool.every_file():
        uid = uid_of(path)
        if path.parent == place and is_uid(uid) and uid not in known and path.suffix != ".tmp":
            found[uid].append(path)
    return dict(found)


def files_of_other_urls(backend: Backend) -> dict[Path, list[Path]]:
    """Return data in flight of runs of this store, kept for other URLs, by their folders.

    Points and output of active runs are left to their programs.
    """
    found: dict[Path, list[Path]] = {}
    if backend.server is not None:
        from runstore.storage.postgres.waiting import folders_of_others

        for folder in folders_of_others(backend.path):
            if paths := list(_files_for(backend, Spool(folder).place)):
                found[folder] = paths
    return found


def _files_for(backend: Backend, place: Path) -> Iterator[Path]:
    names: Sequence[str] = ()
    with suppressed(OSError):  # a link, or not a folder
        names = names_in(place)
    for path in (place / name for name in names):
        run = backend.database.run_by_uid(uid_of(path)) if is_uid(uid_of(path)) else None
        if run is not None and (path.suffix == RECORD_SUFFIX or is_over(run)):
            yield path


def adopt(backend: Backend) -> None:
    """Import data in flight of runs of this store that was kept for other URLs."""
    is_more = True
    while is_more:  # a run may have ended by what was imported
        is_more = False
        for path in chain.from_iterable(files_of_other_urls(backend).values()):
            with suppressed(OSError):  # another program imported it, or it is on another disk
                path.rename(backend.spool.in_first_place(lambda place: place) / path.name)
                is_more = True
        if is_more:
            take_in(backend)


def recover(backend: Backend) -> tuple[str, ...]:
    """Create runs for data in flight without a run, import the data, and return the references.

    Their parameters are not known, and neither are their names. Data that was written within the
    last minute is left alone, since its run may be active.
    """
    recovered = []
    for uid, paths in sorted(files_without_run(backend).items()):
        newest_s = max(path.lstat().st_mtime for path in paths)
        if time.time() - newest_s < _QUIET_S:
            continue
        started = int(uid.replace("-", "")[:12], 16) * 1000  # a UUIDv7 begins with its time
        new = NewRun(uid, EXPERIMENT, Status.LOST, started, local_timestamp(started), notes=_NOTES)
        past = PastRun(new, Status.LOST, max(started, round(newest_s * 1e6)))
        write_past_run(backend.database, past, author_named(None))
        recovered.append(uid)
    if recovered:
        take_in(backend)
    runs = map(backend.database.run_by_uid, recovered)
    return tuple(run.reference for run in runs if run is not None)
