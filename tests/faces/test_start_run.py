"""start_run as context manager, decorator and plain object, as a user's script sees it."""

import _thread
import os
import signal
import subprocess
import sys
import time

import pytest

import runstore
from command_server import Program
from commands import but_the_first_line, python
from places import store_at
from runstore import Status
from runstore.capture.program import decorators
from runstore.errors import ConflictError, UsageError


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "store") as opened:
        yield opened


def script(tmp_path, text, *, wait=True):
    """Run a user's script beside a store of its own; return the process and what it printed."""
    path = tmp_path / "train.py"
    path.write_text("import runstore, sys, os, time\n" + text)
    if wait:
        ended = python(str(path), cwd=tmp_path)
        return ended.returncode, ended.stdout, ended.stderr
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def only_run(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        (run,) = store.list()
        return run


class TestContextManager:
    def test_leaving_the_block_completes_the_run(self, store):
        with runstore.start_run("m", store=store, params={"lr": 1}, capture=False) as run:
            assert run.record.status is Status.RUNNING
            assert runstore.current_run() is run

        assert runstore.current_run() is None
        assert store.get(run.uid).status is Status.COMPLETE
        assert store.get(run.uid).exit_code == 0

    def test_an_exception_is_recorded_and_goes_on(self, store):
        with (
            pytest.raises(ZeroDivisionError),
            runstore.start_run("m", store=store, capture=False) as run,
        ):
            1 / 0  # noqa: B018 - it is there to fail

        kept = store.get(run.uid)
        assert (kept.status, kept.exit_code) == (Status.ERROR, 1)
        assert kept.error == "ZeroDivisionError: division by zero"
        assert "1 / 0" in kept.traceback

    @pytest.mark.parametrize(
        ("raised", "status", "code"),
        [
            (KeyboardInterrupt(), Status.INTERRUPTED, 130),
            (SystemExit(), Status.COMPLETE, 0),
            (SystemExit(0), Status.COMPLETE, 0),
            (SystemExit(3), Status.ERROR, 3),
            (SystemExit("no data"), Status.ERROR, 1),
        ],
    )
    def test_each_way_out_has_its_status(self, store, raised, status, code):
        with (
            pytest.raises(type(raised)),
            runstore.start_run("m", store=store, capture=False) as run,
        ):
            raise raised

        kept = store.get(run.uid)
        assert (kept.status, kept.exit_code) == (status, code)

    def test_a_run_may_be_finished_inside_its_block(self, store):
        with runstore.start_run("m", store=store, capture=False) as run:
            run.finish("error", error="not good enough")

        assert store.get(run.uid).error == "not good enough"
        with pytest.raises(ConflictError), run:
            pass


class TestDecorator:
    def test_each_call_is_a_run_of_its_own(self, store):
        @runstore.start_run("m", store=store, params={"lr": 1}, capture=False)
        def train(x):
            """Train."""
            return x, runstore.current_run().run_number

        assert list(store.list()) == []
        assert [train(5), train(6)] == [(5, 1), (6, 2)]
        assert train.__doc__ == "Train."
        assert [run.status for run in store.list("m")] == [Status.COMPLETE] * 2

    def test_a_decorator_starts_nothing_before_the_call(self, tmp_path, monkeypatch, capsys):
        """No store is opened, whose folder is no folder here."""
        (tmp_path / "file").write_text("no store")
        monkeypatch.setenv("RUNSTORE_URL", str(tmp_path / "file"))
        handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

        class Trainer:
            @runstore.start_run("m")
            def train(self):
                """Train."""

            @staticmethod
            @runstore.start_run("m", if_done="skip")
            async def later():
                """Train."""

        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers
        assert capsys.readouterr() == ("", "")
        with pytest.raises((runstore.RunstoreError, OSError)):
            Trainer().train()

    def test_a_python_of_other_bytecode_starts_a_run_and_removes_it(self, store, monkeypatch):
        def refuse(*_arguments, **_options):
            raise ValueError("invalid opcode or oparg")

        decorators._steps.cache_clear()
        monkeypatch.setattr(decorators.opcode, "stack_effect", refuse)

        @runstore.start_run("m", store=store, capture=False)
        def train():
            return runstore.current_run().run_number

        assert list(store.list()) == []
        assert [train(), train()] == [1, 2]

    def test_a_thread_may_begin_with_it(self, store):
        """There is no calling frame then."""
        deadline = time.monotonic() + 60

        _thread.start_new_thread(runstore.start_run, ("m",), {"store": store, "capture": False})
        while not store.list() and time.monotonic() < deadline:
            time.sleep(0.01)

        assert [run.run_number for run in store.list("m")] == [1]

    def test_a_run_that_decorates_later_is_removed_without_a_trace(self, store, capsys):
        run = runstore.start_run("m", store=store, capture=False, params={"lr": 1}, tags=["a"])

        @run
        def train():
            return runstore.current_run().run_number

        assert (runstore.current_run(), list(store.list()), store.experiments()) == (None, [], ())
        assert capsys.readouterr().out == ""
        assert train() == 1

    def test_a_failing_call_is_recorded(self, store):
        @runstore.start_run("m", store=store, capture=False)
        def train():
            raise ValueError("bad")

        with pytest.raises(ValueError, match="bad"):
            train()

        assert store.get("m#1").status is Status.ERROR


class TestResuming:
    def test_start_run_resumes_by_any_name(self, store):
        with runstore.start_run("m", store=store, capture=False) as first:
            pass
        with runstore.start_run(resume="m#1", store=store) as again:
            assert again.reference == first.reference

        assert store.get("m#1").status is Status.COMPLETE

    @pytest.mark.parametrize("options", [{}, {"experiment_name": "m", "resume": "m#1"}])
    def test_a_name_or_a_run_to_resume_is_needed(self, store, options):
        with pytest.raises(UsageError):
            runstore.start_run(store=store, **options)


class TestScripts:
    @pytest.mark.folder_only("finds the folder")
    def test_a_script_finds_the_store_of_its_folder(self, tmp_path):
        code, _, err = script(tmp_path, "with runstore.start_run('m') as run: pass\n")

        assert (code, but_the_first_line(err)) == (0, "")
        kept = only_run(tmp_path)
        assert kept.status is Status.COMPLETE
        assert "train.py" in kept.cli
        assert (tmp_path / ".runstore" / ".gitignore").read_text() == "*\n"

    def test_an_unhandled_exception_ends_a_plain_run(self, tmp_path):
        code, _, err = script(tmp_path, "run = runstore.start_run('m')\nraise ValueError('bad')\n")

        kept = only_run(tmp_path)
        assert code == 1
        assert "ValueError: bad" in err
        assert (kept.status, kept.error) == (Status.ERROR, "ValueError: bad")

    def test_a_run_that_nobody_ended_is_lost_and_that_is_said(self, tmp_path):
        code, _, err = script(tmp_path, "run = runstore.start_run('m')\n")

        assert code == 0
        assert "without finishing m_1" in err
        assert only_run(tmp_path).status is Status.LOST

    def test_a_run_can_end_with_its_process(self, tmp_path):
        code, _, err = script(
            tmp_path, "run = runstore.start_run('m')\nrun.ends_with_process = True\n"
        )

        assert (code, but_the_first_line(err)) == (0, "")
        kept = only_run(tmp_path)
        assert (kept.status, kept.exit_code) == (Status.COMPLETE, 0)

    @pytest.mark.parametrize(
        "form", ["with runstore.start_run('m') as run:", "if run := runstore.start_run('m'):"]
    )
    @pytest.mark.parametrize(
        ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, None)], ids=["term", "int"]
    )
    def test_signals_interrupt_the_run(self, tmp_path, form, number, code):
        # Python itself sleeps on when a signal comes in the moment before its system call.
        briefly = "print('up', flush=True)\n    for _ in range(600): time.sleep(0.1)\n"
        process = Program(f"import runstore, time\n{form}\n    {briefly}", cwd=tmp_path)
        process.stdout.readline()
        os.kill(process.pid, number)
        process.wait()

        kept = only_run(tmp_path)
        assert kept.status is Status.INTERRUPTED
        assert kept.ended_at is not None
        assert code is None or process.returncode == code

    def test_a_signal_handler_of_the_user_stays(self, tmp_path):
        text = (
            "import signal\n"
            "signal.signal(signal.SIGTERM, lambda *_: print('mine', flush=True))\n"
            "with runstore.start_run('m') as run:\n"
            "    os.kill(os.getpid(), signal.SIGTERM)\n"
        )

        code, out, _ = script(tmp_path, text)

        assert (code, out) == (0, "mine\n")
        assert only_run(tmp_path).status is Status.COMPLETE

    def test_a_forked_child_leaves_the_run_of_its_parent_alone(self, tmp_path):
        # A fork waits a second for the capture; on a busy machine Python may then warn of it.
        text = (
            "with runstore.start_run('m', capture=False) as run:\n"
            "    if os.fork() == 0:\n"
            "        sys.exit(3)\n"
            "    os.wait()\n"
        )

        code, _, err = script(tmp_path, text)

        assert (code, but_the_first_line(err)) == (0, "")
        assert only_run(tmp_path).status is Status.COMPLETE

    def test_a_killed_run_is_lost_at_the_next_read(self, tmp_path):
        process = script(
            tmp_path,
            "with runstore.start_run('m') as run:\n"
            "    print('up', flush=True)\n"
            "    time.sleep(60)\n",
            wait=False,
        )
        process.stdout.readline()
        with store_at(tmp_path / ".runstore") as store:
            alive = store.get("latest").status
            process.kill()
            # Not reaped yet: a zombie is dead, too.
            deadline = time.monotonic() + 20
            while store.get("latest").status is Status.RUNNING and time.monotonic() < deadline:
                time.sleep(0.01)
            kept = store.get("latest")
        process.communicate()

        assert alive is Status.RUNNING
        assert kept.status is Status.LOST
        assert kept.started_at <= kept.ended_at

    def test_a_child_process_knows_its_parent_run(self, tmp_path):
        text = (
            "import subprocess\n"
            "with runstore.start_run('outer') as run:\n"
            "    env = {**os.environ, 'RUNSTORE_PARENT': run.uid}\n"
            "    code = 'import runstore\\nwith runstore.start_run(\"inner\"): pass'\n"
            "    subprocess.run([sys.executable, '-c', code], env=env, check=True)\n"
        )

        script(tmp_path, text)

        with store_at(tmp_path / ".runstore") as store:
            assert store.get("inner#1").parent_uid == store.get("outer#1").uid
