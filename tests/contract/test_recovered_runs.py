"""Data in flight of runs that the database lost, as after a backup was restored."""

import os
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runstore import Store
from runstore.inflight.deferred import Deferred
from runstore.maintenance.recovery import recover
from runstore.model.reference import new_uid
from runstore.model.status import Status
from runstore.storage.metrics.point_files import PointFile
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.new_runs import NewRun
from runstore.storage.past_runs import PastRun, write_past_run

AT = 1_795_780_800_000_000


@pytest.fixture
def uid(store):
    """A run that only the spool knows: a point, and its end."""
    uid = new_uid()
    place = store.backend.spool.in_first_place(Path)
    file = PointFile(place / f"{uid}.1.points", 10)
    file.say_series(KeyOf(-1, "loss"), 0)
    file.write(0, 1, AT, 0.5)
    file.seal()
    ending = {"status": "error", "ended_at": AT, "error": "E: x", "traceback": None}
    with pytest.warns(match="Kept in"):
        Deferred(store.backend).end(uid, "fit_1", {**ending, "exit_code": 3}, None)
    return uid


def age(store):
    for path in store.backend.spool.every_file():
        os.utime(path, (time.time() - 120,) * 2)


def test_it_is_named_with_the_next_step(store, uid):
    (one,) = store.check()

    assert (one.kind, one.what) == ("orphaned", "in flight, but the run is missing")
    assert len(one.names) == 2
    assert "runstore pull COPY" in one.hint
    assert "runstore push --recover" in one.hint


def test_it_becomes_a_run_of_its_own(store, uid):
    assert recover(store.backend) == (), "the run may still be active"
    age(store)

    (reference,) = recover(store.backend)

    run = store.get(uid)
    assert (run.reference, run.experiment_name) == (reference, "recovered")
    assert (run.status, run.error) == (Status.ERROR, "E: x")
    assert abs(run.started_at - datetime.now(timezone.utc)).total_seconds() < 60
    assert list(run.metric("loss").values) == [0.5]
    assert store.check() == ()
    assert recover(store.backend) == ()


def test_it_is_added_to_the_run_of_a_newer_copy(store, uid, location, tmp_path):
    with Store.open(tmp_path / "copy") as copy:
        new = NewRun(uid, "fit", Status.LOST, AT, "2026-11-27-T120000")
        write_past_run(copy.backend.database, PastRun(new, Status.LOST, AT), "ada")
        store.pull(copy)

    with Store.open(location) as again:
        run = again.get(uid)
        assert (run.experiment_name, list(run.metric("loss").values)) == ("fit", [0.5])
        assert again.check() == ()
