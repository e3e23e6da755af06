"""Background work in one thread, which ends when there is nothing left to do."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import _thread
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

# How long the end of the process, or of a store, waits for it, and how often it looks.
PATIENCE_S = 5.0
_LOOK_EVERY_S = 0.001

# Of this process: `threading.main_thread().ident`, without two calls at each of many places; and
# the function that belongs to it, which gevent may replace later.
_main_thread = threading.main_thread().ident
_this_thread = _thread.get_ident

# Those that report a fault of the thread itself, as to `faulthandler`.
_FAULTS = {"SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"}
_NOT_OURS = signal.valid_signals() - {getattr(signal, name) for name in _FAULTS}

# System ids of our last threads: a thread is listed for a moment after its work.
recent_threads: deque[int] = deque(maxlen=32)


def in_main_thread() -> bool:
    """Check whether this is the main thread.

    `threading.current_thread` would make an object for a thread of ours, whose deletion fails as
    the interpreter exits (Python 3.13.0).
    """
    return _this_thread() == _main_thread


def start_thread(work: Callable[[], object]) -> int | None:
    """Start a thread that gets no signals of the program, and return its identifier.

    Returns None if no more threads are possible.

    A program may block a signal to ask for it later, such as Slurm's before the end of a job. The
    system would then deliver it to any other thread, and end the program if it has no handler.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # Threads inherit it. A handler of the program may raise in this call, also a RuntimeError.
        signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_OURS)
        try:
            return _thread.start_new_thread(work, ())
        except RuntimeError:
            return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Job(Protocol):
    """A job, done once together with all similar jobs."""

    def is_like(self, other: Any) -> bool:
        """Check whether both jobs can be done as one."""

    def do_with(self, alike: Sequence[Any]) -> None:
        """Do this job together with similar ones."""


class _Worker:
    """Runs jobs one after the other; adding a job does not block."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: deque[Job] = deque()
        self._is_busy = _thread.allocate_lock()

    def add(self, job: Job) -> None:
        self._jobs.append(job)
        self._start()

    def _start(self) -> None:
        if not self._is_busy.acquire(blocking=False):
            return  # the thread sees new jobs before it ends
        claim = _thread.allocate_lock()
        try:
            if start_thread(lambda: self._run(claim)) is None:
                self._run(claim)
        except BaseException:  # a signal handler raised, before or after the thread began
            if claim.acquire(blocking=False):
                self._is_busy.release()
            raise

    def _run(self, claim: Any) -> None:
        if claim.acquire(blocking=False):
            recent_threads.append(_thread.get_native_id())
            self._work()

    def _work(self) -> None:
        try:
            while self._jobs:
                job = self._jobs.popleft()
                alike = [one for one in list(self._jobs) if type(one) is type(job)]
                alike = [one for one in alike if one.is_like(job)]
                for one in alike:
                    self._jobs.remove(one)
                job.do_with(alike)
        finally:
            self._is_busy.release()
            if self._jobs and self._is_busy.acquire(blocking=False):
                self._work()

    def wait(self, patience_s: float) -> None:
        if self._jobs:
            self._start()
        deadline = time.monotonic() + patience_s
        # Not by taking the lock: a signal handler may raise before it would be released.
        while (self._is_busy.locked() or self._jobs) and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)


_worker = _Worker()


def _of_this_process() -> _Worker:
    global _worker  # noqa: PLW0603 - a forked child lacks its parent's thread
    if _worker.pid != os.getpid():
        _worker = _Worker()
    return _worker


def do_later(job: Job) -> None:
    """Do a job in the background; the process waits for it at exit, but not for long."""
    _of_this_process().add(job)


def wait_until_done(patience_s: float = PATIENCE_S) -> None:
    """Wait until all jobs are done, or time is up."""
    _of_this_process().wait(patience_s)


def _after_fork_in_child() -> None:
    global _main_thread  # noqa: PLW0603 - the thread that forked is the only one of the child
    _main_thread = _this_thread()


os.register_at_fork(after_in_child=_after_fork_in_child)
