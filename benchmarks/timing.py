"""How long a call takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def spent_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Return the median of some calls, in milliseconds."""
    return statistics.median(spent_ms(work) for _ in range(rounds))
