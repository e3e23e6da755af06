"""The tables of a dataset: their columns, and their rows.

Each row begins with the run, so that tables can be joined and read one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstore.extras import library
from runstore.model.query.evaluate import shown_text
from runstore.model.run import status_word, time_of
from runstore.reading.metrics.summaries import summaries_of_all

if TYPE_CHECKING:
    import pyarrow as pa

    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_RUN = {"uid": "string", "run": "string", "experiment": "string", "run_number": "int64"}
POINT = {
    "set": "string",
    "key": "string",
    "step": "int64",
    "time": "time",
    "value": "float64",
}
METRICS = "metrics"
# Columns of each table with their Arrow types; times are microseconds in UTC.
TABLES: Mapping[str, Mapping[str, str]] = {
    "runs": {
        **_RUN,
        "status": "string",
        "started": "time",
        "ended": "time",
        "duration_s": "float64",
        "exit_code": "int64",
        "error": "string",
        "notes": "string",
        "commit": "string",
        "dirty": "bool_",
        "command": "string",
        "hostname": "string",
        "parent_uid": "string",
        "facts": "string",
    },
    "params": {
        **_RUN,
        "file": "string",
        "set": "string",
        "hash": "string",
        "key": "string",
        "number": "float64",
        "text": "string",
    },
    "series": {
        **_RUN,
        "set": "string",
        "key": "string",
        "count": "int64",
        "first": "float64",
        "last": "float64",
        "min": "float64",
        "max": "float64",
        "mean": "float64",
        "last_step": "int64",
    },
    "tags": {**_RUN, "key": "string", "value": "string"},
    "artifacts": {
        **_RUN,
        "path": "string",
        "size_bytes": "int64",
        "media_type": "string",
        "digest": "string",
        "saved": "time",
    },
    METRICS: {**_RUN, **POINT},
}
_INT64 = 2**63


def schema_of(table: str) -> pa.Schema:
    """Return the Arrow schema of a table.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow = library("pyarrow", "arrow")
    special = {"time": arrow.timestamp("us", tz="UTC")}
    return arrow.schema(
        [
            (name, special.get(kind) or getattr(arrow, kind)())
            for name, kind in TABLES[table].items()
        ]
    )


def rows_of(backend: Backend, runs: Sequence[Run]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of runs in all tables except that of points."""
    summaries = summaries_of_all(backend.metrics, backend.spool, runs)
    found: dict[str, list[tuple[Any, ...]]] = {
        "runs": [(*_run(run), *_fields(run)) for run in runs],
        "params": [(*_run(run), *row) for run in runs for row in _params(run)],
        "series": [
            (*_run(run), one.set_name, one.key, one.count, one.first, one.last, one.min, one.max,
             one.mean, one.last_step)
            for run in runs for one in summaries[run.uid]
        ],
        "tags": [(*_run(run), *tag) for run in runs for tag in sorted(run.tags.items())],
        "artifacts": [
            (*_run(run), one.path, one.size_bytes, one.media_type, one.digest, one.saved_at)
            for run in runs for one in backend.artifacts.of_run(run.uid)
        ],
    }  # fmt: skip
    return found


def run_columns(runs: Sequence[Run]) -> Sequence[Sequence[Any]]:
    """Return the columns with which each row begins, for these runs."""
    return list(zip(*map(_run, runs), strict=True)) or [()] * len(_RUN)


def _run(run: Run) -> tuple[Any, ...]:
    return run.uid, run.reference, run.experiment_name, run.run_number


def _fields(run: Run) -> tuple[Any, ...]:
    duration = run.duration
    return (
        status_word(run),
        time_of(run, "started_at"),
        time_of(run, "ended_at"),
        None if duration is None else duration.total_seconds(),
        _as_int64(run.exit_code),
        run.error,
        run.notes,
        run.commit,
        run.workdir_dirty,
        run.cli,
        run.hostname,
        run.parent_uid,
        json.dumps(dict(run.facts.values), ensure_ascii=False, default=str),
    )


def _params(run: Run) -> Iterator[tuple[Any, ...]]:
    for one in run.parameter_sets:
        for key, number, text in one.flat():
            yield one.file, one.name, one.hash, key, number, shown_text((number, text))


def _as_int64(value: int | None) -> int | None:
    return None if value is None or not -_INT64 <= value < _INT64 else value
