"""Experiment: a name that runs are grouped under."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A name that runs are grouped under.

    Attributes:
        name: Any printable text up to 255 bytes.
        run_count: Runs kept.
        last_run_number: The highest number ever given; numbers are never used again.
        last_started_at: Start of the newest run kept (UTC); None without runs.
    """

    name: str
    run_count: int
    last_run_number: int
    last_started_at: datetime | None
