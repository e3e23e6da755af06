"""Threads for periodic work, which are stopped while the program forks.

A thread does not exist in a forked child, but locks that it held stay locked there; Python warns
about that since 3.12. So our threads end before a fork, and start again after it.
"""

from __future__ import annotations

import _thread
import os
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

from runstore import background
from runstore.errors import genuine
from runstore.storage.sqlite import forks  # its hooks come first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How long a fork waits for our threads; after that it continues, and Python may warn.
_FORK_PATIENCE_S = 1.0
_TASKS = "/proc/self/task"


class Ticker:
    """Calls a function every few seconds in a separate thread.

    Signal handlers and finalizers may call it at any time, so it has no locks that could block
    them.
    """

    def __init__(self, work: Callable[[], object], every_s: Callable[[], float]) -> None:
        self._work = work
        self._every_s = every_s
        self._thread = 0
        self._go_on = _thread.allocate_lock()  # free: the thread should end
        self._is_running = _thread.allocate_lock()

    def start(self) -> bool:
        """Start the thread if there is none; return whether there is one now."""
        if not self._is_running.acquire(blocking=False):
            return True
        self._go_on.acquire(blocking=False)
        # `threading` has its own locks, which the interrupted code may hold.
        thread = background.start_thread(self._run)
        if thread is None:  # no new thread is possible here or now
            self._is_running.release()
            return False
        self._thread = thread
        _tickers.add(self)
        return True

    def _run(self) -> None:
        background.recent_threads.append(_thread.get_native_id())
        try:
            while not self.rests(self._every_s()):
                self._work()
        finally:
            self._is_running.release()
            if self._go_on.locked() and self in _tickers:  # the request to end was withdrawn
                self.start()

    def rests(self, seconds: float) -> bool:
        """Wait; return whether the thread should end."""
        if not self._go_on.acquire(timeout=seconds):
            return False
        self._go_on.release()  # seen again by the loop
        return True

    def stop(self, patience_s: float) -> bool:
        """End the thread; return whether it has ended or is the calling thread."""
        _tickers.discard(self)
        return self.pause(patience_s)

    def pause(self, patience_s: float) -> bool:
        """End the thread for now; return whether it has ended or is the calling thread."""
        with suppress(RuntimeError):  # it was already requested
            self._go_on.release()
        # When the interpreter shuts down, other threads stop.
        if self._thread == _thread.get_ident() or sys.is_finalizing():
            return True
        if not self._is_running.acquire(timeout=patience_s):
            return False
        self._is_running.release()
        return True

    def resume(self) -> None:
        """Continue after a pause, unless it was stopped meanwhile."""
        if self in _tickers:
            self._go_on.acquire(blocking=False)
            self.start()


def stop_all(patience_s: float) -> None:
    """End every thread, as the process ends.

    A thread that has just been started would use an interpreter that no longer exists: up to
    Python 3.12, this is a crash.
    """
    deadline = time.monotonic() + patience_s
    for one in list(_tickers):
        one.stop(max(0.0, deadline - time.monotonic()))


_tickers: forks.LiveSet[Ticker] = forks.LiveSet()
_paused: list[Ticker] = []


def _before_fork() -> None:
    _no_warning.is_due = False
    deadline = time.monotonic() + _FORK_PATIENCE_S
    background.wait_until_done(_FORK_PATIENCE_S)
    _paused.extend(_tickers)
    ended = sum(one.pause(max(0.0, deadline - time.monotonic())) for one in list(_paused))
    ours = set(background.recent_threads) - {_thread.get_native_id()}
    while not ours.isdisjoint(_tasks()) and time.monotonic() < deadline:
        time.sleep(0.0002)
    background.recent_threads.clear()
    if ended and len(_tasks()) == 1:
        _no_warning.is_due = True
        if _no_warning.filter not in warnings.filters:
            warnings.filters.insert(0, _no_warning.filter)  # type: ignore[attr-defined]  # a list


class _NoWarning:
    """Suppresses Python's warning about threads during a fork, if there were none.

    Since 3.13, Python counts them after the fork, when ours exist again. Other warnings, and
    forks during threads of other code, are not affected.
    """

    def __init__(self) -> None:
        self.is_due = False
        self.filter: Any = ("ignore", self, DeprecationWarning, None, 0)

    def match(self, message: str) -> bool:
        """Check whether a message matches, like the pattern of a warning filter."""
        is_it = self.is_due and "is multi-threaded, use of fork" in message
        if is_it:
            self.is_due = False
        return is_it


_no_warning = _NoWarning()


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop().resume()


def _after_fork_in_child() -> None:
    _paused.clear()
    _tickers.clear()


def _tasks() -> set[int]:
    """Return the system's ids of all threads of the process; empty if they are unknown."""
    try:
        return {int(one) for one in os.listdir(_TASKS)}  # noqa: PTH208 - names alone
    except genuine(OSError):
        return set()


# The last registered is called first before a fork: our threads end before the engine closes.
os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
