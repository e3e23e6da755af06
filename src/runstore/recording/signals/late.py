"""Signals that Python notices late, in workers of multiprocessing.

If a signal arrives just before the main thread waits in a function of C, such as for the next task
of a pool, Python calls its handler when that function returns. A pool sends SIGTERM once to
workers that have nothing to do, and would wait for such a worker for ever.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import fcntl
import os
from collections.abc import Callable

from runstore.errors import suppressed
from runstore.recording.tickers import Ticker
from runstore.storage.sqlite.descriptors import Files, HeldFile, identity_of, is_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

_LOOK_EVERY_S, _REST_S = 0.1, 1.0
_READ_BYTES = 1 << 16
# Above the numbers that files of a program get if it closes all that are open.
_HIGH = 100


class LateSignals:
    """Sends signals again while their handler has not been called.

    They interrupt what the main thread waits for. That thread calls the methods.

    Args:
        handler: The handler of these signals; those with another one are left alone.
        is_noticed: Whether it was called.
    """

    # That of this process with a pipe, if any.
    current: ClassVar[LateSignals | None] = None

    def __init__(self, handler: Callable[..., Any], is_noticed: Callable[[], bool]) -> None:
        self._handler = handler
        self._is_noticed = is_noticed
        self._is_watching = False
        self._due: set[int] = set()
        self._pipe: Files = ()
        self._ticker = Ticker(self._look, lambda: _LOOK_EVERY_S if self._is_watching else _REST_S)

    def watch(self) -> None:
        """Watch signals, unless the program, such as an event loop, does so itself."""
        if not self._pipe or not is_whole(self._pipe):  # the program closed it
            self._pipe = ()
            with suppressed(OSError):  # no descriptors left
                self._pipe = _new_pipe()
                LateSignals.current = self
        if not self._pipe:
            return
        self._due = set()
        with suppressed(BlockingIOError):
            self._read()  # what came before
        writing = self._pipe[1].number
        with suppressed(ValueError, OSError):  # the descriptor of the program is closed
            others = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
            self._is_watching = True
            if others not in {-1, writing}:
                signal.set_wakeup_fd(others, warn_on_full_buffer=False)
                self._is_watching = False
        if self._is_watching:
            self._ticker.start()

    def unwatch(self) -> None:
        """Watch signals no more."""
        if not self._is_watching:
            return
        self._is_watching = False
        with suppressed(ValueError, OSError):  # the descriptor of the program is closed
            others = signal.set_wakeup_fd(-1)
            if others != self._pipe[1].number:
                signal.set_wakeup_fd(others, warn_on_full_buffer=False)

    def leave_to_parent(self) -> None:
        """Neither watch nor keep the pipe in a forked child."""
        self.unwatch()
        pipe, self._pipe = self._pipe, ()
        for number, identity, *_ in pipe:
            if identity_of(number) == identity:
                os.close(number)

    def _look(self) -> None:
        """Send signals again that were received before the last look, and not noticed since."""
        if not self._is_watching or self._is_noticed() or not is_whole(self._pipe):
            return
        for number in filter(self._is_ours, self._due):
            os.kill(os.getpid(), number)
        with suppressed(BlockingIOError):
            self._due = set(filter(self._is_ours, (*self._due, *self._read())))

    def _read(self) -> bytes:
        return os.read(self._pipe[0].number, _READ_BYTES)

    def _is_ours(self, number: int) -> bool:
        """Check the handler: that of a block that defers signals will be called in time."""
        return signal.getsignal(number) is self._handler


def _new_pipe() -> Files:
    """Return both ends of a pipe that does not block.

    Raises:
        OSError: No descriptors are left.
    """
    low, high = os.pipe(), []
    try:
        for end in low:
            high.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _HIGH))
            os.set_blocking(high[-1], False)
    except BaseException:  # also of a signal handler
        for end in high:
            os.close(end)
        raise
    finally:
        for end in low:
            os.close(end)
    status = os.fstat(high[0])
    return [HeldFile(end, (status.st_dev, status.st_ino)) for end in high]


def _after_fork_in_child() -> None:
    current, LateSignals.current = LateSignals.current, None
    if current is not None:
        current.leave_to_parent()


# Before signals are received in a child; see `forks.ForkSignals`.
os.register_at_fork(after_in_child=_after_fork_in_child)
