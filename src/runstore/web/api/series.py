"""Points of metrics, for charts."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

from runstore.errors import NotFoundError
from runstore.model.metrics import Series
from runstore.model.run import Run
from runstore.web.encoding import Answer
from runstore.web.endpoints import Call, Choice, Endpoint, Listed, Whole

MEDIA_TYPE = "application/vnd.runstore.series"
_RUNS_AT_MOST, _KEYS_AT_MOST = 200, 50
_ALIGNED = 8


def _series(call: Call) -> Answer:
    told: list[dict[str, Any]] = []
    columns: list[bytes] = []
    for run, key, found in _found(call):
        shown = found.sampled(call.query["points"])
        made = [_x_of(run, shown, call.query["x"]), array("d", shown.values)]
        told.append(
            {
                "uid": run.uid,
                "reference": run.reference,
                "key": key,
                "set_name": None,
                "count": len(found),
                "blocks": len(shown),
                "exact": True,
                "columns": ["x", "value"],
                "offset": sum(map(len, columns)),
            }
        )
        columns.extend(map(_little_endian, made))
    return Answer(_packed(told, columns), MEDIA_TYPE)


def _found(call: Call) -> Iterator[tuple[Run, str, Series]]:
    for name in call.query["runs"]:
        run = call.store.get(name)
        for key in call.query["keys"]:
            try:
                yield run, key, run.metric(key)
            except NotFoundError:
                continue  # a chart of many runs shows those that have it


def _x_of(run: Run, shown: Series, x: str) -> array[float]:
    if x == "step":
        return array("d", map(float, shown.steps))
    begin = run.started_at.timestamp() if x == "relative" else 0.0
    return array("d", (float(time) - begin for time in shown.times))


def _little_endian(column: array[float]) -> bytes:
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _packed(told: Sequence[dict[str, Any]], columns: Sequence[bytes]) -> bytes:
    """Return the length of the head, the head, filled up with spaces, and the columns."""
    head = json.dumps({"series": told}).encode()
    head += b" " * (-(4 + len(head)) % _ALIGNED)
    return len(head).to_bytes(4, "little") + head + b"".join(columns)


ENDPOINTS = (
    Endpoint(
        path="/series",
        answer=_series,
        about="Return the points of metrics of some runs.",
        parameters=(
            Listed("runs", "Names of runs.", _RUNS_AT_MOST, least=1),
            Listed("keys", "Keys of metrics.", _KEYS_AT_MOST, least=1),
            Choice("x", "What points are drawn over.", ("step", "relative", "time")),
            Whole("points", "Points of each series at most.", 600, least=4, most=100_000),
        ),
        media_type=MEDIA_TYPE,
        result={"type": "string", "format": "binary"},
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
)
