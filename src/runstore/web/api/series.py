"""Metrics as charts show them: blocks with their extremes, so that no spike is lost."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from runstore.errors import RunNotFoundError, StoreCorruptError
from runstore.model.outline import AXES, SeriesOutline
from runstore.model.run import Run
from runstore.reading.metrics.mean_curves import mean_curves
from runstore.reading.metrics.outlines import Scope, files_by_run, outlines_of
from runstore.repeats.grouping import LeftOut
from runstore.web.api.grid import ID
from runstore.web.encoding import Answer, json_answer, little_endian, with_head
from runstore.web.endpoints import (
    Call,
    Endpoint,
    query_choice,
    query_list,
    query_number,
    query_text,
    query_whole,
)
from runstore.web.schemas import REAL, listed, mapped, record

MEDIA_TYPE = "application/vnd.runstore.series"
_RUNS_AT_MOST, _KEYS_AT_MOST, _LINES_AT_MOST = 500, 50, 500
_MEANS = ("x", "mean", "low", "high", "n")
_BLOCKS = ("x", "first", "min", "max", "last", "x_last")
RUNS = query_list("runs", "Names of runs.", _RUNS_AT_MOST, least=1)
KEYS = query_list("keys", "Keys of metrics.", _KEYS_AT_MOST, least=1)
X = query_choice(
    "x", "Quantity on the x axis; the relative time is the time since the start.", AXES
)
FROM = query_number(
    "from", "Start of the window on the x axis, in steps or seconds; unlimited by default."
)
TO = query_number("to", "End of the window; unlimited by default.")
POINTS = query_whole(
    "points", "Blocks are at most as wide as the window divided by this.", 600, 4, 10_000
)


def scope_asked(call: Call) -> Scope:
    """Return the part of each series that a request asks for."""
    query = call.query
    return Scope(query["x"], query["from"], query["to"], query["points"])


def runs_there(call: Call) -> list[Run]:
    """Return the runs named in a request; if a run was deleted meanwhile, it is left out.

    Raises:
        RunNotFoundError: None of them exists.
    """
    found: dict[str, Run] = {}
    missing: RunNotFoundError | None = None
    for name in call.query["runs"]:
        try:
            run = call.store.get(name)
        except RunNotFoundError as error:
            missing = error
        else:
            found[run.uid] = run
    if missing and not found:
        raise missing
    return list(found.values())


def columns_answer(name: str, content: Sequence[Mapping[str, Any]], **more: Any) -> Answer:
    """Return lines with their columns: the length of the head, the head, the columns.

    Args:
        name: Name of the list of lines in the head.
        content: Entry of each line in the head; `columns` are the columns by name.
        more: Other entries of the head.
    """
    heads: list[dict[str, Any]] = []
    parts: list[bytes] = []
    at = 0
    for one in content:
        columns = {
            name: little_endian(array("d", column)) for name, column in one["columns"].items()
        }
        heads.append({**one, "columns": list(columns), "offset": at})
        parts.extend(columns.values())
        at += sum(map(len, columns.values()))
    return Answer(with_head({name: heads, **more}, b"".join(parts)), MEDIA_TYPE)


def _series(call: Call) -> Answer:
    left_out: list[LeftOut] = []
    content = list(_lines(call, left_out))
    return columns_answer("series", content, left_out=_names(left_out))


def _lines(call: Call, left_out: list[LeftOut]) -> Iterator[dict[str, Any]]:
    files = files_by_run(call.store.backend)
    for run in runs_there(call):
        # A chart of many runs shows those that have the metric.
        for key, set_name, found in _outlines(call, run, files, left_out):
            yield {
                "uid": run.uid,
                "reference": run.reference,
                "key": key,
                "set_name": set_name,
                "count": found.count,
                "blocks": len(found),
                "exact": found.is_exact,
                "columns": {"x": found.x, "value": found.last}
                if found.is_exact
                else {column: getattr(found, column) for column in _BLOCKS},
            }


def _outlines(
    call: Call, run: Run, files: Mapping[str, list[Path]], left_out: list[LeftOut]
) -> Iterator[tuple[str, str | None, SeriesOutline]]:
    """Yield the outlines of a run; a series that is damaged costs no other."""
    keys, backend, scope = call.query["keys"], call.store.backend, scope_asked(call)
    try:
        yield from outlines_of(backend, run, keys, scope, files)
    except StoreCorruptError:
        for key in keys:
            try:
                yield from outlines_of(backend, run, [key], scope)
            except StoreCorruptError as error:
                left_out.append(LeftOut(run.reference, error.what))


def _names(left_out: Sequence[LeftOut]) -> list[dict[str, str]]:
    return [{"name": one.name, "reason": one.reason} for one in left_out]


def _groups(call: Call) -> Answer:
    asked = call.query["keys"], scope_asked(call)
    found = mean_curves(call.store.backend, runs_there(call), *asked)
    content = [
        {
            "key": one.key,
            "set_name": one.set_name,
            "id": one.identity,
            "label": one.label,
            "runs": list(one.runs),
            "blocks": len(one.x),
            "columns": {column: getattr(one, column) for column in _MEANS},
        }
        for one in found.curves
    ]
    return columns_answer("groups", content, level=found.level, left_out=_names(found.left_out))


def _sparklines(call: Call) -> Answer:
    points, backend = call.query["points"], call.store.backend
    scope = Scope("step", None, None, max(points // 4, 1))
    lines, files = {}, files_by_run(backend)
    for row_id, run in backend.database.runs_by_id(call.query["ids"]).items():
        with suppress(StoreCorruptError):  # the run goes without its line
            for _, _, found in outlines_of(backend, run, [call.query["key"]], scope, files)[:1]:
                lines[str(row_id)] = found.values[:points]
    return json_answer({"sparklines": lines})


ENDPOINTS = (
    Endpoint(
        path="/series",
        answer=_series,
        about="Return metrics of some runs in blocks, or point by point if there are few points.",
        parameters=(RUNS, KEYS, X, FROM, TO, POINTS),
        media_type=MEDIA_TYPE,
        result={"type": "string", "format": "binary"},
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/series/groups",
        answer=_groups,
        about="Return means, with intervals, over runs that differ only in their seed.",
        parameters=(RUNS, KEYS, X, FROM, TO, POINTS),
        media_type=MEDIA_TYPE,
        result={"type": "string", "format": "binary"},
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/sparklines",
        answer=_sparklines,
        about="Return a few values of a metric for a sparkline, by row id.",
        parameters=(
            query_list("ids", "Row ids, from an order vector.", _LINES_AT_MOST, ID),
            query_text("key", "Key of the metric.", is_required=True),
            query_whole("points", "Maximum number of values for each run.", 32, 4, 1000),
        ),
        result=record(sparklines=mapped(listed(REAL))),
    ),
)
