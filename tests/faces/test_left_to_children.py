"""Runs whose process ends and leaves them to a child, as daemons do."""

import time

import pytest

from command_server import Program
from places import place, store_at
from runstore import Status

# Standard output is open until the last child has ended, and so is waited for.
BEGIN = """
import os, signal, sys, time, runstore
store = runstore.Store.open(sys.argv[1])
run = store.start("daemon", capture=False)
run.log(a=0.0)
def leave(how):
    parent = os.getpid()
    if os.fork() > 0: how()
    while os.getppid() == parent: time.sleep(0.005)
def exits(): os._exit(0)
def is_killed(): os.kill(os.getpid(), signal.SIGKILL)
def daemon():
    leave(exits); os.setsid(); leave(exits)
    os.closerange(3, 256); os.chdir("/")
"""
WORK = "run.log(a=1.0); run.tags['child'] = '1'; run.save('f', b'1')\n"
PROGRAMS = {
    "finish": ("leave(exits)\n" + WORK + "run.finish()", Status.COMPLETE),
    "finish after a kill": ("leave(is_killed)\n" + WORK + "run.finish()", Status.COMPLETE),
    "daemon": ("daemon()\n" + WORK + "run.finish()", Status.COMPLETE),
    "block": ("with run:\n  leave(exits)\n  " + WORK, Status.COMPLETE),
    "error": ("with run:\n  leave(exits)\n  " + WORK + "  raise ValueError('boom')", Status.ERROR),
    "end of the process": ("run.ends_with_process = True; leave(exits)\n" + WORK, Status.COMPLETE),
    "exit": ("daemon()\n" + WORK + "sys.exit(3)", Status.ERROR),
    "nothing": ("leave(exits)\n" + WORK, Status.LOST),
    "a second child": ("leave(exits)\n" + WORK + "leave(exits)\nrun.finish()", Status.COMPLETE),
}


def python(code, folder):
    """Run a program until it and its children have ended; return its output and errors."""
    return Program(code, place(folder / "store"), cwd=folder).communicate()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_child_ends_the_run_of_a_parent_that_is_gone(tmp_path, program):
    code, expected = PROGRAMS[program]

    _, errors = python(BEGIN + code, tmp_path)

    assert "StoreWarning" not in errors
    assert ("without finishing daemon_1" in errors) is (expected is Status.LOST)
    with store_at(tmp_path / "store") as store:
        # The last child has closed its files, and may be there for a moment.
        deadline = time.monotonic() + 30
        while (run := store.get("daemon#1")).status is Status.RUNNING:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert run.status is expected
        assert run.tags == {"child": "1"}
        assert list(run.artifacts) == ["f"]
        assert sorted(run.metric("a").values) == [0.0, 1.0]


def test_a_child_ends_the_run_of_a_block_of_the_store(tmp_path):
    code = """if True:
        import os, sys, time, runstore
        with runstore.Store.open(sys.argv[1]) as store:
            store.start("daemon", capture=False)
            parent = os.getpid()
            if os.fork(): os._exit(0)
            while os.getppid() == parent: time.sleep(0.005)
            raise ValueError("boom")
    """

    _, errors = python(code, tmp_path)

    assert "StoreWarning" not in errors
    with store_at(tmp_path / "store") as store:
        assert store.get("daemon#1").status is Status.ERROR


def test_a_child_ends_no_run_of_a_parent_that_lives(tmp_path):
    code = (
        "with run:\n"
        "  child = os.fork()\n"
        "  if child == 0: run.log(a=1.0); run.finish('error'); sys.exit(5)\n"
        "  os.waitpid(child, 0)\n"
        "  assert run.record.status == 'running'"
    )

    _, errors = python(BEGIN + code, tmp_path)

    assert errors == ""
    with store_at(tmp_path / "store") as store:
        assert store.get("daemon#1").status is Status.COMPLETE


def test_a_child_changes_no_end_that_its_parent_has_written(tmp_path):
    code = (
        "def ends(): run.finish('interrupted'); os._exit(0)\n"
        "leave(ends)\n"
        "run.log(a=1.0); run.finish()"
    )

    python(BEGIN + code, tmp_path)

    with store_at(tmp_path / "store") as store:
        assert store.get("daemon#1").status is Status.INTERRUPTED


def test_a_worker_that_outlives_the_program_does_not_complete_its_run(tmp_path):
    """That a worker of multiprocessing ends in order says nothing of what the program did."""
    code = (
        "import multiprocessing\n"
        "run.ends_with_process = True\n"
        "parent = os.getpid()\n"
        "def work():\n"
        "    while os.getppid() == parent: time.sleep(0.005)\n"
        "    run.log(a=1.0); run.execution._points._tend()\n"
        "multiprocessing.get_context('fork').Process(target=work).start()\n"
        "is_killed()"
    )

    python(BEGIN + code, tmp_path)

    with store_at(tmp_path / "store") as store:
        run = store.get("daemon#1")
        assert run.status is Status.LOST
        assert sorted(run.metric("a").values) == [0.0, 1.0]


def test_a_run_goes_on_as_long_as_a_child_logs_to_it(tmp_path):
    """Readers that have found its process gone, and called it lost, see it running again."""
    code = (
        "import subprocess\n"
        "leave(exits)\n"
        "look = [sys.executable, '-m', 'runstore', '--store', sys.argv[1], 'ls', '--json']\n"
        "print(subprocess.run(look, capture_output=True, text=True).stdout)\n"
        "run.log(a=1.0); run.execution._points._tend()\n"
        "print(subprocess.run(look, capture_output=True, text=True).stdout)\n"
        "run.finish()"
    )

    printed, _ = python(BEGIN + code, tmp_path)

    assert printed.index('"lost"') < printed.index('"running"')
    with store_at(tmp_path / "store") as store:
        assert store.get("daemon#1").status is Status.COMPLETE
