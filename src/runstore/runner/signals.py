"""Passing on the signals that this process gets to the command that it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Signals that people and batch systems send to a command. Ctrl-Z and those that cannot be caught
# keep their effect: a terminal stops this process together with the command.
ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_PASSED_ON = (*ENDING, signal.SIGUSR1, signal.SIGUSR2)
_NEWS = (signal.SIGCHLD, signal.SIGWINCH)
# Source: Linux, include/uapi/asm-generic/siginfo.h; sent by the kernel, as a terminal's Ctrl-C is.
_SENT_BY_KERNEL = 0x80
# How long to wait for a signal before looking for the end of the child.
_PATIENCE_S = 1.0


@contextmanager
def held_back() -> Iterator[None]:
    """Keep signals waiting for `pass_on_until_ended`; begin before any thread does.

    A signal goes to any thread that does not block it, and threads inherit blocked signals.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, *_NEWS})
    # Some systems drop a signal that is ignored by default, though it is waited for.
    handlers = {number: signal.signal(number, _arrived) for number in _NEWS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _arrived(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the signal is waited for."""


def pass_on_until_ended(pid: int, resized: Callable[[], None]) -> tuple[int, int | None]:
    """Wait for a child process, and pass on to it the signals that this process gets.

    Returns its wait status, and the last signal that asked it to end; None without one.
    """
    asked: int | None = None
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == pid:
            return status, asked
        found = _next_signal()
        if found is None:
            continue
        number, from_terminal = found
        if number == signal.SIGWINCH:
            resized()
        elif number != signal.SIGCHLD:
            asked = number if number in ENDING else asked
            # A terminal signals the command as well: it is in the same group of processes.
            if not from_terminal:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)


def _next_signal() -> tuple[int, bool] | None:
    """Wait for a signal; return it, and whether the terminal sent it to the command as well.

    Returns None after a while: a thread that began before `held_back` may have got the signal.
    """
    waited_for = {*_PASSED_ON, *_NEWS}
    if hasattr(signal, "sigtimedwait"):
        info = signal.sigtimedwait(waited_for, _PATIENCE_S)
        return None if info is None else (info.si_signo, info.si_code == _SENT_BY_KERNEL)
    number = signal.sigwait(waited_for)  # macOS does not show the sender
    return number, number in {signal.SIGINT, signal.SIGQUIT} and os.isatty(0)
