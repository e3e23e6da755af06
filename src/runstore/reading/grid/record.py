"""Runs as JSON objects with data from their store: in a list, or with all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from runstore.model.display.as_json import (
    artifact_as_json,
    event_as_json,
    input_as_json,
    metric_as_json,
    run_as_json,
)
from runstore.model.run import Run
from runstore.reading.names import children_of, readers_of
from runstore.storage.backend import Backend


def listed_records(parts: Iterable[Sequence[Run]]) -> Iterator[dict[str, Any]]:
    """Yield runs with summaries of their metrics, which are read once for each part of a list."""
    for part in parts:
        source = next((run.source for run in part if run.source is not None), None)
        metrics = {} if source is None else source.metrics_of_all(part)
        for run in part:
            found = list(map(metric_as_json, metrics.get(run.uid, ())))
            yield {**run_as_json(run), "metrics": found}


def full_record(backend: Backend, run: Run) -> dict[str, Any]:
    """Return a run with all its data except for points and contents."""
    return {
        **run_as_json(run),
        "metrics": list(map(metric_as_json, run.metrics.values())),
        "artifacts": [artifact_as_json(one) for one in run.artifacts.values()],
        "media": [
            {"kind": one.kind, "key": one.key, "steps": one.steps} for one in run.media.values()
        ],
        "inputs": [input_as_json(one) for one in run.inputs],
        "read_by": [reader.reference for reader in readers_of(backend, run.uid)],
        "documents": backend.database.document_names(run.uid),
        "children": [child.reference for child in children_of(backend, run.uid)],
        "events": [event_as_json(event) for event in backend.edits.events(run.uid)],
    }
