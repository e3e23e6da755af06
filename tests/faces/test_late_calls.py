"""What a program does while its interpreter is shut down is done, and not in vain."""

import subprocess
import sys

import pytest

from places import place, store_at
from runstore import Status

BEGIN = """
import atexit, sys, weakref
class Last:
    def __init__(self, work): self.work, self.itself = work, self
    def __del__(self): self.work()
def late():
    run.log(a=1.0); run.log_points("b", [1.0, 2.0])
"""
START = "import runstore\nrun = runstore.start_run('x', store=sys.argv[1], capture=False)\n"
LOGS = START + "run.log(a=0.0)\n"
PROGRAMS = {
    "a finalizer after the end": LOGS + "run.finish()\nlast = Last(late)",
    "a finalizer of a block": LOGS + "with run: pass\nlast = Last(late)",
    "a finalizer after nothing": LOGS + "last = Last(late)",
    "the end of the interpreter": "atexit.register(late)\n" + LOGS + "run.finish()",
    "the end of an object": "weakref.finalize(Last, late)\n" + LOGS + "run.finish()",
    "the end of an open run": "atexit.register(late)\n" + LOGS,
    "the end of a run of the process": (
        "atexit.register(late)\n" + LOGS + "run.ends_with_process = True"
    ),
    "a late finish": "atexit.register(lambda: (late(), run.finish()))\n" + LOGS,
}


def python(code, folder, *arguments):
    (folder / "program.py").write_text(code)
    return subprocess.run(
        [sys.executable, "program.py", place(folder / "store"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_logged_at_last_is_kept(tmp_path, program):
    ended = python(BEGIN + PROGRAMS[program], tmp_path)

    is_open = program in {"a finalizer after nothing", "the end of an open run"}
    assert "Traceback" not in ended.stderr
    with store_at(tmp_path / "store") as store:
        run = store.get("x#1")
        assert run.status is (Status.LOST if is_open else Status.COMPLETE)
        assert list(run.metric("a").values) == [0.0, 1.0]
        assert list(run.metric("b").values) == [1.0, 2.0]


@pytest.mark.parametrize("end", ["run.finish('error')", "run.finish('interrupted')"])
def test_what_cannot_be_kept_any_more_is_said(tmp_path, end):
    ended = python(BEGIN + LOGS + end + "\nlast = Last(late)", tmp_path)

    assert "has ended; nothing more is logged" in ended.stderr


def test_a_finalizer_that_finishes_a_run_too_late_is_heard_of(tmp_path):
    """Hardly anything works then; what it logged before is kept all the same."""
    ended = python(BEGIN + LOGS + "last = Last(lambda: (late(), run.finish()))", tmp_path)

    with store_at(tmp_path / "store") as store:
        run = store.get("x#1")
        assert run.status is Status.COMPLETE or "Exception ignored" in ended.stderr
        assert list(run.metric("a").values) == [0.0, 1.0]


def test_a_first_point_at_last_is_said_or_kept(tmp_path):
    """Nothing can be loaded then; a run that was open has loaded it before."""
    opened = python(BEGIN + START + "last = Last(late)", tmp_path)
    ended = python(BEGIN + START + "run.finish()\nlast = Last(late)", tmp_path)

    assert "without finishing x_1" in opened.stderr
    assert "Points of x_2" in ended.stderr
    with store_at(tmp_path / "store") as store:
        assert list(store.get("x#1").metric("a").values) == [1.0]


@pytest.mark.parametrize("end", ["run.finish()", "", "run.ends_with_process = True"])
def test_objects_of_the_program_are_finalized_as_without_a_run(tmp_path, end):
    """Files that nobody closed are flushed, and finalizers called."""
    code = (
        "last = Last(lambda write=sys.stdout.write: write('finalized'))\n"
        "file = open(sys.argv[2], 'w'); file.write('unflushed')\n"
    )

    ended = python(BEGIN + START + code + end, tmp_path, tmp_path / "file")

    assert ended.stdout == "finalized"
    assert (tmp_path / "file").read_text() == "unflushed"
