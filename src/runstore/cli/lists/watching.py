"""`runstore ls --watch`: a list on the terminal that stays up to date until it is left."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from runstore.cli import output
from runstore.cli.top.pace import attempted
from runstore.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from runstore.store import Store

T = TypeVar("T")
_REFRESH_S = 1.0
_EXIT_SIGNAL = 128  # as shells have it
# Who was killed says nothing: lists are read again even when nothing changed.
_READ_AT_LEAST_S = 5.0
_LEAVE = frozenset("qQ\x03")
_ESCAPE = "\x1b"
_KEYS_AT_ONCE = 1024


def watch(
    store: Store,
    read: Callable[[], T],
    draw: Callable[[T], RenderableType],
    *,
    is_moving: Callable[[T], bool],
) -> None:
    """Show what is read until `q` or Ctrl-C, and leave the last state on the terminal.

    Args:
        store: Is asked whether anything changed; when nothing did, nothing is read.
        read: Reads what is shown.
        draw: Makes it visible; called every second, since durations go on.
        is_moving: Whether it may change without a word, as runs that are executed may.

    Raises:
        UsageError: There is no terminal to draw on.
    """
    if not output.is_terminal():
        raise UsageError(
            "--watch draws on a terminal.", hint="For programs: runstore ls --json, now and then."
        )
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    shown, mark, read_at = read(), _mark(store), time.monotonic()
    problem = ""
    with (
        suppress(KeyboardInterrupt),
        _ended_by_signals(),
        Live(console=output.console(), auto_refresh=False) as live,
        _keys() as pressed,
    ):
        while True:
            told = problem or f"{time.strftime('%H:%M:%S')}  q leaves"
            live.update(Group(draw(shown), Text(told, style="dim")), refresh=True)
            if pressed(_REFRESH_S):
                return
            is_old = time.monotonic() - read_at > _READ_AT_LEAST_S
            if not (is_old and is_moving(shown)) and mark == _mark(store):
                continue
            mark = _mark(store)
            attempt = attempted(read)
            problem = attempt.problem
            shown = shown if attempt.value is None else attempt.value
            read_at = time.monotonic()


def _mark(store: Store) -> object:
    return attempted(store.database.driver.change_mark).value


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give what waits for a key that leaves; keys come at once, and are not shown."""
    if not sys.stdin.isatty():
        yield _sleep
        return
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield _pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a signal that ends the program leave the terminal as it was."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(_EXIT_SIGNAL + number)

    before = {one: signal.signal(one, leave) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _pressed(timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            # All that waits: of an arrow key the escape alone would leave.
            keys = os.read(sys.stdin.fileno(), _KEYS_AT_ONCE).decode(errors="ignore")
            if not keys or keys == _ESCAPE or set(keys) & _LEAVE:
                return True
    return False


def _sleep(timeout_s: float) -> bool:
    time.sleep(timeout_s)
    return False
