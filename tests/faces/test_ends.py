"""How a run ends is written once, and is what happened, whatever ends its program."""

import asyncio
import contextlib
import contextvars
import gc
import signal
import subprocess
import sys
import textwrap
import threading
from functools import partial

import pytest

import runstore
from commands import python
from places import store_at
from runstore import StoreWarning
from runstore.errors import UsageError
from runstore.recording.outcome import exit_status, status_of
from threads import at_once

PLAIN = "run = runstore.start_run('x', capture=False)\nrun.log(a=1.0)\n"
DEEPER = (
    "def start(): return runstore.start_run('x', capture=False)\n"
    "def deeper(calls): return deeper(calls - 1) if calls else start()\n"
)
BLOCK = "with runstore.start_run('x', capture=False) as run:\n    run.log(a=1.0)\n    "


STRICT = "import warnings; warnings.simplefilter('error')\n"


def ended(folder, code):
    """Run a program; return its run's status, exit status and error, and its own exit status."""
    program = "import asyncio, os, signal, sys, threading, time, runstore\n" + textwrap.dedent(
        code
    )
    done = python("-c", program, cwd=folder)
    with store_at(folder / ".runstore") as store:
        run = store.get("x#-1")
    return run.status.value, run.exit_code, run.error, done.returncode


@pytest.mark.parametrize("start", [PLAIN, BLOCK], ids=["plain", "block"])
@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        ("sys.exit()", "complete", 0),
        ("sys.exit(0)", "complete", 0),
        ("sys.exit(False)", "complete", 0),
        ("sys.exit(3)", "error", 3),
        ("exit(4)", "error", 4),
        ("sys.exit('')", "error", 1),
        ("sys.exit([])", "error", 1),
        ("sys.exit(0.0)", "error", 1),
        ("sys.exit(-1)", "error", 255),
        ("sys.exit(2**70)", "error", 255),
        ("sys.exit('failed')", "error", 1),
    ],
)
def test_calls_of_exit(tmp_path, start, call, status, code):
    found = ended(tmp_path, start + call)

    assert found[:2] == (status, code)
    assert found[3] == code


def test_exit_statuses_are_those_of_the_process():
    for code in (None, 0, 1, True, 255, 256, 257, -1, -256, 2**31, 2**63 - 1, "text", b"", 1.5):
        process = subprocess.run(
            [sys.executable, "-c", f"import sys; sys.exit({code!r})"],
            check=False, stderr=subprocess.DEVNULL,
        )  # fmt: skip

        assert exit_status(code) == process.returncode, code


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("def main():\n    run = runstore.start_run('x', capture=False)\nmain()", "lost"),
        (PLAIN + "run.ends_with_process = True; del run", "complete"),
        (PLAIN + "run.ends_with_process = True; 1/0", "error"),
        (PLAIN + "run.ends_with_process = True; raise SystemExit(3)", "lost"),
        (PLAIN + "run.finish(); run.log(a=2.0)", "complete"),
        (PLAIN + "t = threading.Thread(target=exit, args=[3]); t.start(); t.join()", "lost"),
        (PLAIN + "1/0", "error"),
        (PLAIN + "raise KeyboardInterrupt", "interrupted"),
        (PLAIN + "try: sys.exit(3)\nexcept SystemExit: pass\nsys.exit(0)", "complete"),
        (PLAIN + "try: sys.exit(3)\nexcept SystemExit: pass", "lost"),
        (PLAIN + "def f():\n  try: exit(3)\n  except SystemExit: pass\nf()", "lost"),
        (PLAIN + "try: sys.exit(3)\nexcept SystemExit: raise", "error"),
        (PLAIN + "def f():\n  try: sys.exit(3)\n  finally: print()\nf()", "error"),
        (PLAIN + "with open(os.devnull): sys.exit(3)", "error"),
        (PLAIN + "import argparse; argparse.ArgumentParser().error('no')", "error"),
        (PLAIN + "raise SystemExit(3)", "lost"),
        # A run started in fewer or more calls than the one before it.
        (DEEPER + "deeper(9).finish(); run = start(); sys.exit(3)", "error"),
        (DEEPER + "deeper(9).finish(); run = start()\ntry: sys.exit(3)\nexcept: pass", "lost"),
        (DEEPER + "start().finish(); run = deeper(9); sys.exit(3)", "error"),
        (DEEPER + "start().finish(); run = deeper(9)\ntry: sys.exit(3)\nexcept: pass", "lost"),
        (BLOCK + "raise BaseExceptionGroup('g', [KeyboardInterrupt()])", "interrupted"),
        (BLOCK + "raise ExceptionGroup('g', [ValueError(), TypeError()])", "error"),
    ],
)  # fmt: skip
def test_what_happened_is_what_is_written(tmp_path, code, status):
    if "Group" in code and sys.version_info < (3, 11):
        pytest.skip("groups of exceptions came with Python 3.11")

    assert ended(tmp_path, code)[0] == status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_interrupt_asyncio_programs(tmp_path, number):
    code = """
        async def main():
            with runstore.start_run("x", capture=False):
                asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), %d)
                await asyncio.sleep(30)
        asyncio.run(main())
    """

    status, exit_code, error, _ = ended(tmp_path, code % number)

    assert (status, error) == ("interrupted", None)
    assert exit_code == (143 if number == signal.SIGTERM else None)


def test_a_worker_of_multiprocessing_ends_its_runs(tmp_path):
    (tmp_path / "worker.py").write_text(
        "import sys, multiprocessing, runstore\n"
        "def work(how):\n"
        "    run = runstore.start_run(how, capture=False)\n"
        "    if how == 'fails': 1 / 0\n"
        "    if how == 'exits': sys.exit(3)\n"
        "if __name__ == '__main__':\n"
        "    for way in ('spawn', 'fork'):\n"
        "        for how in ('returns', 'fails', 'exits'):\n"
        "            one = multiprocessing.get_context(way).Process(target=work, args=(how,))\n"
        "            one.start(); one.join()\n"
    )

    subprocess.run(
        [sys.executable, "-W", "ignore", "worker.py"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip

    with store_at(tmp_path / ".runstore") as store:
        found = {
            (f"{run.experiment_name}_{run.run_number}", run.status.value) for run in store.find()
        }
    assert found == {
        ("returns_1", "complete"), ("returns_2", "complete"), ("fails_1", "error"),
        ("fails_2", "error"), ("exits_1", "error"), ("exits_2", "error"),
    }  # fmt: skip


INTERRUPTED_END = """
    from runstore.recording.recorder import Recorder
    whole = Recorder.write_ending
    def interrupted(*arguments, **more):
        Recorder.write_ending = whole
        if {after}: whole(*arguments, **more)
        signal.raise_signal(signal.SIGINT)
        return whole(*arguments, **more)
    Recorder.write_ending = interrupted
    run = runstore.start_run("x", capture=False)
    run.log(a=1.0)
    try:
        run.finish("error", error="first")
    except KeyboardInterrupt:
        {then}
"""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("then", ["run.finish()", "raise", "pass"])
def test_an_end_that_is_interrupted_is_written_all_the_same(tmp_path, after, then):
    """Another Ctrl-C comes while the end is written; the end that came first counts."""
    code = textwrap.dedent(INTERRUPTED_END.format(after=after, then=then))

    status, _, error, _ = ended(tmp_path, f"{STRICT}{code}")

    assert (status, error) == ("error", "first")


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "runs") as opened:
        yield opened


def begun(store, name="x"):
    return store.start(name, capture=False)


@pytest.fixture
def run(store):
    return begun(store)


def test_a_block_may_be_left_in_another_thread(store):
    stack = contextlib.ExitStack()
    thread = threading.Thread(target=lambda: stack.enter_context(begun(store)))
    thread.start()
    thread.join()

    stack.close()

    assert store.get("x#1").status.value == "complete"


def test_a_generator_may_be_resumed_in_another_context(store):
    def fixture():
        with begun(store):
            yield
            raise KeyError("mine")

    generator = fixture()
    contextvars.copy_context().run(next, generator)

    with pytest.raises(KeyError, match="mine"):
        contextvars.copy_context().run(next, generator)

    assert (store.get("x#1").status.value, runstore.current_run()) == ("error", None)


def test_a_second_end_changes_nothing_and_says_so(run):
    run.finish("error", error="first")

    with pytest.warns(StoreWarning, match="has already ended, as error"):
        run.finish()

    assert (run.record.status.value, run.record.error) == ("error", "first")


def test_two_threads_end_a_run_once(run):
    barrier = threading.Barrier(4)

    def end(status):
        barrier.wait()
        with contextlib.suppress(Warning):
            run.finish(status)

    at_once([partial(end, one) for one in ("complete", "error") * 2])

    assert run.record.status.value == run.status.value


def test_an_error_within_an_except_block_has_its_traceback(run):
    try:
        int("the reason")
    except ValueError:
        run.finish("error")

    assert run.record.error == "ValueError: invalid literal for int() with base 10: 'the reason'"
    assert "test_an_error_within_an_except_block" in run.record.traceback


class _FromDataError(Exception):
    def __getattr__(self, name):
        return {}[name]


class _LazyExceptionsError(Exception):
    @property
    def exceptions(self):
        raise ValueError("not loaded")


class _LazyNotesError(Exception):
    @property
    def __notes__(self):
        raise ValueError("not loaded")


class _WithoutTruthError(Exception):
    def __bool__(self):
        raise ValueError("neither")


@pytest.mark.parametrize(
    "kind", [_FromDataError, _LazyExceptionsError, _LazyNotesError, _WithoutTruthError]
)
def test_an_exception_whose_attributes_raise_is_recorded_and_raised(run, kind):
    error = kind("the reason")

    with pytest.raises(Exception) as left, run:  # noqa: PT011 - of the kinds above, or another
        raise error

    assert left.value is error
    assert run.record.status.value == "error"
    # Python 3.13 adds a line about notes that cannot be read.
    assert run.record.error.splitlines()[0].endswith(f"{kind.__name__}: the reason")
    assert "test_an_exception_whose_attributes_raise" in run.record.traceback


class Unreadable:
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"error": ValueError("it")}, "ValueError: it"),
        ({"error": SystemExit("stop")}, "SystemExit: stop"),
        ({"error": KeyboardInterrupt()}, "KeyboardInterrupt"),
        ({"error": 7}, "7"),
        ({"error": Unreadable()}, "<Unreadable>"),
        ({"error": "t", "exit_code": "3"}, "t"),
        ({"error": "t", "exit_code": 2**80}, "t"),
        ({"error": "t", "traceback": 3}, "t"),
    ],
)
def test_an_end_is_written_whatever_its_parts_are(options, error, run):
    run.finish("error", **options)

    assert (run.record.status.value, run.record.error) == ("error", error)


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"error": ValueError("it")}, "error", 1),
        ({"error": "it"}, "error", 1),
        ({"error": ""}, "error", 1),
        ({"traceback": "File x"}, "error", 1),
        ({"exit_code": 3}, "error", 3),
        ({"exit_code": "3"}, "error", 3),
        ({"error": KeyboardInterrupt()}, "interrupted", None),
        ({"error": SystemExit(0)}, "complete", 0),
        ({"exit_code": 0}, "complete", 0),
        ({"error": None}, "complete", 0),
    ],
)
def test_an_end_without_a_status_goes_by_its_other_parts(options, status, code, run):
    run.finish(**options)

    assert (run.record.status.value, run.record.exit_code) == (status, code)


def test_of_an_endless_error_both_ends_are_kept_without_secrets(store, run):
    """An exception can quote a whole response, which nobody could read or search later."""
    secret = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
    body = f"{secret} and more " * 40_000

    with contextlib.suppress(ValueError), run:
        raise ValueError(f"Bad response: {body}: no JSON")

    kept = store.get(run.uid)
    assert kept.error.startswith("ValueError: Bad response: *** and more *** and")
    assert f"the middle of {len(body) + 35:,} characters was not kept" in kept.error
    assert kept.error.endswith("*** and more : no JSON")
    assert kept.traceback.startswith("Traceback")
    assert kept.traceback.endswith(": no JSON\n")
    assert not any(secret[at : at + 6] in kept.error + kept.traceback for at in range(30))
    assert store.find("error contains 'Bad response' and traceback contains 'no JSON'").items


def test_an_exit_status_that_is_no_number_is_said(run):
    with pytest.warns(StoreWarning, match="exit status"):
        run.finish("error", error="t", exit_code="many")

    assert run.record.exit_code == 1


def test_a_status_that_is_no_end_changes_nothing(run):
    with pytest.raises(UsageError):
        run.finish("done")

    run.finish()
    assert run.record.status.value == "complete"


class TrialPruned(Exception):  # noqa: N818 - as Optuna calls it
    """What Optuna's own class looks like from outside."""

    __module__ = "optuna.exceptions"


class NotPromising(TrialPruned):
    __module__ = "my_training"


@pytest.mark.parametrize("kind", [TrialPruned, NotPromising])
def test_a_trial_that_is_pruned_goes_on_its_way(store, kind):
    @runstore.start_run("decorated", store=store, capture=False)
    def decorated():
        raise kind("at epoch 3")

    with pytest.raises(kind, match="at epoch 3"):
        decorated()
    with pytest.raises(kind), runstore.start_run("block", store=store, capture=False) as run:
        run.log(loss=1.0)
        raise kind("at epoch 3")

    for name in ("decorated#1", "block#1"):
        kept = store.get(name)
        assert (kept.status.value, kept.exit_code) == ("pruned", 0)
        assert (kept.error, kept.traceback) == (None, None)
    assert store.get("block#1").metrics["loss"].count == 1
    assert [run.reference for run in store.find("status = pruned and exit_code = 0")] == [
        store.get("block#1").reference, store.get("decorated#1").reference,
    ]  # fmt: skip


def test_an_end_with_the_pruning_itself_is_pruned(run):
    run.finish(error=TrialPruned("not promising"))

    assert run.record.status.value == "pruned"


def test_the_reason_of_a_pruned_run_is_kept_if_it_is_given(run):
    run.finish("pruned", error=TrialPruned("at epoch 3"))

    assert run.record.status.value == "pruned"
    assert run.record.error == "optuna.exceptions.TrialPruned: at epoch 3"


def test_only_a_pruning_is_pruned():
    namesake = type("TrialPruned", (Exception,), {"__module__": "mine"})
    caused = ValueError()
    caused.__cause__ = TrialPruned()

    assert status_of(namesake()).value == "error"
    assert status_of(caused).value == "error"
    assert status_of(TrialPruned()).value == "pruned"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with Python 3.11")
def test_a_group_is_pruned_if_all_that_it_holds_is():
    group = ExceptionGroup  # noqa: F821 - not in every Python  # type: ignore[name-defined]

    nested = group("g", [TrialPruned(), group("h", [NotPromising()])])

    assert status_of(nested).value == "pruned"
    assert status_of(group("g", [TrialPruned(), ValueError()])).value == "error"


def test_a_program_that_a_pruning_ends(tmp_path):
    code = """
        run = runstore.start_run("x", capture=False)
        class TrialPruned(Exception): pass
        TrialPruned.__module__ = "optuna.exceptions"
        raise TrialPruned("at epoch 3")
    """

    assert ended(tmp_path, code) == ("pruned", 0, None, 1)


def test_a_pruned_run_is_not_continued_by_logging(run):
    run.finish("pruned")

    with pytest.warns(StoreWarning):
        run.log(loss=1.0)

    assert run.record.status.value == "pruned"


def test_cancelled_tasks_and_closed_generators():
    assert status_of(asyncio.CancelledError()).value == "interrupted"
    assert status_of(GeneratorExit()).value == "complete"
    assert status_of(TimeoutError()).value == "error"


class TestDecorated:
    """Each call is a run, from the first line of the body to its last."""

    def begin(self, store, name):
        return runstore.start_run(name, store=store, capture=False)

    def test_a_coroutine(self, store):
        @self.begin(store, "x")
        async def train(a, *, b):
            await asyncio.sleep(0)
            assert runstore.current_run().record.status.value == "running"
            return a + b

        assert asyncio.run(train(1, b=2)) == 3
        assert store.get("x#1").status.value == "complete"

    def test_a_generator_gets_what_is_sent_and_thrown(self, store):
        @self.begin(store, "x")
        def steps():
            got = yield 1
            try:
                yield got
            except ValueError:
                yield "caught"
            return "end"

        generator = steps()
        assert [next(generator), generator.send("sent"), generator.throw(ValueError())] == [
            1, "sent", "caught",
        ]  # fmt: skip
        assert store.get("x#1").status.value == "running"
        with pytest.raises(StopIteration) as stopped:
            next(generator)
        assert (stopped.value.value, store.get("x#1").status.value) == ("end", "complete")

    @pytest.mark.parametrize("is_asynchronous", [False, True])
    def test_a_generator_that_fails(self, store, is_asynchronous):
        if is_asynchronous:

            @self.begin(store, "x")
            async def steps():
                got = yield 1
                assert got == "sent"
                try:
                    yield 2
                except ValueError:
                    yield "caught"
                raise KeyError("step 3")

            async def use():
                generator = steps()
                assert await generator.__anext__() == 1
                assert await generator.asend("sent") == 2
                assert await generator.athrow(ValueError()) == "caught"
                await generator.__anext__()

            with pytest.raises(KeyError):
                asyncio.run(use())
        else:

            @self.begin(store, "x")
            def steps():
                yield 1
                raise KeyError("step 2")

            with pytest.raises(KeyError):
                list(steps())

        assert store.get("x#1").status.value == "error"

    def test_an_asynchronous_generator_that_is_closed_early(self, store):
        closed = []

        @self.begin(store, "x")
        async def steps():
            try:
                yield 1
                yield 2
            finally:
                closed.append(True)

        async def use():
            generator = steps()
            await generator.__anext__()
            await generator.aclose()

        asyncio.run(use())

        assert (closed, store.get("x#1").status.value) == ([True], "complete")


AFTER_THE_END = """
    from runstore import background

    class Late:
        def do_with(self, alike):
            while not hasattr(sys, "last_value"):
                time.sleep(0.001)
            exec("1")  # as modules do that are loaded only now

    with runstore.start_run("x", capture=False):
        pass
    background.do_later(Late())
"""


@pytest.mark.parametrize("kind", ["-c", "-m", "file"])
def test_ctrl_c_ends_the_process_by_its_signal(tmp_path, kind):
    """Otherwise, a loop of a shell would go on; Python forgets it for text that is executed."""
    code = "import sys, time, runstore\n" + textwrap.dedent(AFTER_THE_END)
    code += "raise KeyboardInterrupt\n"
    (tmp_path / "endless.py").write_text(code)
    arguments = {"-c": ("-c", code), "-m": ("-m", "endless"), "file": ("endless.py",)}[kind]
    command = [sys.executable, *arguments]

    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True)

    assert done.returncode == -signal.SIGINT, done.stderr


def test_a_ctrl_c_that_the_program_caught_is_not_its_end(tmp_path):
    code = "import sys, time, runstore\n" + textwrap.dedent(AFTER_THE_END)
    code += textwrap.dedent("""
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            sys.last_value = error  # as debuggers note it
    """)

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_nothing_of_ours_is_called_when_ended_runs_are_gone(tmp_path):
    """Python would print what a signal handler raises then, so that a Ctrl-C had no effect."""
    called = []
    of_others = {one.__code__ for one in gc.callbacks if hasattr(one, "__code__")}

    def note(frame, event, _):
        if event == "call" and frame.f_code not in of_others:
            called.append(f"{frame.f_code.co_filename}: {frame.f_code.co_name}")

    with store_at(tmp_path / ".runstore") as store:
        gc.collect()
        for _ in range(2):
            with runstore.start_run("x", store=store, capture=False) as run:
                run.log({"loss": 0.3}, step=1)
        del run
        sys.setprofile(note)
        gc.collect()
        sys.setprofile(None)

    assert called == []


def test_exit_and_quit_are_given_back(tmp_path):
    code = """
        before = (sys.exit, exit, quit)
        run = runstore.start_run("x", capture=False)
        watched = sys.exit
        run.finish()
        assert (sys.exit, exit, quit) == before
        assert watched is not before[0]
    """

    assert ended(tmp_path, code)[0::3] == ("complete", 0)


def test_a_block_that_was_left_in_another_thread_is_no_longer_current(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path))
    stack = contextlib.ExitStack()
    with runstore.start_run("outer", capture=False) as outer:
        stack.enter_context(runstore.start_run("left", capture=False))
        thread = threading.Thread(target=stack.close)
        thread.start()
        thread.join()

        assert runstore.current_run() is outer
        with runstore.start_run("next", capture=False) as following:
            assert following.record.parent_uid == outer.uid
    assert runstore.current_run() is None


def test_blocks_that_are_left_out_of_order_leave_the_other_one_current(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path))
    first = runstore.start_run("first", capture=False).__enter__()
    second = runstore.start_run("second", capture=False).__enter__()

    first.__exit__(None, None, None)
    assert runstore.current_run() is second
    second.__exit__(None, None, None)
    assert runstore.current_run() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_thread_of_ours_meets_the_end_of_the_interpreter(tmp_path):
    """One that has just been started would crash there, up to Python 3.12."""
    code = textwrap.dedent("""
        import atexit, os, time

        def threads():
            return len(os.listdir("/proc/self/task"))

        def last():  # registered first
            deadline = time.monotonic() + 10
            # A thread of the system ends a moment after its work.
            while threads() > 1 and time.monotonic() < deadline:
                time.sleep(0.001)
            print("threads", threads())

        atexit.register(last)
        import runstore
        run = runstore.start_run("x", store="store", capture=False)
        run.log(a=1.0)
        run.finish()
    """)

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stdout == "threads 1\n"
