"""Forks wait until no thread is inside the engine.

A thread that is inside SQLite when another one forks holds SQLite's own locks, and in the child
they stay held for ever: the child would hang at its first statement, or at its end. Recording
has threads of its own, so programs that fork their workers would meet this.

Connections are closed before a fork, too. A child inherits what the engine believes to have
locked, but not the locks: when its parent has ended, other processes would take the database for
unused, and remove the log that the child goes on writing to.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Long enough for a transaction; a fork that waits longer goes on, as it would have without us.
_LOOKS, _LOOK_EVERY_S = 5000, 0.001


class _Gate:
    """Knows the threads inside; closed while a fork waits.

    Nothing here holds a lock: a signal handler or a finalizer may come in the middle of any line
    and enter as well. Each thread changes its own entry alone.
    """

    def __init__(self) -> None:
        self.depths: dict[int, int] = {}
        self.closed_by: int | None = None

    def enter(self) -> None:
        me = threading.get_ident()
        depth = self.depths.get(me, 0)
        self.depths[me] = depth + 1
        # A thread that is inside already must get through, or the fork would wait for it.
        while depth == 0 and self.closed_by not in {None, me}:
            # Said before asked, as the fork does: one of the two sees the other.
            del self.depths[me]
            time.sleep(_LOOK_EVERY_S)
            self.depths[me] = 1

    def leave(self) -> None:
        me = threading.get_ident()
        depth = self.depths[me]
        if depth == 1:
            del self.depths[me]
        else:
            self.depths[me] = depth - 1

    def close(self) -> None:
        me = self.closed_by = threading.get_ident()
        for _ in range(_LOOKS):
            if not self.depths.keys() - {me}:
                return
            time.sleep(_LOOK_EVERY_S)

    def open(self) -> None:
        self.closed_by = None


_gate = _Gate()


def entered() -> Callable[[], None]:
    """Keep forks of other threads waiting until this thread calls what is returned."""
    gate = _gate
    gate.enter()
    return gate.leave


@contextmanager
def inside_the_engine() -> Iterator[None]:
    """Keep forks of other threads waiting while the block runs."""
    leave = entered()
    try:
        yield
    finally:
        leave()


_at_each_fork: list[Callable[[], object]] = []


def before_each_fork(work: Callable[[], object]) -> None:
    """Do something before each fork, when no other thread is inside any more."""
    _at_each_fork.append(work)


def _before_fork() -> None:
    _gate.close()
    for work in _at_each_fork:
        work()


def _after_fork_in_parent() -> None:
    _gate.open()


def _after_fork_in_child() -> None:
    global _gate  # noqa: PLW0603 - the threads that were counted do not exist here
    _gate = _Gate()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
