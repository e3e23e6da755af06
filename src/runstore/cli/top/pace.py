"""How often the store is read, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from runstore.cli.output import terminal_safe
from runstore.errors import RunstoreError, UsageError

T = TypeVar("T")
_LOAD_SHARE = 3  # of the time, what reading takes at most: a third


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it is read.

    Attributes:
        refresh_s: From the end of one reading to the next, in seconds; longer after a long one.
    """

    refresh_s: float

    def pause_s(self, took_s: float) -> float:
        """Return how long to wait after a reading, in seconds."""
        return max(self.refresh_s, (_LOAD_SHARE - 1) * took_s)


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """What came of a reading.

    Attributes:
        value: What was read; None when that was not possible.
        problem: Why, in a sentence that a terminal may show.
        is_usage: Whether what was asked for makes no sense, whatever the store holds.
        took_s: How long it took, in seconds.
    """

    value: T | None
    problem: str
    is_usage: bool
    took_s: float


def attempted(read: Callable[[], T]) -> Attempt[T]:
    """Read, and say what came of it; a store that is gone or locked is no error here."""
    begun = time.monotonic()
    value: T | None = None
    problem, is_usage = "", False
    try:
        value = read()
    except UsageError as error:
        problem, is_usage = str(error), True
    except (RunstoreError, OSError) as error:
        problem = error.what if isinstance(error, RunstoreError) else str(error)
    safe = terminal_safe(problem, keep_lines=True)
    return Attempt(value, safe, is_usage, time.monotonic() - begun)
