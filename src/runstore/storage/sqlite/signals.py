"""Signal handlers, which Python calls between any two lines: deferred, or with what they raise.

A handler that raises in the middle of an import, or of the end of a run, leaves half of it; and
SQLite hides what a handler raises in a function that a statement calls.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without its slow enumerations
import sys
import time
from collections.abc import Callable, Iterable
from itertools import compress
from types import FrameType

from runstore.background import in_main_thread
from runstore.errors import genuine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Python's own, which does nothing: the event loop is notified in another way.
_OF_THE_LOOP = "_sighandler_noop"
# The signals by which people and systems end a program.
ENDING = (int(signal.SIGINT), int(signal.SIGTERM), int(signal.SIGHUP))
# The methods in which a block begins and ends; a signal that meets another block is only late.
_EDGES = {"__enter__", "__exit__", "_give_back"}
EVERY = tuple(map(int, signal.valid_signals()))
# Real-time signals are rarely handled and would double the time.
_NAMED = tuple(number for number in EVERY if number < 32)  # noqa: PLR2004 - as of signal(7)


def is_waiting(handler: object) -> bool:
    """Check whether a handler is that of an `Uninterrupted` block."""
    return isinstance(getattr(handler, "__self__", None), Uninterrupted)


def handled(numbers: tuple[int, ...] = EVERY) -> Iterable[int]:
    """Return signals with a Python handler; by functions of C, because every start waits."""
    return compress(numbers, map(callable, map(signal.getsignal, numbers)))


def _is_at_edge(frame: FrameType | None) -> bool:
    """Check whether a signal arrived while a block begins or ends, or a tracer looks at that."""
    if frame is None or frame.f_code.co_name in _EDGES:
        return frame is not None
    around = frame.f_back
    return around is not None and around.f_code.co_name in _EDGES


class Uninterrupted:
    """Defers Python's signal handlers to the end of a block.

    Args:
        numbers: The signals; None for all except real-time signals. Others are deferred only while
            the block begins or ends: a handler that raised then would leave these deferred.
        patience_s: Seconds to defer them. After that, the first signal interrupts the block, once:
            a second Ctrl-C need not wait for a database that does not respond.
    """

    _deferred = _NAMED

    def __init__(
        self, numbers: tuple[int, ...] | None = None, *, patience_s: float | None = None
    ) -> None:
        self._numbers = numbers
        self._patience_s = patience_s
        self._due: list[int] = []
        self._handlers: dict[int, Callable[..., Any]] = {}

    def __enter__(self) -> Uninterrupted:
        """Replace the handlers; signals only interrupt the main thread."""
        if not in_main_thread():
            return self
        self._began = time.monotonic()
        wait = self._wait
        try:
            for number in handled(self._deferred):
                handler = signal.getsignal(number)
                if getattr(handler, "__name__", "") != _OF_THE_LOOP:
                    self._handlers[number] = handler
                    signal.signal(number, wait)
        except genuine(ValueError):  # the main thread of a subinterpreter gets no signals
            self._handlers.clear()
        except BaseException:  # of a signal received before its handler was replaced
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the handlers, and call those that are due."""
        # Also for a program that took `_wait` for its handler, and sets it again after the block.
        self._former = dict(self._handlers)
        try:
            self._give_back()
        finally:
            if self._due:
                self._call_due()

    def handler_of(self, number: int) -> Callable[..., Any]:
        """Return the handler that the block has replaced."""
        return self._handlers.get(number) or self._former[number]

    def drop(self, *handlers: Callable[..., Any]) -> None:
        """Discard received signals that have one of these handlers."""
        self._due = [one for one in self._due if self._handlers.get(one) not in handlers]

    def _wait(self, number: int, frame: FrameType | None) -> None:
        # Quickly: signals that come every few microseconds call it within itself.
        if number not in self._handlers:
            self._former[number](number, frame)
        elif _is_at_edge(frame) or not self._is_let_through(number):
            self._due.append(number)
        else:
            self._handlers[number](number, frame)

    def _is_let_through(self, number: int) -> bool:
        if self._numbers is not None and number not in self._numbers:
            return True
        if self._patience_s is None or time.monotonic() - self._began < self._patience_s:
            return False
        self._patience_s = None
        return True

    def _call_due(self) -> None:
        try:
            while self._due:
                number = self._due.pop(0)
                self._former[number](number, sys._getframe())  # noqa: SLF001 - as Python calls it
        finally:
            if self._due:  # a handler raised; as in a signal mask, each signal is due once
                self._due = list(dict.fromkeys(self._due))
                self._call_due()

    def _give_back(self) -> None:
        wait = self._wait
        try:
            for number, handler in list(self._handlers.items()):
                if signal.getsignal(number) == wait:  # or a handler has set another one
                    signal.signal(number, handler)
                del self._handlers[number]
        finally:
            if self._handlers:  # a handler was called as soon as it was restored
                self._give_back()


class Heard(Uninterrupted):
    """Calls signal handlers at once, and raises at its end what they raised.

    SQLite would replace that by an error of its own if a statement was calling a function of ours.
    """

    _raised: BaseException | None = None

    def _wait(self, number: int, frame: FrameType | None) -> None:
        if number in self._handlers and _is_at_edge(frame):
            self._due.append(number)
            return
        try:
            (self._handlers.get(number) or self._former[number])(number, frame)
        except BaseException as error:  # whatever the program raises
            self._raised = error
            raise

    def __exit__(self, *error: object) -> None:
        """Restore the handlers, and raise what one of them raised."""
        super().__exit__()
        raised, self._raised = self._raised, None
        try:
            if raised is not None and raised is not error[1]:
                raise raised
        finally:
            del raised  # or it and this frame would refer to each other


def restore_all() -> None:
    """Restore all handlers, in a child that another thread forked: it has no block to end."""
    for number in EVERY:
        known = handler = signal.getsignal(number)
        while is_waiting(handler):
            handler = handler.__self__.handler_of(number)
        if handler is not known:
            signal.signal(number, handler)
