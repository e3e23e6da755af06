"""Runs and their parts as JSON objects, for the command line and the page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from runstore.model.run import status_word, time_of
from runstore.value_classes import asdict

if TYPE_CHECKING:
    from runstore.model.artifacts import Artifact, Input
    from runstore.model.metrics import MetricSummary
    from runstore.model.results.events import Event
    from runstore.model.run import Run

_SAME = (
    "uid", "experiment_name", "run_number", "reference", "timestamp", "notes", "error",
    "traceback", "exit_code", "parent_uid", "commit", "workdir_dirty", "cli", "hostname",
    "full_store", "reproduce",
)  # fmt: skip
_OF_METRIC = (
    "key", "set_name", "count", "first", "last", "min", "max", "mean", "last_step",
)  # fmt: skip


def as_utc(at: datetime) -> str:
    """Return a time as ISO 8601 with Z."""
    return at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def optional_utc(at: datetime | None) -> str | None:
    """Return a time as ISO 8601 with Z; None for none."""
    return None if at is None else as_utc(at)


def for_programs(value: Any) -> Any:
    """Return a value with times as ISO 8601, and durations in seconds."""
    if isinstance(value, datetime):
        return as_utc(value)
    return value.total_seconds() if isinstance(value, timedelta) else value


def run_as_json(run: Run) -> dict[str, Any]:
    """Return the attributes of `Run`, with times in UTC and durations in seconds.

    A status that cannot be read is `damaged`, and such a time is None.
    """
    return {
        **{name: getattr(run, name) for name in _SAME},
        **{
            name: optional_utc(time_of(run, name))
            for name in ("started_at", "ended_at", "last_seen_at")
        },
        "status": status_word(run),
        "damaged": list(run.damaged),
        "duration_s": duration_s(run),
        "parameter_sets": [
            {"name": one.name, "file": one.file, "hash": one.hash, "values": one.values}
            for one in run.parameter_sets
        ],
        "tags": dict(run.tags),
        "facts": dict(run.facts.values),
        "unknown_facts": dict(run.facts.unknown),
    }


def duration_s(run: Run) -> float | None:
    """Return the duration of a run in seconds; None while it is running."""
    return None if run.duration is None else run.duration.total_seconds()


def event_as_json(event: Event) -> dict[str, Any]:
    """Return an edit of a run."""
    return {**event._asdict(), "at": optional_utc(event.at)}


def metric_as_json(one: MetricSummary) -> dict[str, Any]:
    """Return the summary of a metric; long lists have many."""
    return {name: getattr(one, name) for name in _OF_METRIC}


def artifact_as_json(one: Artifact) -> dict[str, Any]:
    """Return an artifact of a run."""
    return _with_times(one, ("saved_at",))


def input_as_json(one: Input) -> dict[str, Any]:
    """Return an input of a run."""
    return _with_times(one, ("modified_at", "used_at"))


def _with_times(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    times: Mapping[str, str | None] = {name: optional_utc(getattr(value, name)) for name in names}
    return {**asdict(value), **times}
