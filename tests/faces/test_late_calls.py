"""What a program does while its interpreter is shut down is done, and not in vain."""

import pytest

from commands import to_the_end
from places import store_at
from runstore import Status

pytestmark = pytest.mark.usefixtures("named_store")

BEGIN = """
import atexit, sys, weakref
class Last:
    def __init__(self, work): self.work, self.itself = work, self
    def __del__(self): self.work()
def late():
    run.log(a=1.0); run.log_points("b", [1.0, 2.0])
"""
START = "import runstore\nrun = runstore.start_run('x', capture=False)\n"
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


def test_what_is_logged_at_last_is_kept(tmp_path):
    ended = to_the_end(*(BEGIN + one for one in PROGRAMS.values()), cwd=tmp_path)

    with store_at(tmp_path / "store") as store:
        for number, (program, (_, said)) in enumerate(zip(PROGRAMS, ended, strict=True), 1):
            is_open = program in {"a finalizer after nothing", "the end of an open run"}
            run = store.get(f"x#{number}")
            assert "Traceback" not in said, program
            assert run.status is (Status.LOST if is_open else Status.COMPLETE), program
            assert list(run.metric("a").values) == [0.0, 1.0], program
            assert list(run.metric("b").values) == [1.0, 2.0], program


def test_what_cannot_be_kept_any_more_is_said(tmp_path):
    ends = ("run.finish('error')", "run.finish('interrupted')")

    ended = to_the_end(*(f"{BEGIN}{LOGS}{end}\nlast = Last(late)" for end in ends), cwd=tmp_path)

    assert all("has ended; nothing more is logged" in said for _, said in ended)


def test_a_finalizer_that_finishes_a_run_too_late_is_heard_of(tmp_path):
    """Hardly anything works then; what it logged before is kept all the same."""
    code = BEGIN + LOGS + "last = Last(lambda: (late(), run.finish()))"
    ((_, said),) = to_the_end(code, cwd=tmp_path)

    with store_at(tmp_path / "store") as store:
        run = store.get("x#1")
        assert run.status is Status.COMPLETE or "Exception ignored" in said
        assert list(run.metric("a").values) == [0.0, 1.0]


def test_a_first_point_at_last_is_said_or_kept(tmp_path):
    """Nothing can be loaded then; a run that was open has loaded it before."""
    (_, opened), (_, ended) = to_the_end(
        BEGIN + START + "last = Last(late)",
        BEGIN + START + "run.finish()\nlast = Last(late)",
        cwd=tmp_path,
    )

    assert "without finishing x_1" in opened
    assert "Points of x_2" in ended
    with store_at(tmp_path / "store") as store:
        assert list(store.get("x#1").metric("a").values) == [1.0]


def test_the_folder_of_a_store_is_known_at_last(tmp_path):
    code = "store = runstore.Store.open(); write = sys.stdout.write\n"
    ((shown, _),) = to_the_end(
        BEGIN + START + code + "last = Last(lambda: write(store.path.name))", cwd=tmp_path
    )

    with store_at(tmp_path / "store") as store:
        assert shown == store.path.name


def test_objects_of_the_program_are_finalized_as_without_a_run(tmp_path):
    """Files that nobody closed are flushed, and finalizers called."""
    code = (
        "last = Last(lambda write=sys.stdout.write: write('finalized'))\n"
        "file = open(f'{run.run_number}', 'w'); file.write('unflushed')\n"
    )
    ends = ("run.finish()", "", "run.ends_with_process = True")

    ended = to_the_end(*(BEGIN + START + code + end for end in ends), cwd=tmp_path)

    assert [shown for shown, _ in ended] == ["finalized"] * 3
    assert [(tmp_path / str(number)).read_text() for number in (1, 2, 3)] == ["unflushed"] * 3
