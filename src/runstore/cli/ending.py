"""The end of a command by a signal: unfinished files are removed, as after Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGTERM, signal.SIGHUP)


class _EndedBySignal(BaseException):
    """SIGTERM or SIGHUP arrived; no handler of errors catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def cleaned_up() -> Iterator[None]:
    """Let the block remove its unfinished files before a signal ends the process.

    For commands that write files outside of stores, where nothing else would remove them.
    """
    # Others are ignored, as under `nohup`, or belong to a program that calls this one.
    ours = [one for one in _ENDING if signal.getsignal(one) is signal.SIG_DFL]

    def end(number: int, _frame: object) -> None:
        for one in ours:
            signal.signal(one, signal.SIG_IGN)  # a second one would end the removal
        raise _EndedBySignal(number)

    ended: int | None = None
    try:
        for one in ours:
            signal.signal(one, end)
        yield
    except _EndedBySignal as error:
        ended = error.number
    finally:
        for one in ours:
            signal.signal(one, signal.SIG_DFL)
    if ended is not None:
        os.kill(os.getpid(), ended)
