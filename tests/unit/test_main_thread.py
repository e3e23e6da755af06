"""The main thread, as the system sees it, and how others are started."""

import _signal
import _thread
import os
import threading
from types import SimpleNamespace

import pytest

from runstore import background
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


def test_an_error_of_a_signal_handler_is_no_lack_of_threads(monkeypatch):
    """A handler of the program can raise any error as soon as signals are blocked."""
    mask, done = _signal.pthread_sigmask, []

    def interrupted(how, numbers):
        before = mask(how, numbers)
        if numbers and how == _signal.SIG_BLOCK:
            raise RuntimeError("of the handler")
        return before

    monkeypatch.setattr(_signal, "pthread_sigmask", interrupted)

    worker = background._Worker()
    with pytest.raises(RuntimeError, match="of the handler"):
        worker.add(SimpleNamespace(do_with=done.append))

    assert not done
    assert not mask(_signal.SIG_BLOCK, ())
    monkeypatch.undo()
    worker.wait(10)
    assert done == [[]]
