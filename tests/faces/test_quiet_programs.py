"""Programs that record see no warning from Python about what recording holds open."""

import subprocess
import sys
import textwrap

import pytest


def run_strictly(tmp_path, text):
    """Run a script whose every warning is an error or is printed; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(text)],
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
        import runstore
        store = runstore.Store.open("runs")
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
        import runstore
        for n in range(5):
            store = runstore.Store.open(f"runs{n}")
            circle = [store]
            circle.append(circle)
            del store, circle
        gc.collect()
        print("end")
    """

    assert run_strictly(tmp_path, text) == ("end\n", "")
