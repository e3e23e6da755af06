"""The main thread, as the system sees it."""

import _thread
import os
import threading

from runstore.background import in_main_thread


def in_a_thread(work):
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def in_a_fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0 if in_main_thread() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_only_the_main_thread_is_it():
    assert in_main_thread()
    assert not in_a_thread(in_main_thread)


def test_the_thread_that_forks_is_the_main_thread_of_the_child():
    assert in_a_fork()
    assert in_a_thread(in_a_fork)
    assert in_main_thread()


def test_it_stays_the_same_if_threads_are_replaced(monkeypatch):
    """As gevent does, even after runstore was imported."""
    monkeypatch.setattr(_thread, "get_ident", lambda: 1)

    assert in_main_thread()
