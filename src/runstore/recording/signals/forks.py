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
from types import BuiltinFunctionType

from runstore import background
from runstore.storage.sqlite.signals import ENDING, EVERY, Uninterrupted, handled, restore_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# If a program has called `patch_all` of gevent before, this is a number of a greenlet, and all
# greenlets of a thread share its signals. Other threads hardly ever fork there.
_is_real = isinstance(_thread.get_ident, BuiltinFunctionType)
_this_thread: Callable[[], int] = _thread.get_ident if _is_real else int
# Long enough for most hooks of other code that follow ours.
_LATER_S = 0.001


class ForkSignals:
    """Delays signals until the fork is over.

    Args:
        ours: The handler that a child has no use for.
    """

    def __init__(self, ours: Callable[..., Any]) -> None:
        self._ours = ours
        self._delays: dict[int, _Delay] = {}  # by forking thread

    def before(self) -> None:
        """Delay signals."""
        delay = _Delay()
        delay.__enter__()  # first, because a handler may raise in any line until then
        known = self._delays.setdefault(_this_thread(), delay)
        if known is not delay:
            delay.__exit__()
        known.forks += 1

    def after_in_parent(self) -> None:
        """Receive signals again."""
        thread = _this_thread()
        delay = self._delays.get(thread)
        if delay is not None:  # otherwise a handler raised before the block began
            delay.forks -= 1
            if delay.forks <= 0:
                del self._delays[thread]
                delay.__exit__()

    def after_in_child(self) -> None:
        """Receive signals again, with the handlers of the program alone.

        No run of the child needs ours yet, and Python notices a signal with a handler late if the
        child is about to wait in a function of C, such as for the next task of a pool.
        """
        delay = self._delays.pop(_this_thread(), None)
        self._delays.clear()
        if delay is not None:
            delay.leave_to_parent()
        for number in ENDING:
            if signal.getsignal(number) is self._ours:
                signal.signal(number, signal.SIG_DFL)
        if delay is not None:
            with delay:
                pass


class _Delay(Uninterrupted):
    """Delays signals while a thread forks; those received are sent again when it has forked.

    Python would not call their handlers in a child that has not begun: they are blocked as well.
    """

    _deferred = EVERY
    # Several at once if the hooks of a fork let another greenlet of the thread fork.
    forks = 0

    def __init__(self) -> None:
        super().__init__()
        self._is_in_main_thread = background.in_main_thread()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def __enter__(self) -> Uninterrupted:
        super().__enter__()
        signal.pthread_sigmask(signal.SIG_BLOCK, handled())
        return self

    def __exit__(self, *error: object) -> None:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        finally:
            super().__exit__(*error)

    def leave_to_parent(self) -> None:
        """Restore the handlers in a child; signals for the child are still blocked."""
        self._due.clear()
        self._give_back()
        if not self._is_in_main_thread:
            restore_all()

    def _call_due(self) -> None:
        due, self._due = self._due, []
        if background.start_thread(lambda: _send(due, _LATER_S)) is None:
            _send(due, 0.0)


def _send(numbers: Iterable[int], later_s: float) -> None:
    background.recent_threads.append(_thread.get_native_id())
    time.sleep(later_s)
    for number in dict.fromkeys(numbers):
        os.kill(os.getpid(), number)
