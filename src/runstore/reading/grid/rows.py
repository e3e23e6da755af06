"""Rows of a grid: runs with the cells of the shown columns."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstore.errors import NotFoundError
from runstore.model.display.as_json import duration_s, for_programs, optional_utc
from runstore.model.display.short_names import short_names
from runstore.model.query.evaluate import NAN, TRUTH, Cell, value_text
from runstore.model.query.exact import DOUBLES_TO, exact_value
from runstore.model.query.tree import Field, Namespace
from runstore.model.run import Run, status_word, time_of
from runstore.reading.details.run_subject import RunSubject
from runstore.reading.grid.columns import GridColumn
from runstore.reading.names import as_now
from runstore.storage import statements as sql
from runstore.storage.files.spool import uid_of
from runstore.storage.grid.cells import Cells

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

Row = dict[str, Any]
_SHOWN_VALUES = 3  # of a field with several values in one run


def rows_of_uids(
    backend: Backend, uids: Collection[str], columns: Sequence[GridColumn]
) -> list[Row]:
    """Return the rows of runs by uid; see `rows_of`."""
    ids = Cells(backend.database).ids_of(uids)
    return rows_of(backend, [ids[uid] for uid in uids if uid in ids], columns)


def rows_of(backend: Backend, ids: Sequence[int], columns: Sequence[GridColumn]) -> list[Row]:
    """Return the rows of runs as they are now, in the requested order.

    Runs in the trash are included; permanently deleted runs are skipped.
    """
    found = backend.database.runs_by_id(ids, among=sql.EVERY)
    runs = dict(zip(found, as_now(backend, list(found.values())), strict=True))
    names = short_names(list(runs.values()))
    metrics = _Metrics(backend, runs, [one.field.key for one in columns if _is_summary(one)])
    return [
        {
            **_head(row_id, run),
            "name": name,
            "cells": [_cell(row_id, run, one, metrics) for one in columns],
        }
        for (row_id, run), name in zip(runs.items(), names, strict=True)
    ]


def _head(row_id: int, run: Run) -> Row:
    return {
        "id": row_id,
        "uid": run.uid,
        "reference": run.reference,
        "experiment": run.experiment_name,
        "run_number": run.run_number,
        "status": status_word(run),
        "status_text": run.status_text,
        "started_at": optional_utc(time_of(run, "started_at")),
        "ended_at": optional_utc(time_of(run, "ended_at")),
        "duration_s": duration_s(run),
        "notes": run.notes,
        "tags": dict(run.tags),
        "parent_uid": run.parent_uid,
        "deleted_at": optional_utc(time_of(run, "deleted_at")),
    }


def _is_summary(column: GridColumn) -> bool:
    return column.field.namespace is Namespace.METRIC and column.step is None


def _cell(row_id: int, run: Run, column: GridColumn, metrics: _Metrics) -> Any:
    field = column.field
    if field.namespace is Namespace.METRIC:
        if column.step is not None:
            return _value_at(run, field, column.step)
        return metrics.value(row_id, run, field)
    if field.namespace is Namespace.RUN:
        if field.key == "status":
            return status_word(run)
        return None if field.key in run.damaged else for_programs(getattr(run, field.key))
    values = dict.fromkeys(map(_shown, RunSubject(run).values(field)))
    if len(values) <= 1:
        return next(iter(values), None)
    some = [value_text(one) for one in list(values)[:_SHOWN_VALUES]]
    return ", ".join(some) + (" …" if len(values) > _SHOWN_VALUES else "")


def _shown(value: Any) -> Any:
    """Return a value of a field for JSON; a number beyond a double as its digits."""
    if isinstance(value, tuple):
        cell: Cell = value
        if cell[1] in TRUTH and cell[0] is not None:
            return cell[1] == TRUTH[1]
        if cell == NAN:
            return math.nan
        value = cell[1] if cell[0] is None else exact_value(cell)
    return str(value) if isinstance(value, int) and abs(value) > DOUBLES_TO else value


def _value_at(run: Run, field: Field, step: int) -> float | None:
    """Return the last value logged at a step; None if there is none."""
    try:
        series = run.metric(field.key, field.set_name)
    except NotFoundError:
        return None
    steps = series.steps
    place = _place_in_order(steps, step)
    if place is None:
        return None
    return float(series.values[place])


def _place_in_order(steps: Any, step: int) -> int | None:
    """Return the last index of a step; most series are sorted."""
    place = bisect_left(steps, step + 1) - 1
    if place >= 0 and steps[place] == step:
        return place
    return next((n for n in range(len(steps) - 1, -1, -1) if steps[n] == step), None)


class _Metrics:
    """Summaries of some metrics of some runs, including points in flight."""

    def __init__(self, backend: Backend, runs: Mapping[int, Run], keys: Collection[str]) -> None:
        self._stored = Cells(backend.database).summaries(list(runs), set(keys)) if keys else {}
        # Points in the spool are not in the database yet.
        waiting = {uid_of(path) for path in backend.spool.point_files()} if keys else set()
        self._in_flight = {
            run.uid: tuple(run.metrics.values()) for run in runs.values() if run.uid in waiting
        }

    def value(self, row_id: int, run: Run, field: Field) -> float | None:
        """Return a value of a metric, preferably of the run itself rather than of a set."""
        for one in self._in_flight.get(run.uid, ()):
            if one.key == field.key and field.set_name in {None, one.set_name}:
                return float(getattr(one, field.part))
        place = _place_of_set(run, field.set_name)
        for stored in self._stored.get((row_id, field.key), ()):
            if place is None or stored.set_index == place:
                number = getattr(stored, field.part)
                return math.nan if number is None else number
        return None


def _place_of_set(run: Run, set_name: str | None) -> int | None:
    if set_name is None:
        return None
    names = [one.name for one in run.parameter_sets]
    return names.index(set_name) if set_name in names else len(names)
