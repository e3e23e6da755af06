"""The current run, and the parents of runs: blocks, plain objects, threads, other processes."""

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import runstore
from command_server import Program
from places import place, store_at
from runstore.current import PARENT_VARIABLE


@pytest.fixture
def start(tmp_path):
    def begun(name, **options):
        return runstore.start_run(name, store=tmp_path / "runs", capture=False, **options)

    yield begun
    assert runstore.current_run() is None
    assert PARENT_VARIABLE not in os.environ


def parent_of(run):
    return run.record.parent_uid


def test_a_plain_run_is_current_until_it_ends(start):
    outer = start("outer")
    inner = start("inner")
    assert runstore.current_run() is inner
    inner.finish()
    assert runstore.current_run() is outer
    outer.finish()

    assert parent_of(inner) == outer.uid
    assert parent_of(outer) is None


def test_runs_may_end_in_any_order(start):
    outer, inner = start("outer"), start("inner")
    outer.finish()

    assert runstore.current_run() is inner
    inner.finish()


def test_a_plain_run_within_a_block_and_a_block_within_a_plain_run(start):
    with start("block") as block:
        plain = start("plain")
        with start("deep") as deep:
            assert parent_of(deep) == plain.uid
        assert runstore.current_run() is plain
        plain.finish()
        assert runstore.current_run() is block
    assert parent_of(plain) == block.uid


def test_plain_runs_of_one_experiment_side_by_side_are_siblings(start):
    """A cell of a notebook that is executed again does not begin a child of its last run."""
    runs = [start("fit") for _ in range(3)]

    assert [parent_of(one) for one in runs] == [None] * 3
    for one in runs:
        one.finish()


def test_a_run_of_another_store_is_no_parent(start, tmp_path):
    with start("outer"), store_at(tmp_path / "other") as other:
        run = other.start("inner", capture=False)
        assert parent_of(run) is None
        run.finish()


def test_the_parent_that_is_named_counts_most(start):
    first = start("first")
    first.finish()
    with start("second"), start("child", parent=first) as child:
        assert parent_of(child) == first.uid


def test_runs_of_a_pool_are_children_of_the_main_thread_s_and_siblings(start):
    together = threading.Barrier(4)

    def trial(_):
        with start("trial") as run:
            together.wait()
            assert runstore.current_run() is run
            return parent_of(run)

    with start("sweep") as sweep:
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(trial, range(4))) == {sweep.uid}
        assert runstore.current_run() is sweep


def test_a_thread_logs_to_the_current_run_of_the_main_thread(start):
    run = start("fit")
    thread = threading.Thread(target=lambda: runstore.current_run().log(loss=1.0))
    thread.start()
    thread.join()
    run.finish()

    assert list(run.record.metric("loss").values) == [1.0]


def test_tasks_have_current_runs_of_their_own(start):
    async def trial(number):
        with start("trial", params={"n": number}) as run:
            await asyncio.sleep(0.01)
            assert runstore.current_run() is run
            return parent_of(run)

    async def main():
        return await asyncio.gather(*(trial(number) for number in range(3)))

    with start("sweep") as sweep:
        assert asyncio.run(main()) == [sweep.uid] * 3


CHILD = "import runstore; runstore.start_run('child', store={store!r}, capture=False).finish()"


def test_a_subprocess_of_a_script_finds_its_parent(start, tmp_path):
    def run_child():
        assert Program(CHILD.format(store=str(place(tmp_path / "runs")))).wait() == 0

    with start("parent") as parent:
        run_child()
        thread = threading.Thread(target=run_child)
        thread.start()
        thread.join()
    run_child()

    assert kept_parents(tmp_path / "runs", "child") == [parent.uid, parent.uid, None]


def kept_parents(folder, experiment):
    with store_at(folder) as store:
        return [run.parent_uid for run in reversed(store.list(experiment).items)]


@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_workers_of_multiprocessing_find_their_parent(tmp_path, way):
    script = tmp_path / "sweep.py"
    script.write_text(
        "import multiprocessing, sys, runstore\n"
        "def trial(number):\n"
        "    with runstore.start_run('trial', store=sys.argv[2], capture=False): pass\n"
        "if __name__ == '__main__':\n"
        "    run = runstore.start_run('sweep', store=sys.argv[2], capture=False)\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:\n"
        "        pool.map(trial, range(4))\n"
        "    run.finish()\n"
    )

    subprocess.run(
        [sys.executable, "-W", "ignore", script, way, place(tmp_path / "runs")],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )

    with store_at(tmp_path / "runs") as store:
        sweep = store.get("sweep#1").uid
    assert kept_parents(tmp_path / "runs", "trial") == [sweep] * 4


def test_a_child_that_another_thread_forks_has_the_current_run(start, tmp_path):
    """As a worker that replaces one of a pool (`maxtasksperchild`)."""
    ended = []

    def fork():
        if not (child := os.fork()):
            for _ in range(2):
                with start("child"):
                    pass
            os._exit(runstore.current_run() is not run)
        ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    with start("parent") as run:
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()

    assert ended == [0]
    with runstore.Store.open(tmp_path / "runs") as store:
        assert [one.parent_uid for one in store.list("child")] == [run.uid] * 2


def test_what_the_environment_said_before_is_said_again(start, monkeypatch):
    monkeypatch.setenv(PARENT_VARIABLE, "0198c0de-0000-7000-8000-000000000001")
    run = start("fit")
    said = os.environ[PARENT_VARIABLE]
    run.finish()

    assert (said, parent_of(run)) == (run.uid, "0198c0de-0000-7000-8000-000000000001")
    assert os.environ[PARENT_VARIABLE] == "0198c0de-0000-7000-8000-000000000001"
    monkeypatch.delenv(PARENT_VARIABLE)


def test_a_decorator_leaves_no_run_behind(start):
    start("fit")(print)

    assert runstore.current_run() is None
