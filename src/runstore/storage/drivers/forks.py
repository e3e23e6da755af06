"""Forks wait until no thread is inside the engine.

A thread that is inside SQLite when another one forks holds SQLite's own locks, and in the child
they stay held for ever: the child would hang at its first statement, or at its end. Recording
has threads of its own, so programs that fork their workers would meet this.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Long enough for a transaction; a fork that waits longer goes on, as it would have without us.
_PATIENCE_S = 5.0


class _Gate:
    """Counts the threads inside; closed while a fork waits."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside = 0
        self.is_closed = False
        self.own = threading.local()

    def enter(self) -> None:
        depth = getattr(self.own, "depth", 0)
        with self.changed:
            # A thread that is inside already must get through, or the fork would wait for it.
            while self.is_closed and depth == 0:
                self.changed.wait()
            self.inside += 1
        self.own.depth = depth + 1

    def leave(self) -> None:
        self.own.depth -= 1
        with self.changed:
            self.inside -= 1
            if self.is_closed:
                self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.is_closed = True
            mine = getattr(self.own, "depth", 0)
            self.changed.wait_for(lambda: self.inside <= mine, timeout=_PATIENCE_S)

    def open(self) -> None:
        with self.changed:
            self.is_closed = False
            self.changed.notify_all()


_gate = _Gate()


@contextmanager
def inside_the_engine() -> Iterator[None]:
    """Keep forks of other threads waiting while the block runs."""
    gate = _gate
    gate.enter()
    try:
        yield
    finally:
        gate.leave()


def _before_fork() -> None:
    _gate.close()


def _after_fork_in_parent() -> None:
    _gate.open()


def _after_fork_in_child() -> None:
    global _gate  # noqa: PLW0603 - the threads that were counted do not exist here
    _gate = _Gate()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
