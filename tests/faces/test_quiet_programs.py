"""Programs that record see no warning from Python about what recording holds open."""

import subprocess
import sys
import textwrap

import pytest

from places import place


def run_strictly(tmp_path, text):
    """Run a script whose every warning is an error or is printed; return what it printed."""
    program = ("-c", textwrap.dedent(text), place(tmp_path / "runs"))
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout, ended.stderr


@pytest.mark.parametrize("close", ["store.close()", "del store, run, thread", "pass"])
def test_no_connection_is_collected_open(tmp_path, close):
    text = f"""
        import gc, threading
        import sys
        import runstore
        store = runstore.Store.open(sys.argv[1])
        with store.start("fit") as run:
            run.log(loss=1.0)
        thread = threading.Thread(target=store.get, args=[run.uid])
        thread.start(); thread.join()
        {close}
        gc.collect()
        print("end")
    """

    assert run_strictly(tmp_path, text) == ("end\n", "")


def test_stores_in_circles_are_collected_without_a_warning(tmp_path):
    text = """
        import gc
        import sys
        import runstore
        for n in range(5):
            store = runstore.Store.open(sys.argv[1])
            circle = [store]
            circle.append(circle)
            del store, circle
        gc.collect()
        print("end")
    """

    assert run_strictly(tmp_path, text) == ("end\n", "")


def test_a_fork_meets_no_thread_of_ours(tmp_path, monkeypatch):
    """From Python 3.12 on, a fork beside other threads is a warning in the user's program."""
    monkeypatch.delenv("RUNSTORE_SYSTEM_SAMPLES")
    text = """
        import os, time
        import sys
        import runstore
        from runstore.recording import live_runs
        live_runs.HEARTBEAT_S = 0.001
        store = runstore.Store.open(sys.argv[1])
        with store.start("fit") as run:
            for number in range(12):
                run.log(loss=float(number))
                child = os.fork()
                if child == 0:
                    run.log(child=float(number))
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
        seen = store.get(run.uid)
        print(len(seen.metric("loss")), sum(seen.metric("child").values), seen.status)
    """
    assert run_strictly(tmp_path, text) == ("12 66.0 complete\n", "")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python warns from 3.12 on")
def test_a_fork_beside_threads_of_the_program_is_still_warned_of(tmp_path):
    text = """
        import os, threading, warnings
        import sys
        import runstore
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        with runstore.Store.open(sys.argv[1]).start("fit", capture=False):
            thread.start()
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                if os.fork() == 0:
                    os._exit(0)
                os.wait()
            over.set()
            thread.join()
        print([one.category.__name__ for one in said])
    """

    assert run_strictly(tmp_path, text) == ("['DeprecationWarning']\n", "")


def test_after_a_fork_our_threads_go_on(tmp_path):
    text = """
        import os, time
        import sys
        import runstore
        from runstore.recording import live_runs
        live_runs.HEARTBEAT_S = 0.01
        store = runstore.Store.open(sys.argv[1])
        with store.start("fit", capture=False) as run:
            run.log(loss=0.0)
            if os.fork() == 0:
                os._exit(0)
            os.wait()
            before = store.get(run.uid).last_seen_at
            until = time.monotonic() + 60
            while store.get(run.uid).last_seen_at == before and time.monotonic() < until:
                time.sleep(0.01)
            print(store.get(run.uid).last_seen_at > before)
    """

    assert run_strictly(tmp_path, text) == ("True\n", "")
