"""Columns of values of many runs, for plots of runs against each other."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from runstore.model.query.spelling import field_name
from runstore.reading.grid.columns import columns_of
from runstore.reading.grid.values import ValueColumn, value_columns
from runstore.web.api.grid import EXPERIMENT, FILTER, order_asked
from runstore.web.encoding import ALIGNED, Answer, little_endian, with_head
from runstore.web.endpoints import Call, Endpoint, query_text, query_whole
from runstore.web.errors import Refusal

MEDIA_TYPE = "application/vnd.runstore.values"
RUNS_AT_MOST = 200_000
_COLUMNS_AT_MOST = 40


def _values(call: Call) -> Answer:
    backend = call.store.backend
    columns = columns_of(backend, call.query["columns"])
    if len(columns) > _COLUMNS_AT_MOST or any(one.step is not None for one in columns):
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            "usage",
            f"Expected at most {_COLUMNS_AT_MOST} columns, none of them at a step.",
            hint="Use the last, min, max, first or mean value of a metric.",
        )
    order = order_asked(call)
    shown = order.ids[: call.query["limit"]]
    made = value_columns(backend, [one.field for one in columns], shown)
    head = {"changed": order.changed, "total": len(order.ids), "count": len(shown)}
    return Answer(
        packed(head, [field_name(one.field) for one in columns], made, shown), MEDIA_TYPE
    )


def packed(
    head: dict[str, Any], names: Sequence[str], columns: Sequence[ValueColumn], ids: Sequence[int]
) -> bytes:
    """Return the length of the head, the head, and the arrays that it names, each aligned."""
    body = bytearray()

    def placed(values: array[Any]) -> int:
        """Add an array, and return where it begins."""
        begin = len(body)
        body.extend(little_endian(values))
        body.extend(b"\0" * (-len(body) % ALIGNED))
        return begin

    content = {
        **head,
        "ids": placed(array("I", ids)),
        "columns": [
            {
                "name": name,
                "kind": one.kind,
                "values": placed(one.values),
                "missing": len(one.missing),
                "missing_places": placed(one.missing),
                "categories": one.categories,
                "others": one.others,
            }
            for name, one in zip(names, columns, strict=True)
        ],
    }
    return with_head(content, bytes(body))


ENDPOINTS = (
    Endpoint(
        path="/runs/values",
        answer=_values,
        about="Return columns of values of the runs that a filter accepts, in order.",
        parameters=(
            FILTER,
            EXPERIMENT,
            query_text("columns", "Columns, as in order by: params.lr, metrics.loss.min."),
            query_whole(
                "limit", "Maximum number of runs.", RUNS_AT_MOST, least=1, most=RUNS_AT_MOST
            ),
        ),
        media_type=MEDIA_TYPE,
        result={"type": "string", "format": "binary"},
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
)
