"""Waiting for a child in a process whose other threads take its signals."""

import os
import subprocess
import threading

import pytest

from runstore.runner.signals import held_back, pass_on_until_ended


@pytest.fixture
def other_thread():
    """A thread from before signals are blocked, which gets those that the main one blocks."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    yield
    over.set()
    thread.join()


def test_the_end_of_a_child_is_seen_if_another_thread_got_its_signal(other_thread, monkeypatch):
    wait = os.waitpid

    def ends_after_the_first_look(pid, options):
        monkeypatch.setattr(os, "waitpid", wait)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return 0, 0

    with held_back():
        child = subprocess.Popen(["sh", "-c", "exit 3"])
        monkeypatch.setattr(os, "waitpid", ends_after_the_first_look)
        status, asked = pass_on_until_ended(child.pid, lambda: None)

    assert (os.waitstatus_to_exitcode(status), asked) == (3, None)
    child.returncode = 3  # it is gone
