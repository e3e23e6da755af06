"""Active runs of a store that is closed: by its block, by an exception, or by `close`."""

import asyncio
import shutil
import signal
from contextlib import ExitStack

import pytest

from commands import python
from places import store_at
from runstore import Status, Store, StoreWarning, start_run
from runstore.errors import RunActiveError
from threads import at_once


def one_run(folder, name="x"):
    with store_at(folder) as store:
        return store.get(f"{name}#1")


class TrialPruned(Exception):  # noqa: N818 - as Optuna calls it
    """Stops a trial."""


TrialPruned.__module__ = "optuna.exceptions"


@pytest.mark.parametrize(
    ("error", "status", "text", "code"),
    [
        (ValueError("boom"), "error", "ValueError: boom", 1),
        (KeyboardInterrupt(), "interrupted", None, 130),
        (asyncio.CancelledError(), "interrupted", None, None),
        (SystemExit(3), "error", "SystemExit: 3", 3),
        (SystemExit(0), "complete", None, 0),
        (TrialPruned(), "pruned", None, 0),
    ],
)
def test_an_exception_ends_the_active_runs(tmp_path, error, status, text, code):
    with pytest.raises(type(error)) as raised, store_at(tmp_path) as store:
        store.start("x", capture=False).log(loss=1.0)
        start_run("y", store=store, capture=False)
        raise error

    assert raised.value is error
    for run in (one_run(tmp_path), one_run(tmp_path, "y")):
        assert (run.status.value, run.error, run.exit_code) == (status, text, code)
        assert ("raise error" in (run.traceback or "")) is (code == 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_active_runs(tmp_path, number):
    code = f"""if True:
        import os, time, runstore
        with runstore.Store.open() as store:
            store.start("x", capture=False)
            os.kill(os.getpid(), {int(number)})
            time.sleep(30)
    """

    python("-c", code, cwd=tmp_path)

    assert one_run(tmp_path / ".runstore").status is Status.INTERRUPTED


def test_the_end_is_recorded_once(tmp_path):
    with pytest.raises(ValueError, match="boom"), store_at(tmp_path) as store:
        run = store.start("x", capture=False)
        raise ValueError("boom")

    with pytest.warns(StoreWarning, match="has already ended, as error"):
        run.finish()
    assert one_run(tmp_path).status is Status.ERROR


def test_a_run_in_a_block_of_its_own_ends_with_that(tmp_path):
    with pytest.raises(ValueError, match="boom"), ExitStack() as stack:
        outer = stack.enter_context(store_at(tmp_path))
        stack.enter_context(outer.start("x", capture=False)).log(loss=1.0)
        raise ValueError("boom")
    store = store_at(tmp_path)
    with pytest.warns(StoreWarning, match="Kept in"), store.start("y", capture=False), store:
        pass

    assert one_run(tmp_path).status is Status.ERROR
    assert one_run(tmp_path, "y").status is Status.COMPLETE


def test_a_run_that_continues_after_its_block_ends_with_the_store(tmp_path):
    with pytest.raises(ValueError, match="boom"), store_at(tmp_path) as store:
        with store.start("x", capture=False) as run:
            pass
        with pytest.warns(StoreWarning, match="it continues"):
            run.log(loss=1.0)
        raise ValueError("boom")

    assert one_run(tmp_path).status is Status.ERROR


@pytest.mark.filterwarnings("ignore:The store .* was closed")
def test_runs_that_were_begun_elsewhere_do_not_end_with_the_block(tmp_path):
    """Neither those of other threads, nor those before the block: others may still use them."""
    runs = []
    store = store_at(tmp_path)
    runs.append(store.start("before", capture=False))
    with pytest.raises(ValueError, match="boom"), store:
        at_once([lambda: runs.append(store.start("thread", capture=False))])
        raise ValueError("boom")

    for run in runs:
        assert one_run(tmp_path, run.experiment_name).status is Status.RUNNING
        run.finish()
        assert one_run(tmp_path, run.experiment_name).status is Status.COMPLETE


@pytest.mark.filterwarnings("ignore:The store .* was closed")
def test_runs_of_other_tasks_do_not_end_with_the_block(tmp_path):
    store = store_at(tmp_path)

    async def fails():
        with pytest.raises(ValueError, match="boom"), store:
            store.start("fails", capture=False)
            await asyncio.sleep(0.02)
            raise ValueError("boom")

    async def continues():
        run = store.start("continues", capture=False)
        await asyncio.sleep(0.04)
        run.finish()

    async def both():
        await asyncio.gather(continues(), fails())

    asyncio.run(both())

    assert one_run(tmp_path, "fails").status is Status.ERROR
    assert one_run(tmp_path, "continues").status is Status.COMPLETE


CLOSED = {
    "an exception": ("atexit.register(store.close); raise ValueError('boom')", Status.ERROR),
    "an exit": ("atexit.register(store.close); sys.exit(3)", Status.ERROR),
    "a finalizer": ("weakref.finalize(run, store.close); sys.exit(3)", Status.ERROR),
    "the end": ("store.close()", Status.COMPLETE),
    "a later error": ("store.close(); raise ValueError('boom')", Status.ERROR),
}


@pytest.mark.parametrize("case", CLOSED)
def test_a_run_of_a_store_that_is_closed_ends_as_its_process(tmp_path, case):
    code, expected = CLOSED[case]
    begin = """if True:
        import atexit, sys, weakref, runstore
        store = runstore.Store.open()
        run = store.start("x", capture=False)
        run.ends_with_process = True
    """

    python("-c", f"{begin}\n{code}", cwd=tmp_path)

    assert one_run(tmp_path / ".runstore").status is expected


def test_a_worker_that_fails_after_it_closed_its_store_fails_its_run(tmp_path):
    code = """if True:
        import multiprocessing, sys, runstore
        def work():
            with runstore.Store.open() as store:
                store.start("x", capture=False)
            sys.exit(9)
        worker = multiprocessing.get_context("fork").Process(target=work)
        worker.start(); worker.join()
    """

    python("-c", code, cwd=tmp_path)

    assert one_run(tmp_path / ".runstore").status is Status.ERROR


def test_a_forked_child_ends_its_own_runs_only(tmp_path):
    code = """if True:
        import os, runstore
        with runstore.Store.open() as store:
            run = store.start("parent", capture=False)
            if os.fork() == 0:
                store.start("child", capture=False)
                raise ValueError("boom")
            os.wait()
            assert run.record.status == "running"
            run.finish()
    """

    ended = python("-c", code, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert one_run(tmp_path / ".runstore", "child").status is Status.ERROR
    assert one_run(tmp_path / ".runstore", "parent").status is Status.COMPLETE


def test_runs_of_another_object_for_the_same_store_continue(tmp_path):
    with store_at(tmp_path) as other:
        run = other.start("x", capture=False)
        with pytest.raises(ValueError, match="boom"), store_at(tmp_path):
            raise ValueError("boom")

        assert run.record.status is Status.RUNNING
        run.finish()


@pytest.mark.folder_only("removes the folder of the store")
@pytest.mark.parametrize("is_run", [True, False])
def test_an_end_that_cannot_be_recorded_hides_no_exception(tmp_path, capsys, is_run):
    """Not even if warnings are errors, which then are printed."""
    store = store_at(tmp_path / "store")

    with pytest.raises(ValueError, match="boom"), ExitStack() as block:
        if not is_run:
            block.enter_context(store)
        run = store.start("x", capture=False)
        if is_run:
            block.enter_context(run)
        shutil.rmtree(store.path)
        raise ValueError("boom")

    assert "Kept in" in capsys.readouterr().err


@pytest.mark.folder_only("locks the database file")
def test_a_second_signal_leaves_the_other_runs_to_the_end_of_the_process(tmp_path):
    code = """if True:
        import os, signal, sqlite3, runstore
        from runstore.recording import live_runs
        from runstore.storage.sqlite import driver
        live_runs.PATIENCE_S = 0.0
        driver.ENGINE_WAITS_S = 0.1  # for which SQLite sees no signal
        def interrupt(*_):
            lock.rollback()
            raise KeyboardInterrupt
        with runstore.Store.open() as store:
            for name in "xy":
                store.start(name, capture=False)
            lock = sqlite3.connect(store.path / "runstore.db")
            lock.execute("BEGIN IMMEDIATE")
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            raise ValueError("boom")
    """

    errors = python("-c", code, cwd=tmp_path).stderr

    assert "boom" in errors
    assert "KeyboardInterrupt" in errors
    ended = [one_run(tmp_path / ".runstore", name) for name in "xy"]
    assert [run.status.value for run in ended] == ["error", "interrupted"]


def test_a_block_without_an_exception_leaves_unfinished_runs_open(tmp_path, capsys):
    """Only those end whose end is that of the process; an interactive session has no end."""
    with store_at(tmp_path) as store:
        store.start("forgotten", capture=False)
        store.start("logger", capture=False).ends_with_process = True
        store.start("session", capture=False, live=True)

    said = capsys.readouterr().err
    assert "the store was closed without finishing forgotten_1" in said
    assert said.count("runstore:") == 1
    assert "logger" not in said
    assert "session" not in said
    assert one_run(tmp_path, "forgotten").status is Status.RUNNING
    assert one_run(tmp_path, "logger").status is Status.COMPLETE
    assert one_run(tmp_path, "session").status is Status.LIVE


def test_a_generator_that_is_closed_has_not_failed(tmp_path, capsys):
    def steps():
        with store_at(tmp_path) as store:
            store.start("x", capture=False)
            yield

    suspended = steps()
    next(suspended)
    suspended.close()

    assert "without finishing x_1" in capsys.readouterr().err
    assert one_run(tmp_path).status is Status.RUNNING


HANDLED = {
    "finally": ("finally: store.close()", "error"),
    "except": ("except ValueError: store.close(); raise", "error"),
    "exit": ("except ValueError: store.close(); sys.exit(0)", "complete"),
    "handled": ("except ValueError: store.close()", "lost"),
}


@pytest.mark.parametrize("how", HANDLED)
def test_while_an_exception_is_handled_the_end_of_the_process_decides(tmp_path, how):
    clause, status = HANDLED[how]
    code = (
        "import sys, runstore\n"
        "store = runstore.Store.open()\n"
        "run = store.start('x', capture=False)\n"
        "try: raise ValueError\n"
    )

    errors = python("-c", code + clause, cwd=tmp_path).stderr

    assert ("the process ended without finishing x_1" in errors) is (status == "lost")
    assert one_run(tmp_path / ".runstore").status.value == status


def test_a_run_left_open_in_a_block_is_not_resumed_while_its_object_lives(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("x", capture=False)

    with Store.open(tmp_path) as store, pytest.raises(RunActiveError, match="is still running"):
        store.resume("x#1")
    with pytest.warns(StoreWarning, match="was closed"):
        run.finish("error")

    with Store.open(tmp_path) as store:
        assert store.get("x#1").status is Status.ERROR
