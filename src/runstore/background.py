"""Work that a program does not wait for: one thread, which ends when there is nothing to do."""

from __future__ import annotations

import _thread
import os
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

# How long the end of the process, or of a store, may wait for it.
PATIENCE_S = 5.0

# The system's numbers of the last threads of ours: one is listed for a moment after its work.
recent_threads: deque[int] = deque(maxlen=32)


class Job(Protocol):
    """Something to do, once for all jobs that are like it."""

    def is_like(self, other: Any) -> bool:
        """Tell whether doing one does the other."""

    def do_with(self, alike: Sequence[Any]) -> None:
        """Do it, for this job and for those that are like it."""


class _Worker:
    """Does one job after the other. Whoever adds one waits for nothing."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: deque[Job] = deque()
        self._is_busy = _thread.allocate_lock()

    def add(self, job: Job) -> None:
        self._jobs.append(job)
        if not self._is_busy.acquire(blocking=False):
            return  # the thread sees it before it ends
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # no more threads
            self._work()

    def _run(self) -> None:
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
        deadline = time.monotonic() + patience_s
        while self._is_busy.acquire(timeout=max(0.0, deadline - time.monotonic())):
            self._is_busy.release()
            if not self._jobs:
                return


_worker = _Worker()


def _of_this_process() -> _Worker:
    global _worker  # noqa: PLW0603 - a forked child has no thread of its parent
    if _worker.pid != os.getpid():
        _worker = _Worker()
    return _worker


def do_later(job: Job) -> None:
    """Do a job in the background; the end of the process waits for it, but not for long."""
    _of_this_process().add(job)


def wait_until_done(patience_s: float = PATIENCE_S) -> None:
    """Wait until all jobs are done, or the time is over."""
    _of_this_process().wait(patience_s)
