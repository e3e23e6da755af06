"""Data in flight whose run the database does not have, such as after a backup was restored."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

from runstore.inflight import take_in
from runstore.model.reference import local_timestamp
from runstore.model.status import Status
from runstore.reading.names import author_named
from runstore.storage.backend import Backend
from runstore.storage.database import NewRun
from runstore.storage.files.spool import uid_of
from runstore.storage.integrity.checks import Checks
from runstore.storage.past_runs import PastRun, write_past_run
from runstore.storage.transfer.checking import is_uid

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
