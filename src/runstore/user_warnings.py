"""Warnings that point at the current line of the user's program."""

from __future__ import annotations

import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from types import TracebackType

from runstore.errors import StoreWarning, attempt, visible


class _Thread(threading.local):
    """The outermost block of this thread that delays warnings.

    It is referred to weakly: a signal handler may raise just before its end, and the warnings of
    the thread must not be delayed for ever.
    """

    outermost: Callable[[], afterwards | None] | None = None

    @property
    def block(self) -> afterwards | None:
        return None if self.outermost is None else self.outermost()


_thread = _Thread()


def warn(message: str, category: type[Warning] = StoreWarning) -> None:
    """Warn about a problem that was worked around, at the user's own line of code.

    A thread of ours has none: see `warn_in_background`.
    """
    message = visible(message, keep_lines=True)
    block = _thread.block
    if block is not None:
        block.messages.append((message, category))
    elif (level := _user_frame()) is None:
        warn_in_background(message)
    else:
        attempt(
            lambda: warnings.warn(message, category, stacklevel=level + 2),
            lambda error: _say_unless_raised(error, message),
        )


def warn_in_background(message: str) -> None:
    """Warn in a thread of ours, where no line of the program can be named.

    If warnings are errors, it is printed: there is no code of the user to be interrupted.
    """
    attempt(
        lambda: warnings.warn_explicit(
            visible(message), StoreWarning, "runstore", 1, module=__name__
        ),
        lambda _: say(message),
    )


def _say_unless_raised(error: Exception, message: str) -> None:
    """Raise a warning that is an error; print one that the program's stderr refused."""
    if isinstance(error, Warning):
        raise error
    say(message)


def say(message: str) -> None:
    """Print a line to stderr that is not a warning; do nothing if stderr cannot be written."""
    # A program may replace it by an object of its own; Python sets a closed one to None.
    attempt(lambda: sys.stderr.write(f"runstore: {visible(message)}\n"), lambda _: 0)


class afterwards:  # noqa: N801 - reads as a statement
    """Delay warnings inside the block to its end.

    If warnings are errors (`python -W error`), nothing is interrupted halfway: the work is
    finished first.
    """

    _error: BaseException | None = None

    @classmethod
    def leaving(cls, error: BaseException | None) -> afterwards:
        """Return a block for the end of one of the program, with the exception that leaves that.

        No warning replaces this exception; those that are errors are printed.
        """
        block = cls()
        block._error = error
        return block

    def __enter__(self) -> None:
        """Begin; inside another such block, warnings are delayed to the end of the outer one."""
        outermost = _thread.outermost
        self._is_outermost = outermost is None or outermost() is None
        if self._is_outermost:
            self.messages: list[tuple[str, type[Warning]]] = []
            _thread.outermost = weakref.ref(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Issue the warnings; if some are errors, the first is raised after all were issued."""
        if not self._is_outermost:
            return
        _thread.outermost = None
        if not self.messages:
            return
        error = self._error if error is None else error
        raised: Warning | None = None
        for message, category in self.messages:
            try:
                warn(message, category)
            except Warning as one:
                if error is not None:
                    say(message)
                raised = raised or one
        if raised is not None and error is None:
            raise raised


def _user_frame() -> int | None:
    """Return the stack level of the nearest caller outside this package, or None.

    Frames of `contextlib` are skipped, through which blocks are left: the program's line is
    further out.
    """
    level = 2
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to look at callers cheaply
    # A path comparison without further imports.
    passed = os.path.dirname(__file__), os.path.join(os.path.dirname(os.__file__), "contextlib.py")  # noqa: PTH118, PTH120
    while frame.f_code.co_filename.startswith(passed):
        if frame.f_back is None:
            return None
        frame = frame.f_back
        level += 1
    return level - 1
