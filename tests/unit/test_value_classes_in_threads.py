"""Data classes of ours can be defined while another thread loads `typing`."""

import subprocess
import sys

PROGRAM = """
import sys, threading

at, go_on = threading.Event(), threading.Event()

def stop(frame, event, argument):
    if frame.f_code.co_name == "_Final":  # one of its first classes
        at.set()
        go_on.wait(10)

def load():
    sys.settrace(stop)
    import typing

import collections, contextlib, dataclasses, functools, re, warnings
import runstore.errors
assert "typing" not in sys.modules
failed = []

def define():
    try:
        import runstore.model.artifacts
    except BaseException as error:
        failed.append(error)

loading = threading.Thread(target=load)
loading.start()
assert at.wait(10)
defining = threading.Thread(target=define)
defining.start()
defining.join(0.2)  # it waits for the other thread, or has failed by now
go_on.set()
loading.join()
defining.join()
assert not failed, failed
"""


def test_a_class_is_defined_while_another_thread_loads_typing():
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
