"""Signals that Python notices late, in workers of multiprocessing.

If a signal arrives just before the main thread waits in a function of C, such as for the next task
of a pool, Python calls its handler when that function returns. A pool sends SIGTERM once to
workers that have nothing to do, and would wait for such a worker for ever.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import os
from collections.abc import Callable
from contextlib import suppress

from runstore.errors import genuine
from runstore.recording.tickers import Ticker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

_LOOK_EVERY_S = 0.1
_READ_BYTES = 1 << 16


class LateSignals:
    """Sends signals again while their handlers have not been called.

    The signals interrupt what the main thread waits for.

    Args:
        handler: The handler of these signals; those with another one are left alone.
        is_noticed: Whether it was called.
    """

    watching: ClassVar[LateSignals | None] = None

    def __init__(self, handler: Callable[..., Any], is_noticed: Callable[[], bool]) -> None:
        self._handler = handler
        self._is_noticed = is_noticed
        self._due: set[int] = set()
        self._ends: tuple[int, int] | None = None
        self._ticker = Ticker(self._look, lambda: _LOOK_EVERY_S)

    def watch(self) -> None:
        """Watch signals, unless the program, such as an event loop, does so itself."""
        if self._ends is None:
            try:
                self._ends = os.pipe()
            except genuine(OSError):  # no descriptors left
                return
            for end in self._ends:
                os.set_blocking(end, False)
        others = signal.set_wakeup_fd(self._ends[1], warn_on_full_buffer=False)
        if others not in {-1, self._ends[1]}:
            signal.set_wakeup_fd(others)
            return
        LateSignals.watching = self
        self._ticker.start()

    def unwatch(self) -> None:
        """Watch signals no more."""
        if self._ends is not None and LateSignals.watching is self:
            LateSignals.watching = None
            others = signal.set_wakeup_fd(-1)
            if others != self._ends[1]:
                signal.set_wakeup_fd(others)

    def leave_to_parent(self) -> None:
        """Neither watch nor keep the pipe in a forked child."""
        self.unwatch()
        for end in self._ends or ():
            os.close(end)
        self._ends = None

    def _look(self) -> None:
        """Send signals again that were received before the last look, and not noticed since."""
        if self._ends is None or self._is_noticed():
            return
        for number in self._due:
            if signal.getsignal(number) is self._handler:
                os.kill(os.getpid(), number)
        with suppress(BlockingIOError):
            self._due.update(os.read(self._ends[0], _READ_BYTES))


def _after_fork_in_child() -> None:
    if LateSignals.watching is not None:
        LateSignals.watching.leave_to_parent()


# Before signals are received in a child; see `forks.ForkSignals`.
os.register_at_fork(after_in_child=_after_fork_in_child)
