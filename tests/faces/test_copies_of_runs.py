"""Runs, pages, stores and running runs can be copied, and used in other processes."""

import copy
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import warnings

import pytest

import runstore
from commands import python
from commands import runstore as cli
from places import store_at
from pool_worker import log_as_worker
from runstore import Status, Store, StoreWarning
from runstore.errors import RunActiveError, RunFinishedError, UsageError


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "store") as store:
        yield store


@pytest.fixture
def recorded(store):
    with store.start("fit", params={"lr": 0.1, "deep": {"x": [1, 2]}}) as run:
        run.log(loss=0.5)
        run.save("note.txt", b"kept")
        run.tags["phase"] = "pilot"
    return store.get("fit#1")


def in_other_process(code, folder, *arguments, check=True):
    """Run code in a fresh process; what it prints is returned."""
    ended = python("-c", code, *arguments, cwd=folder)
    assert not check or ended.returncode == 0, ended.stderr
    return ended


def sent(thing):
    """Return a thing as it arrives by pickle."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own


# What was recorded


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, sent])
def test_a_copy_of_a_run_is_equal_and_reads_its_products(recorded, copied):
    again = copied(recorded)

    assert again == recorded
    assert {again, recorded} == {recorded}
    assert (again.params, again.tags) == (recorded.params, {"phase": "pilot"})
    assert list(again.metric("loss").values) == [0.5]
    assert again.read_bytes("note.txt") == b"kept"


def test_pages_and_what_is_read_from_runs_can_be_copied(store, recorded):
    things = [
        store.list(), store.find(limit=None), store.events("fit#1"), recorded.metrics,
        recorded.artifacts, list(recorded.output), store.list().table(),
    ]  # fmt: skip

    for thing in things:
        for again in (sent(thing), copy.deepcopy(thing)):
            assert type(again) is type(thing)
    assert sent(things[:4]) == copy.deepcopy(things[:4]) == things[:4]


def test_a_store_is_one_in_a_process_and_opened_anew_in_another(store, recorded, tmp_path):
    assert copy.deepcopy(store) is store
    (tmp_path / "sent").write_bytes(pickle.dumps([store, store.list()]))
    code = (
        "import pickle; store, page = pickle.load(open('sent', 'rb'))\n"
        "print(page[0].metric('loss').values[0], store.get('latest').uid == page[0].uid)"
    )

    assert in_other_process(code, tmp_path).stdout == "0.5 True\n"


@pytest.mark.folder_only("moves the folder away")
def test_a_run_is_read_where_its_store_is_not(store, recorded, tmp_path):
    sent = pickle.dumps(recorded)
    (tmp_path / "sent").write_bytes(sent)
    store.close()
    shutil.move(tmp_path / "store", tmp_path / "elsewhere")
    code = (
        "import pickle, runstore; run = pickle.load(open('sent', 'rb')); print(run.params['lr'])\n"
        "try: run.metric('loss')\n"
        "except runstore.errors.StoreUnavailableError: print('no store')"
    )

    assert in_other_process(code, tmp_path).stdout == "0.1\nno store\n"
    assert not (tmp_path / "store").exists()


def test_a_manager_store_can_be_copied(tmp_path):
    manager = runstore.ManagerStore(tmp_path / "runs")

    for again in (copy.deepcopy(manager), sent(manager)):
        assert (again.path, again.runs) == (manager.path, [])


# Runs that are going on


def test_a_copy_in_the_same_process_is_the_run_itself(store):
    with store.start("fit", capture=False) as run:
        for again in (copy.copy(run), copy.deepcopy([run])[0], sent(run)):
            assert again is run
        assert copy.deepcopy(run.of_set) is not None
        copy.deepcopy(run.log)(loss=1.0)

    assert run.record.metrics["loss"].count == 1


@pytest.mark.parametrize("kind", ["spawn", "forkserver"])
def test_workers_of_a_pool_log_to_the_run(store, kind):
    with store.start("fit", params={"lr": 1}, capture=False) as run:
        run.log(loss=9.0)
        with multiprocessing.get_context(kind).Pool(2) as pool:
            work = [(run, run.log, number) for number in range(6)]
            workers = pool.starmap(log_as_worker, work, chunksize=1)
        assert run.record.status is Status.RUNNING
        run.log(loss=10.0)

    kept = store.get("fit#1")
    assert os.getpid() not in workers
    assert sorted(kept.metric("loss").values) == [0, 1, 2, 3, 4, 5, 9, 10]
    assert sorted(kept.metric("after").values) == [0, 1, 2, 3, 4, 5]
    assert len(kept.artifacts) == 6
    assert len(kept.tags) == 6
    assert (kept.status, len(store.list())) == (Status.COMPLETE, 1)


def test_copies_of_one_worker_count_steps_together(store):
    pool = multiprocessing.get_context("spawn").Pool(1)
    with store.start("fit", capture=False) as run, pool:
        pool.starmap(log_as_worker, [(run, run.log, number) for number in range(4)], chunksize=1)

    assert sorted(run.record.metric("after").steps) == [0, 1, 2, 3]


def test_points_of_a_killed_worker_are_kept(store, tmp_path):
    code = (
        "import os, pickle, signal; run = pickle.load(open('sent', 'rb'))\n"
        "for n in range(5000): run.log(n=n)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with store.start("fit", capture=False) as run:
        (tmp_path / "sent").write_bytes(pickle.dumps(run))
        assert in_other_process(code, tmp_path, check=False).returncode == -9

    assert list(run.record.metric("n").values) == list(range(5000))


@pytest.mark.folder_only("moves the folder away")
def test_points_of_a_worker_without_the_store_are_taken_in_later(store, tmp_path):
    code = (
        "import pickle; run = pickle.load(open('sent', 'rb'))\n"
        "for n in range(3000): run.log(n=n)\n"
        "print('went on')"
    )
    run = store.start("fit", capture=False)
    (tmp_path / "sent").write_bytes(pickle.dumps(run))
    run.finish()
    store.close()
    shutil.move(tmp_path / "store", tmp_path / "elsewhere")

    assert in_other_process(code, tmp_path).stdout == "went on\n"

    with Store.open(tmp_path / "elsewhere") as moved:
        assert list(moved.get("fit#1").metric("n").values) == list(range(3000))
    assert not (tmp_path / "store").exists()


# By name


RESUME = """
import sys, runstore
with runstore.start_run(store=sys.argv[1], resume=sys.argv[2]) as run:
    run.log(worker=1)
    run.save('w.txt', b'w')
"""


def test_a_child_process_logs_to_the_run_by_its_name(store, tmp_path):
    with store.start("fit", capture=False) as run:
        words = [sys.executable, "-c", RESUME, store.backend.url, run.reference]
        ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert run.record.status is Status.RUNNING

    assert ended.stderr == ""
    assert (run.record.metrics["worker"].count, list(run.record.artifacts)) == (1, ["w.txt"])


def test_a_stranger_that_logs_to_the_run_is_told(store, tmp_path):
    begin = (
        "import runstore, sys; run = runstore.start_run('fit', store=sys.argv[1], capture=False)\n"
        "print(run.uid, flush=True); sys.stdin.read(); run.finish()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", begin, store.backend.url],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    uid = owner.stdout.readline().strip()

    ended = in_other_process(RESUME, tmp_path, store.backend.url, uid)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.attach(uid).log(attached=1)
    with pytest.warns(StoreWarning, match="does not end it"):
        store.resume(uid)
    owner.communicate("", timeout=100)

    assert f"being executed by process {owner.pid}" in ended.stderr
    kept = store.get(uid)
    assert (kept.status, sorted(kept.metrics)) == (Status.COMPLETE, ["attached", "worker"])


def test_what_cannot_be_attached_to_is_refused(store, monkeypatch):
    run = store.start("fit", capture=False)
    with pytest.raises(RunActiveError):
        store.resume(run.uid)
    assert store.attach(run.uid) is run
    run.finish()

    with pytest.raises(RunFinishedError, match="has ended, as complete") as refused:
        store.attach(run.uid)
    with pytest.raises(UsageError, match="not started by a run") as unnamed:
        runstore.attach_run(store=store)

    # What the hints say works.
    assert f"runstore.start_run(resume={run.reference!r})" in refused.value.hint
    with runstore.start_run(resume=run.reference, store=store) as resumed:
        resumed.log(loss=1.0)
    assert f"store.add({run.reference!r}, …)" in refused.value.hint
    store.add(run.reference, metrics={"acc": 0.5})
    assert sorted(store.get(run.uid).metrics) == ["acc", "loss"]
    assert "runstore exec -- PROGRAM" in unnamed.value.hint


def test_a_program_attaches_to_the_run_that_started_it(store, tmp_path):
    code = "import runstore; runstore.attach_run().log(inner=3)"
    command = ("exec", "--experiment", "outer", "--", sys.executable, "-c", code)

    ended = cli("--store", store.backend.url, *command, cwd=tmp_path)

    assert ended.returncode == 0
    assert json.dumps({key: one.last for key, one in store.get("outer#1").metrics.items()}) == (
        '{"inner": 3.0}'
    )


def test_closing_a_copy_leaves_other_stores_open(tmp_path):
    with store_at(tmp_path / "store") as store:
        run = store.start("fit", capture=False)
        copy, other = (pickle.loads(pickle.dumps(store)) for _ in range(2))  # noqa: S301 - our own
        assert copy.get(run.uid).uid == other.get(run.uid).uid

        copy.close()
        run.log(loss=0.5)
        run.finish()

        assert [one.get("fit#1").status.value for one in (store, copy, other)] == ["complete"] * 3


def test_a_copy_made_before_its_store_was_closed_opens_it_again(tmp_path):
    with store_at(tmp_path / "store") as store:
        store.start("fit", capture=False).finish()
        sent = pickle.dumps(store)

    assert pickle.loads(sent).get("fit#1").run_number == 1  # noqa: S301 - our own


def test_a_copy_of_a_run_that_goes_on_again_logs_to_it(tmp_path):
    """A worker may have seen the run when it was complete."""
    with store_at(tmp_path / "store") as store:
        with store.start("fit", capture=False) as run:
            pass
        code = (
            "import pickle, sys\n"
            "ended, again = (pickle.load(open(one, 'rb')) for one in sys.argv[1:])\n"
            "again.log(loss=0.5); print(ended.status.value, again.status.value)\n"
        )
        (tmp_path / "ended").write_bytes(pickle.dumps(run))
        again = store.resume("fit#1")
        (tmp_path / "again").write_bytes(pickle.dumps(again))

        ended = in_other_process(code, tmp_path, "ended", "again")
        again.finish()

        assert ended.stdout.split() == ["complete", "running"]
        assert store.get("fit#1").metrics["loss"].count == 1
