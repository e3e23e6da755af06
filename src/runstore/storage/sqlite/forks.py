"""Delay of forks until no thread is inside SQLite.

If a thread is inside SQLite when another one forks, it holds SQLite's internal locks, and in the
child they stay locked for ever: the child would hang at its first statement, or at exit. Recording
has its own threads, so that programs that fork workers would run into this.

Connections are also closed before a fork. A child inherits SQLite's record of its locks, but not
the locks: after its parent has ended, other processes would consider the database unused, and
remove the log that the child is still writing to.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

# Long enough for a transaction; after a longer wait the fork proceeds, as it would without us.
_LOOKS, _LOOK_EVERY_S = 5000, 0.001
# References to objects that are gone are removed from a set with more than this.
_TIDY_AT = 64


class LiveSet(Collection["T"]):
    """A weak set, such as of all open databases, to which other threads may add meanwhile.

    `weakref.WeakSet` is called for each object that is gone, possibly in the middle of the
    program, and Python prints what a signal handler raises then, so that a Ctrl-C has no effect.
    """

    def __init__(self) -> None:
        self._references: set[weakref.ref[T]] = set()
        self._tidy_at = _TIDY_AT

    def add(self, item: T) -> None:
        """Add an object."""
        self._references.add(weakref.ref(item))
        if len(self._references) > self._tidy_at:
            gone = [one for one in list(self._references) if one() is None]
            self._references.difference_update(gone)
            self._tidy_at = max(_TIDY_AT, 2 * len(self._references))

    def discard(self, item: T) -> None:
        """Remove an object, if it is there."""
        self._references.discard(weakref.ref(item))

    def clear(self) -> None:
        """Remove all objects."""
        self._references.clear()

    def __contains__(self, item: object) -> bool:
        return weakref.ref(item) in self._references

    def __len__(self) -> int:
        return sum(one() is not None for one in list(self._references))

    def __iter__(self) -> Iterator[T]:
        objects = [one() for one in list(self._references)]
        return iter([one for one in objects if one is not None])


class _Gate:
    """Tracks the threads inside SQLite; closed while a fork waits.

    Nothing here uses a lock, because a signal handler or a finalizer may interrupt any line and
    enter as well. Each thread changes only its own entry.
    """

    def __init__(self) -> None:
        self.depths: dict[int, int] = {}
        # The threads that fork; Python lets several begin at once.
        self.forking: set[int] = set()

    def enter(self) -> Callable[[], None]:
        """Enter, and return the function to leave."""
        me = threading.get_ident()
        depth = self.depths.get(me, 0)
        self.depths[me] = depth + 1
        # A thread that is inside already must pass, or the fork would wait for it.
        while depth == 0 and self.forking and me not in self.forking:
            # Set before checked, as in `close`: one of the two sees the other.
            del self.depths[me]
            time.sleep(_LOOK_EVERY_S)
            self.depths[me] = 1
        return self.leave

    def leave(self) -> None:
        me = threading.get_ident()
        depth = self.depths[me]
        if depth == 1:
            del self.depths[me]
        else:
            self.depths[me] = depth - 1

    def close(self) -> None:
        me = threading.get_ident()
        self.forking.add(me)
        for _ in range(_LOOKS):
            if not self.depths.keys() - {me}:
                return
            time.sleep(_LOOK_EVERY_S)

    def open(self) -> None:
        self.forking.discard(threading.get_ident())


gate = _Gate()


@contextmanager
def inside_the_engine() -> Iterator[None]:
    """Delay forks by other threads while the block runs."""
    leave = gate.enter()
    try:
        yield
    finally:
        leave()


_at_each_fork: list[Callable[[], object]] = []


def before_each_fork(work: Callable[[], object]) -> None:
    """Register a function to call before each fork, when no other thread is inside."""
    _at_each_fork.append(work)


def _before_fork() -> None:
    gate.close()
    for work in _at_each_fork:
        work()


def _after_fork_in_parent() -> None:
    gate.open()


def _after_fork_in_child() -> None:
    global gate  # noqa: PLW0603 - the counted threads do not exist here
    gate = _Gate()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
