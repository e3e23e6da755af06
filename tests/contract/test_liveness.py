"""Runs without an end: what becomes of them when somebody reads the store."""

import resource
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from runstore import Status, StoreWarning
from runstore.capture.machine import process
from runstore.errors import StoreLockedError, StoreReadOnlyError
from runstore.reading import liveness
from runstore.recording import live_runs
from runstore.storage.rows import to_micros

LONG_AGO = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def run(store):
    """A run that this process executes, as it is kept."""
    started = store.start("fit", capture=False)
    yield store.backend.database.run_by_uid(started.uid)
    if live_runs.running(started.uid):
        store.backend.database.driver.refuse_writes(None)
        started.finish()


@pytest.fixture
def judged(monkeypatch):
    """Decide what the evidence says of each process; see what it was asked."""
    asked, answers = [], {"is_gone": True}

    def is_gone(identity, *, silent_s):
        asked.append(silent_s)
        return answers["is_gone"]

    monkeypatch.setattr(process, "is_gone", is_gone)
    return asked, answers


def status_of(store, run):
    return store.backend.database.run_by_uid(run.uid).status


def test_a_run_whose_process_is_gone_is_lost(store, run, judged):
    (found,) = liveness.settled(store.backend, [run])

    assert found.status is Status.LOST
    assert status_of(store, run) is Status.LOST
    assert found.ended_at == run.last_seen_at


@pytest.fixture
def an_hour_old(store, run):
    """The same run, of which nothing was heard since it began, an hour ago."""
    began = run.started_at - timedelta(hours=1)
    with store.backend.database.driver.write() as connection:
        connection.execute(
            "UPDATE runs SET started_at = ?, last_seen_at = ? WHERE uid = ?",
            (to_micros(began), to_micros(began), run.uid),
        )
    return store.backend.database.run_by_uid(run.uid)


def settled_end(store, run):
    (found,) = liveness.settled(store.backend, [run])
    assert found.status is Status.LOST
    return found.ended_at


def test_the_last_point_is_a_sign_of_life(store, an_hour_old, judged):
    began = an_hour_old.started_at
    active = live_runs.running(an_hour_old.uid).run
    times = [began + timedelta(minutes=one) for one in (10, 20, 30)]
    active.log_points("loss", [1, 2, 3], times=times)
    active.log({"system/cpu": 0.5}, time=began + timedelta(minutes=40))
    active.execution.hand_in()

    assert settled_end(store, an_hour_old) == began + timedelta(minutes=40)
    kept = store.backend.database.run_by_uid(an_hour_old.uid)
    assert kept.ended_at == began + timedelta(minutes=40)


def test_the_last_line_is_a_sign_of_life(store, an_hour_old, judged):
    began = an_hour_old.started_at
    times = [began + timedelta(minutes=one) for one in (20, 50)]
    path = store.backend.spool.in_first_place(Path) / f"{an_hour_old.uid}.1.output"
    path.write_text("".join(f"{at.timestamp():.6f} o an epoch\n" for at in times))
    path.chmod(0o600)

    assert settled_end(store, an_hour_old) - times[1] < timedelta(milliseconds=1)


@pytest.mark.parametrize("days", [-400, 400])
def test_times_that_a_program_made_up_are_no_signs_of_life(store, an_hour_old, judged, days):
    active = live_runs.running(an_hour_old.uid).run
    active.log({"loss": 1}, time=an_hour_old.started_at + timedelta(days=days))
    active.execution.hand_in()

    assert settled_end(store, an_hour_old) == an_hour_old.started_at


def test_a_store_that_cannot_be_written_shows_the_last_sign(store, an_hour_old, judged):
    last = an_hour_old.started_at + timedelta(minutes=40)
    active = live_runs.running(an_hour_old.uid).run
    active.log({"loss": 1}, time=last)
    active.execution.hand_in()
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    assert settled_end(store, an_hour_old) == last


@pytest.mark.parametrize("answer", [False, None])
def test_a_run_that_may_be_alive_stays_as_it_is(store, run, judged, answer):
    judged[1]["is_gone"] = answer

    assert liveness.settled(store.backend, [run]) == (run,)
    assert status_of(store, run) is Status.RUNNING


def test_the_silence_counts_from_the_last_sign_of_life(store, run, judged):
    seen = datetime.now(timezone.utc) - timedelta(hours=1)
    liveness.settled(store.backend, [replace(run, last_seen_at=seen)])
    liveness.settled(store.backend, [replace(run, last_seen_at=None, started_at=LONG_AGO)])

    assert judged[0][0] == pytest.approx(3600, abs=600)
    assert judged[0][1] > 3600 * 24


def test_runs_that_have_ended_or_have_no_process_are_not_judged(store, run, judged):
    ended = replace(run, status=Status.COMPLETE)
    imported = replace(run, process=None)

    assert liveness.settled(store.backend, [ended]) == (ended,)
    assert liveness.settled(store.backend, [ended, imported]) == (ended, imported)
    assert judged[0] == []


def test_the_order_of_runs_stays(store, run, judged):
    other = replace(run, uid="other", status=Status.COMPLETE)

    found = liveness.settled(store.backend, [other, run, other])

    assert [one.uid for one in found] == ["other", run.uid, "other"]


def test_in_a_store_that_cannot_be_written_the_answer_is_the_same(store, run, judged):
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    (found,) = liveness.settled(store.backend, [run])

    assert found.status is Status.LOST
    assert found.ended_at == run.last_seen_at
    assert status_of(store, run) is Status.RUNNING
    assert liveness.settle_all(store.backend) is False


@contextmanager
def full_disk():
    """Let every write to a file fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.folder_only
def test_runs_can_be_read_from_a_full_disk(store, run, judged):
    with full_disk():
        (found,) = liveness.settled(store.backend, [run])
        is_settled = liveness.settle_all(store.backend)

    assert found.status is Status.LOST
    assert is_settled is False
    assert status_of(store, run) is Status.RUNNING


def test_reading_does_not_wait_long_for_a_writer(store, run, judged, monkeypatch):
    waited = []

    def mark_lost(_runs):
        waited.append(store.backend.database.driver.patience_s)
        raise StoreLockedError("It is locked.")

    monkeypatch.setattr(store.backend.database, "mark_lost", mark_lost)

    (found,) = liveness.settled(store.backend, [run])

    assert found.status is Status.LOST
    assert max(waited) < 1


def test_a_filter_warns_of_a_status_that_cannot_be_updated(store, run, judged):
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    with pytest.warns(StoreWarning, match="finds 1 run without a recorded end as running"):
        (found,) = store.find("status = running")

    assert found.status is Status.LOST


def test_a_filter_warns_of_points_that_cannot_be_imported(store, run):
    active = live_runs.running(run.uid).run
    active.log(loss=0.5)
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    with pytest.warns(StoreWarning, match="newest points of 1 run are left out"):
        assert list(store.find("metrics.loss > 0")) == []


@pytest.mark.folder_only
def test_an_end_that_waits_for_room_is_shown(store, run, judged):
    ended_at = run.started_at + timedelta(seconds=7)
    ending = {"status": "error", "ended_at": to_micros(ended_at), "error": "boom"}
    store.backend.spool.keep(run.uid, "end", {**ending, "traceback": None, "exit_code": 3})

    with full_disk():
        (found,) = liveness.settled(store.backend, [run])

    assert (found.status, found.ended_at) == (Status.ERROR, ended_at)
    assert (found.error, found.exit_code) == ("boom", 3)
    assert status_of(store, run) is Status.RUNNING


def test_all_unfinished_runs_of_here_are_settled_at_once(store, run, judged):
    assert liveness.settle_all(store.backend) is True

    assert status_of(store, run) is Status.LOST


@pytest.fixture
def set_back(monkeypatch):
    """Set the clock back by a day when called."""
    now_ns = time.time_ns
    return lambda: monkeypatch.setattr(time, "time_ns", lambda: now_ns() - 86_400 * 10**9)


def test_the_duration_is_the_time_since_the_start_although_the_clock_is_set_back(store, set_back):
    began = time.monotonic_ns()
    run = store.start("fit", capture=False)
    started = time.monotonic_ns()
    set_back()
    before_end = time.monotonic_ns()
    run.finish()
    ended = time.monotonic_ns()

    took_ns = run.record.duration / timedelta(microseconds=1) * 1000
    assert before_end - started <= took_ns + 2000
    assert took_ns <= ended - began + 2000
    assert list(store.find("duration >= 0")) == [run.record]


def test_a_run_that_is_resumed_after_the_clock_was_set_back_ends_after_its_start(store, set_back):
    run = store.start("fit", capture=False)
    run.finish()
    set_back()

    with store.resume(run):
        pass

    assert run.record.duration >= timedelta(0)


def test_an_end_that_another_process_reports_is_not_before_the_start(store, set_back):
    run = store.start("fit", capture=False)
    set_back()

    assert store.finish(run.uid).duration == timedelta(0)


@pytest.mark.parametrize("is_read_only", [False, True])
def test_a_lost_run_has_not_ended_before_its_start(store, judged, set_back, is_read_only):
    began = store.start("fit", capture=False)
    began.finish()
    set_back()
    uid = store.resume(began).uid
    run = store.backend.database.run_by_uid(uid)
    if is_read_only:
        store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    assert run.last_seen_at < run.started_at
    assert settled_end(store, run) == run.started_at
    store.backend.database.driver.refuse_writes(None)
