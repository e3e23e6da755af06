"""Experiment: a named group of runs."""

from __future__ import annotations

from datetime import datetime

from runstore.value_classes import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A named group of runs.

    Attributes:
        name: Any printable text up to 255 bytes.
        run_count: Number of kept runs.
        last_run_number: The highest number ever assigned; numbers are never reused.
        last_started_at: Start of the newest kept run (UTC); None if there are none.
    """

    name: str
    run_count: int
    last_run_number: int
    last_started_at: datetime | None
