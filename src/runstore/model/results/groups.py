"""Runs in groups: how many of which status, and the spread of their metrics, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Spread:
    """The last values of one metric in a group of runs; NaN is left out.

    Attributes:
        min: The smallest.
        mean: Their mean; NaN of infinity and minus infinity.
        max: The largest.
    """

    min: float
    mean: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGroup:
    """Runs that have one value of a field.

    Attributes:
        value: The value; None for runs without one.
        runs: How many runs.
        statuses: How many of each status; those without any are left out.
        last_reference: The run that was started last.
        last_started_at: Its start (UTC).
        metrics: By key; a metric that no run of the group has is left out.
    """

    value: str | float | bool | None
    runs: int
    statuses: Mapping[str, int]
    last_reference: str
    last_started_at: datetime
    metrics: Mapping[str, Spread]
