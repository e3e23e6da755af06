"""Groups of runs: counts by status, and the spread of their metrics, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from runstore.value_classes import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The last values of one metric in a group of runs, ignoring NaN unless all are NaN.

    Attributes:
        min: The smallest.
        mean: Their mean; NaN if they include both infinities.
        max: The largest.
    """

    min: float
    mean: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroup:
    """Runs that share a value of a field.

    Attributes:
        value: The value; None for runs without one, and for those with None. NaN is a float, and
            so is a text `nan`.
        runs: Number of runs.
        statuses: Number of runs by status, without empty ones.
        last_reference: The most recently started run.
        last_name: Its short name, `mnist#7`.
        last_started_at: Its start (UTC); None if it cannot be read.
        metrics: Spread by key, without metrics that no run of the group has.
    """

    value: str | float | bool | None
    runs: int
    statuses: Mapping[str, int]
    last_reference: str
    last_name: str
    last_started_at: datetime | None
    metrics: Mapping[str, Spread]
