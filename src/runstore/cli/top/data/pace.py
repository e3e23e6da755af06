"""Attempts to read the store, and the pauses between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from runstore.cli.output import terminal_safe
from runstore.errors import RunstoreError, UsageError
from runstore.value_classes import dataclass

T = TypeVar("T")
_LOAD_SHARE = 3  # reading takes at most a third of the time


@dataclass(frozen=True, slots=True)
class Pace:
    """Pauses between readings.

    Attributes:
        refresh_s: Shortest pause in seconds; it is longer after a slow reading.
    """

    refresh_s: float

    def pause_s(self, took_s: float) -> float:
        """Return how long to wait after a reading, in seconds."""
        return max(self.refresh_s, (_LOAD_SHARE - 1) * took_s)


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """The result of an attempt.

    Attributes:
        value: The value; None if the attempt failed.
        problem: The reason, harmless for a terminal; empty if the attempt succeeded.
        is_usage: Whether the request itself is wrong, so that another attempt fails too.
        took_s: Duration in seconds.
    """

    value: T | None
    problem: str
    is_usage: bool
    took_s: float


def attempted(read: Callable[[], T], *, in_full: bool = False) -> Attempt[T]:
    """Return the result of a call; an error of the store is a result too.

    Args:
        read: The call.
        in_full: Whether the problem includes what was kept, and the hint.
    """
    begun = time.monotonic()
    value: T | None = None
    problem, is_usage = "", False
    try:
        value = read()
    except UsageError as error:
        problem, is_usage = str(error), True
    except (RunstoreError, OSError) as error:
        problem = error.what if isinstance(error, RunstoreError) and not in_full else str(error)
    safe = terminal_safe(problem, keep_lines=True)
    return Attempt(value, safe, is_usage, time.monotonic() - begun)
