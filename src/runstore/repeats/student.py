"""Student's distribution for whole degrees of freedom, without a library."""

from __future__ import annotations

import math
from functools import cache

# Halvings of an angle, to the last digit of a float.
_HALVINGS = 60


@cache
def student_quantile(freedom: int, level: float) -> float:
    """Return the distance from zero within which that share of the distribution lies.

    Args:
        freedom: Degrees of freedom, 1 or more.
        level: Such as 0.95.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _within(freedom, middle) < level:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _within(freedom: int, angle: float) -> float:
    """Return the share within sqrt(freedom) * tan(angle) from zero.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4.
    """
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for power in range(2 + odd, freedom - 1, 2):
        term *= square * (power - 1) / power
        total += term
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if odd else total
