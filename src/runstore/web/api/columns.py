"""The columns that a grid may have."""

from __future__ import annotations

from http import HTTPStatus

from runstore.reading.grid.columns import differing_columns, known_columns
from runstore.web.api.grid import EXPERIMENT, FILTER, order_asked
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_text, query_whole
from runstore.web.schemas import FLAG, TEXT, WHOLE, listed, optional, record


def _columns(call: Call) -> Answer:
    total, found = known_columns(
        call.store.backend,
        search=call.query["search"],
        offset=call.query["offset"],
        limit=call.query["limit"],
    )
    columns = [
        {"name": one.name, "kind": one.kind, "runs": one.runs, "more": one.is_at_least}
        for one in found
    ]
    return json_answer({"total": total, "columns": columns})


def _differing(call: Call) -> Answer:
    ids = order_asked(call).ids
    found = differing_columns(call.store.backend, ids, call.query["limit"])
    return json_answer({"columns": found})


ENDPOINTS = (
    Endpoint(
        path="/columns",
        answer=_columns,
        about="Return columns by name, and how many runs have each.",
        parameters=(
            query_text("search", "Words that the name has, in any order."),
            query_whole("offset", "Columns to skip.", 0),
            query_whole("limit", "Columns to return.", 100, least=1, most=1000),
        ),
        result=record(
            total=WHOLE,
            columns=listed(record(name=TEXT, kind=TEXT, runs=optional(WHOLE), more=FLAG)),
        ),
    ),
    Endpoint(
        path="/columns/differing",
        answer=_differing,
        about="Return the columns that distinguish the runs of a filter, the best first.",
        parameters=(
            FILTER,
            EXPERIMENT,
            query_whole("limit", "Columns to return.", 12, least=1, most=1000),
        ),
        result=record(columns=listed(TEXT)),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
)
