"""Signals while the program forks: none is lost, in the program or in its child.

Python prints what a signal handler raises during a fork, and continues: a Ctrl-C would have no
effect. And it forgets a signal that has a handler if a child receives it before it has begun: a
program that ends its workers by SIGTERM would wait for them for ever.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import _thread
import os
import time
from collections.abc import Callable, Iterable

from runstore import background
from runstore.storage.sqlite.signals import ENDING, Uninterrupted, restore_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Long enough for the hooks of other code that follow ours.
_LATER_S = 0.001


class ForkSignals:
    """Delays signals until the fork is over.

    Args:
        ours: The handler that a child has no use for.
    """

    def __init__(self, ours: Callable[..., Any]) -> None:
        self._ours = ours
        # By forking thread: its block, and the signals that the program has blocked there.
        self._forking: dict[int, tuple[Uninterrupted, set[int], bool]] = {}

    def before(self) -> None:
        """Delay signals."""
        block = Uninterrupted()
        block.__enter__()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        self._forking[_thread.get_ident()] = block, mask, background.in_main_thread()

    def after_in_parent(self) -> None:
        """Receive signals again."""
        delayed = self._forking.pop(_thread.get_ident(), None)
        if delayed is not None:  # otherwise a handler raised before the block began
            _receive(*delayed[:2])

    def after_in_child(self) -> None:
        """Receive signals again, with the handlers of the program alone.

        No run of the child needs ours yet, and Python notices a signal with a handler late if the
        child is about to wait in a function of C, such as for the next task of a pool.
        """
        delayed = self._forking.pop(_thread.get_ident(), None)
        self._forking.clear()
        if delayed is not None:
            block, mask, was_main = delayed
            block.restore()
            if not was_main:
                restore_all()
        for number in ENDING:
            if signal.getsignal(number) is self._ours:
                signal.signal(number, signal.SIG_DFL)
        if delayed is not None:
            block = Uninterrupted()
            block.__enter__()
            _receive(block, mask)


def _receive(block: Uninterrupted, mask: set[int]) -> None:
    """End a block; signals that it received are sent again when the fork is over."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    due = block.restore()
    if due and background.start_thread(lambda: _send(due, _LATER_S)) is None:
        _send(due, 0.0)


def _send(numbers: Iterable[int], later_s: float) -> None:
    background.recent_threads.append(_thread.get_native_id())
    time.sleep(later_s)
    for number in dict.fromkeys(numbers):
        os.kill(os.getpid(), number)
