"""The grid: the order of its runs, and some of its rows."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from http import HTTPStatus

from runstore.reading.grid.columns import columns_of
from runstore.reading.grid.grouped import field_name, group_fields, grouped
from runstore.reading.grid.order import RunOrder, run_order, uids_of
from runstore.reading.grid.rows import rows_of, rows_of_uids
from runstore.storage.query.changes import Changes
from runstore.web.encoding import Answer, json_answer, little_endian
from runstore.web.endpoints import Call, Endpoint, query_flag, query_list, query_text
from runstore.web.errors import Refusal
from runstore.web.schemas import REAL, TEXT, TIME, WHOLE, listed, mapped, optional, record

ORDER = "application/vnd.runstore.order"
ROWS_AT_MOST = 500
LARGEST_ID = 2**32 - 1
FILTER = query_text("filter", "Filter, and order, of the filter language; all runs by default.")
EXPERIMENT = query_text("experiment", "Only runs of this experiment.", longest=300)
ID = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
CELL = {"anyOf": [*REAL["anyOf"], {"type": "string"}, {"type": "boolean"}, {"type": "null"}]}
ROW = record(
    id=WHOLE,
    uid=TEXT,
    reference=TEXT,
    name=TEXT,
    experiment=TEXT,
    run_number=WHOLE,
    status=TEXT,
    status_text=TEXT,
    started_at=optional(TIME),
    ended_at=optional(TIME),
    duration_s=optional(REAL),
    notes=optional(TEXT),
    tags=mapped(TEXT),
    parent_uid=optional(TEXT),
    deleted_at=optional(TIME),
    cells=listed(CELL),
)


def order_body(changed: int, ids: Sequence[int]) -> bytes:
    """Return the order vector: `RSO1`, the count, the last change, and the row ids."""
    rows = array("I", ids)
    return struct.pack("<4sIQ", b"RSO1", len(rows), changed) + little_endian(rows)


def order_asked(call: Call) -> RunOrder:
    """Return the runs that a request asks for, in their order."""
    query = call.query
    is_trash = query.get("trash", False)
    return run_order(
        call.store.backend, query["filter"], query["experiment"] or None, is_trash=is_trash
    )


def _order(call: Call) -> Answer:
    found = order_asked(call)
    ids: Sequence[int] = found.ids
    if call.query["by"]:
        groups = grouped(call.store.backend, ids, group_fields(call.query["by"]))
        ids = [row_id for group in groups for row_id in group.ids]
    return Answer(order_body(found.changed, ids), ORDER)


def _uids(call: Call) -> Answer:
    found = order_asked(call)
    uids = uids_of(call.store.backend, found.ids)
    return json_answer({"changed": found.changed, "ids": list(uids), "uids": list(uids.values())})


def _groups(call: Call) -> Answer:
    backend = call.store.backend
    fields = group_fields(call.query["by"])
    order = order_asked(call)
    content, start = [], 0
    for group in grouped(backend, order.ids, fields):
        names = map(field_name, fields)
        values = dict(zip(names, group.values, strict=True))
        content.append({"values": values, "count": len(group.ids), "start": start})
        start += len(group.ids)
    return json_answer({"changed": order.changed, "groups": content})


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
        parameters=(
            FILTER,
            EXPERIMENT,
            query_flag("trash", "Only runs in the trash."),
            query_text("by", "Fields to group by: params.lr, status."),
        ),
        media_type=ORDER,
        result={"type": "string", "format": "binary"},
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/runs/uids",
        answer=_uids,
        about="Return the row ids and the uids of all runs that a filter accepts, in order.",
        parameters=(FILTER, EXPERIMENT, query_flag("trash", "Only runs in the trash.")),
        result=record(changed=WHOLE, ids=listed(WHOLE), uids=listed(TEXT)),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/runs/order/groups",
        answer=_groups,
        about="Return the groups of the order vector with the same `by`, in its order.",
        parameters=(
            FILTER,
            EXPERIMENT,
            query_text("by", "Fields with commas between: params.lr, status.", is_required=True),
        ),
        result=record(
            changed=WHOLE, groups=listed(record(values=mapped(CELL), count=WHOLE, start=WHOLE))
        ),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/runs/rows",
        answer=_rows,
        about="Return some rows of the grid.",
        parameters=(
            query_list("ids", "Row ids, from an order vector.", ROWS_AT_MOST, ID),
            query_list("uids", "Uids of runs, instead of row ids.", ROWS_AT_MOST),
            query_text("columns", "Columns, as in order by: params.lr, metrics.loss.min."),
        ),
        result=record(changed=WHOLE, rows=listed(ROW)),
    ),
)
