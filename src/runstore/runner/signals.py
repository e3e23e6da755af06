"""Passing on the signals that this process gets to the command that it runs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Signals that people and batch systems send to a command. Ctrl-Z and those that cannot be caught
# keep their effect: a terminal stops this process together with the command.
ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_PASSED_ON = (*ENDING, signal.SIGUSR1, signal.SIGUSR2)
_NEWS = (signal.SIGCHLD, signal.SIGWINCH)
_WAITED_FOR = frozenset({*_PASSED_ON, *_NEWS})
# Source: Linux, include/uapi/asm-generic/siginfo.h; sent by the kernel, as a terminal's Ctrl-C is.
_SENT_BY_KERNEL = 0x80
# How often to look for the end of the child, even without a signal.
_LOOK_EVERY_S = 1.0


@contextmanager
def held_back() -> Iterator[None]:
    """Keep signals waiting for `pass_on_until_ended`; begin before any thread does.

    A signal goes to any thread that does not block it, and threads inherit blocked signals.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
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
    with _news_every_second():
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == pid:
                return status, asked
            number, is_from_terminal = _next_signal()
            if number == signal.SIGWINCH:
                resized()
            elif number != signal.SIGCHLD:
                asked = number if number in ENDING else asked
                # A terminal signals the command as well: it is in the same group of processes.
                if not is_from_terminal:
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)


@contextmanager
def _news_every_second() -> Iterator[None]:
    """Send this thread SIGCHLD every second: a thread that began before `held_back` may get it.

    `sigtimedwait` would not need this, but it returns a random number if the process is stopped,
    as by Ctrl-Z, for longer than the timeout. Source: CPython, `signal_sigtimedwait_impl`.
    """
    waiting, over = threading.get_ident(), threading.Event()

    def notify() -> None:
        while not over.wait(_LOOK_EVERY_S):
            signal.pthread_kill(waiting, signal.SIGCHLD)

    thread = threading.Thread(target=notify, name="runstore-signals", daemon=True)
    with suppress(RuntimeError):  # the system allows no more threads
        thread.start()
    try:
        yield
    finally:
        over.set()
        if thread.ident is not None:
            thread.join()


def _next_signal() -> tuple[int, bool]:
    """Wait for a signal; return it, and whether the terminal sent it to the command as well."""
    if hasattr(signal, "sigwaitinfo"):
        info = signal.sigwaitinfo(_WAITED_FOR)
        return info.si_signo, info.si_code == _SENT_BY_KERNEL
    number = signal.sigwait(_WAITED_FOR)  # macOS does not show the sender
    return number, number in {signal.SIGINT, signal.SIGQUIT} and os.isatty(0)
