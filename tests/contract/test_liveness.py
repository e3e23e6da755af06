"""Runs without an end: what becomes of them when somebody reads the store."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from runstore import Status
from runstore.capture.machine import process
from runstore.errors import StoreReadOnlyError
from runstore.reading import liveness
from runstore.recording import live_runs

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


def test_all_unfinished_runs_of_here_are_settled_at_once(store, run, judged):
    assert liveness.settle_all(store.backend) is True

    assert status_of(store, run) is Status.LOST
