"""Silent runs of other machines: their scheduler settles them, or a user, and nothing else."""

import json
import sqlite3
import time
from contextlib import closing

import pytest

from runstore import Status
from runstore.capture.machine import scheduler

pytestmark = pytest.mark.usefixtures("unsynced")
# As Slurm 22.05 prints it.
NO_ACCOUNTING = "echo Slurm accounting storage is disabled >&2; exit 1"
CLUSTER = "echo 'ClusterName             = big'"


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Install the commands of a cluster: each prints what its script does."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(**scripts):
        for name, script in {"scontrol": CLUSTER, **scripts}.items():
            (folder / name).write_text(
                f'#!/bin/sh\necho "$@" >> {folder}/{name}.asked\n{script}\n'
            )
            (folder / name).chmod(0o755)
        return folder

    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return install


@pytest.fixture
def silent(store):
    """Return a function that records a run of another machine that has been silent for an hour."""
    started = []

    def record(job=None, cluster="big", *, silence_s=3600, **columns):
        run = store.start("mnist", capture=False)
        started.append(run)
        facts = {"scheduler.kind": "slurm", "scheduler.job": job, "scheduler.cluster": cluster}
        facts = {name: value for name, value in facts.items() if value}
        cells = {
            "last_seen_at": time.time_ns() // 1000 - silence_s * 1_000_000,
            "hostname": "node7",
            "boot_id": "a1/b2/c3",
            "facts": json.dumps({"values": facts if job else {}, "unknown": {}}),
            **columns,
        }
        sets = ", ".join(f"{name} = ?" for name in cells)
        with closing(sqlite3.connect(store.path / "runstore.db")) as connection, connection:
            connection.execute(
                f"UPDATE runs SET {sets} WHERE uid = ?",  # noqa: S608 - own names
                (*cells.values(), run.uid),
            )
        return store.get(run)

    yield record
    for run in started:
        run.finish()


@pytest.mark.parametrize("state", ["TIMEOUT", "OUT_OF_MEMORY", "CANCELLED by 1000", "COMPLETED"])
def test_a_run_whose_job_has_ended_is_lost(store, slurm, silent, state):
    slurm(sacct=f"echo '17|{state}'")
    run = silent("17")

    done = store.settle()

    assert [one.uid for one in done.lost] == [run.uid]
    assert store.get(run).status is Status.LOST
    assert store.get(run).error == f"Its process is gone: job 17 of Slurm is {state.split()[0]}."
    assert done.silent == ()


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED", ""])
def test_a_run_whose_job_goes_on_stays(store, slurm, silent, state):
    slurm(sacct=f"echo '17|{state}'")
    run = silent("17")

    for presumed in (False, True):
        done = store.settle(presume_lost=presumed)

        assert done.lost == ()
        assert [one.run.uid for one in done.silent] == [run.uid]
    assert store.get(run).status is Status.RUNNING


def test_the_last_attempt_of_a_job_counts(store, slurm, silent):
    slurm(sacct="echo '17|NODE_FAIL'; echo '17|RUNNING'")
    silent("17")

    assert store.settle().lost == ()


def test_without_accounting_the_queue_is_asked(store, slurm, silent):
    slurm(sacct=NO_ACCOUNTING, squeue="echo '17 RUNNING'; echo '18 FAILED'")
    going_on, failed, unlisted = silent("17"), silent("18"), silent("19")

    done = store.settle()

    assert {one.uid: one.error for one in done.lost} == {
        failed.uid: "Its process is gone: job 18 of Slurm is FAILED.",
        unlisted.uid: "Its process is gone: job 19 of Slurm is no longer in the queue.",
    }
    assert [one.run.uid for one in done.silent] == [going_on.uid]


def test_a_scheduler_that_does_not_answer_proves_nothing(store, slurm, silent):
    slurm(sacct=NO_ACCOUNTING, squeue="echo connection refused >&2; exit 1")
    run = silent("17")

    done = store.settle()

    assert (done.lost, [one.reason for one in done.silent]) == (
        (), ["nothing is known about its job 17"],
    )  # fmt: skip
    assert store.get(run).status is Status.RUNNING


def test_jobs_of_another_cluster_are_not_asked_for(store, slurm, silent):
    folder = slurm(sacct="echo '17|FAILED'")
    silent("17", cluster="small")
    silent("17", cluster=None)

    done = store.settle()

    assert sorted(one.reason for one in done.silent) == [
        "its job ran in the cluster small, not in big",
        "the cluster of its job is not recorded",
    ]
    assert not (folder / "sacct.asked").exists()


def test_ids_that_are_no_numbers_are_not_passed_on(store, slurm, silent):
    folder = slurm(sacct="echo '17|FAILED'")
    silent("--help")
    silent("1;rm -rf x")

    assert store.settle().lost == ()
    assert not (folder / "sacct.asked").exists()


def test_many_jobs_are_asked_for_at_once(store, slurm, silent, monkeypatch):
    monkeypatch.setattr(scheduler, "_AT_ONCE", 2)
    folder = slurm(sacct=":")
    for job in ("1", "2", "3", "3"):
        silent(job)

    store.settle()

    asked = (folder / "sacct.asked").read_text().splitlines()
    assert [line.rpartition("--jobs=")[2] for line in asked] == ["1,2", "3"]


def test_a_run_that_was_heard_of_lately_is_not_silent(store, slurm, silent):
    slurm(sacct="echo '17|FAILED'")
    silent("17", silence_s=30)

    done = store.settle()

    assert (done.lost, done.silent) == ((), ())


def test_a_process_that_lives_here_is_never_called_lost(store, slurm):
    slurm()
    run = store.start("mnist", capture=False)
    with closing(sqlite3.connect(store.path / "runstore.db")) as connection, connection:
        connection.execute("UPDATE runs SET last_seen_at = started_at - 3600000000")

    (one,) = store.settle(presume_lost=True).silent

    assert one.reason == "its process is alive, but stopped or busy"
    assert store.get(run).status is Status.RUNNING
    run.finish()


def test_silent_runs_are_marked_at_the_word_of_a_user(store, slurm, silent):
    slurm()
    run, other = silent(), silent()

    (one,) = store.settle(run).silent
    assert one.reason == "only node7 can prove that its process is gone"
    (lost,) = store.settle(run, presume_lost=True).lost

    assert lost.error.startswith("Silent for 1")
    assert store.get(other).status is Status.RUNNING


def test_a_run_that_reports_its_end_later_has_that_end(store, slurm):
    slurm()
    run = store.start("mnist", capture=False)
    with closing(sqlite3.connect(store.path / "runstore.db")) as connection, connection:
        connection.execute(
            "UPDATE runs SET last_seen_at = started_at - 3600000000, boot_id = 'a/b/c'"
        )
    store.settle(presume_lost=True)
    assert store.get(run).status is Status.LOST

    run.finish()

    kept = store.get(run)
    assert (kept.status, kept.error) == (Status.COMPLETE, None)
