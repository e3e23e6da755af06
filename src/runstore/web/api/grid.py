"""The grid: which runs there are, in what order, and some of its rows."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from http import HTTPStatus

from runstore.reading.grid.columns import columns_of
from runstore.reading.grid.order import run_order
from runstore.reading.grid.rows import rows_of, rows_of_uids
from runstore.storage.query.changes import Changes
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, Flag, Listed, Text
from runstore.web.errors import Refusal
from runstore.web.schemas import REAL, TEXT, TIME, WHOLE, listed, mapped, optional, record

ORDER = "application/vnd.runstore.order"
ROWS_AT_MOST = 500
LARGEST_ID = 2**32 - 1
FILTER = Text("filter", "Filter, and order, of the filter language; all runs by default.")
EXPERIMENT = Text("experiment", "Only runs of this experiment.", longest=300)
ID = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
CELL = {"anyOf": [*REAL["anyOf"], {"type": "string"}, {"type": "boolean"}, {"type": "null"}]}
ROW = record(
    {
        "id": WHOLE,
        "uid": TEXT,
        "reference": TEXT,
        "experiment": TEXT,
        "run_number": WHOLE,
        "status": TEXT,
        "status_text": TEXT,
        "started_at": TIME,
        "ended_at": optional(TIME),
        "duration_s": optional(REAL),
        "notes": optional(TEXT),
        "tags": mapped(TEXT),
        "parent_uid": optional(TEXT),
        "deleted_at": optional(TIME),
        "cells": listed(CELL),
    }
)


def order_body(changed: int, ids: Sequence[int]) -> bytes:
    """Return the order vector: `RSO1`, the count, the last change, and the row ids."""
    rows = array("I", ids)
    if sys.byteorder == "big":
        rows.byteswap()
    return struct.pack("<4sIQ", b"RSO1", len(rows), changed) + rows.tobytes()


def _order(call: Call) -> Answer:
    found = run_order(
        call.store.backend,
        call.query["filter"],
        call.query["experiment"] or None,
        is_trash=call.query["trash"],
    )
    return Answer(order_body(found.changed, found.ids), ORDER)


def _rows(call: Call) -> Answer:
    backend = call.store.backend
    ids, uids = call.query["ids"], call.query["uids"]
    if bool(ids) is bool(uids):
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "usage", "Either ids or uids are needed.", hint="Pass one."
        )
    columns = columns_of(backend, call.query["columns"])
    changed = Changes(backend.database).last()
    rows = rows_of(backend, ids, columns) if ids else rows_of_uids(backend, uids, columns)
    return json_answer({"changed": changed, "rows": rows})


ENDPOINTS = (
    Endpoint(
        path="/runs/order",
        answer=_order,
        about="Return the row ids of all runs that a filter accepts, in order.",
        parameters=(FILTER, EXPERIMENT, Flag("trash", "Only runs in the trash.")),
        media_type=ORDER,
        result={"type": "string", "format": "binary"},
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/runs/rows",
        answer=_rows,
        about="Return some rows of the grid.",
        parameters=(
            Listed("ids", "Row ids, from an order vector.", ROWS_AT_MOST, ID),
            Listed("uids", "Uids of runs, instead of row ids.", ROWS_AT_MOST),
            Text("columns", "Columns, as in order by: params.lr, metrics.loss.min."),
        ),
        result=record({"changed": WHOLE, "rows": listed(ROW)}),
    ),
)
