"""Filters: completion and checks while typing, and filters saved under a name."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from runstore.errors import FilterError
from runstore.model.query.parse import parse_query
from runstore.model.query.tree import Query
from runstore.reading.filters.unknown_names import add_suggestions, unknown_names
from runstore.reading.grid.completing import completions
from runstore.reading.grid.meant import meant_filters
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_text, query_whole
from runstore.web.errors import error_as_json
from runstore.web.schemas import FLAG, TEXT, WHOLE, listed, mapped, optional, record


def _filter(call: Call) -> Answer:
    text, backend = call.query["text"], call.store.backend
    at = call.query["at"]
    caret = len(text) if at is None else min(at, len(text))
    error: dict[str, Any] | None = None
    query, meant = Query(), list[str]()
    try:
        query = parse_query(text)
    except FilterError as wrong:
        meant = meant_filters(backend, text, wrong)
        if not meant:
            add_suggestions(backend, text, wrong)
        error = error_as_json(wrong)["error"]
    return json_answer(
        {
            "error": error,
            "meant": meant,
            "hints": unknown_names(backend, query),
            "order": [
                {"field": one.field.key, "descending": one.is_descending} for one in query.order
            ],
            "completions": [one._asdict() for one in completions(backend, text, caret)],
        }
    )


def _saved(call: Call) -> Answer:
    kept = call.store.queries
    return json_answer({"filters": [{"name": name, "filter": kept[name]} for name in kept]})


def _save(call: Call) -> Answer:
    kept, name = call.store.queries, call.body["name"]
    if call.body["filter"] is None:
        del kept[name]
    else:
        kept[name] = call.body["filter"]
    return json_answer({"name": name}, is_cacheable=False)


ENDPOINTS = (
    Endpoint(
        path="/filter",
        answer=_filter,
        about="Return the mistake in a filter, filters probably meant, and completions at a"
        " place.",
        parameters=(
            query_text("text", "The filter typed so far."),
            query_whole("at", "Position of the caret, from 0 (default: the end).", None),
        ),
        result=record(
            error=optional(mapped({})),
            meant=listed(TEXT),
            hints=listed(TEXT),
            order=listed(record(field=TEXT, descending=FLAG)),
            completions=listed(record(text=TEXT, kind=TEXT, start=WHOLE, end=WHOLE, detail=TEXT)),
        ),
    ),
    Endpoint(
        path="/filters",
        answer=_saved,
        about="Return the filters saved in the store.",
        result=record(filters=listed(record(name=TEXT, filter=TEXT))),
    ),
    Endpoint(
        path="/filters",
        method="POST",
        answer=_save,
        about="Save a filter under a name; null removes it.",
        body=record(name=TEXT, filter=optional(TEXT)),
        result=record(name=TEXT),
        statuses=(HTTPStatus.NOT_FOUND,),
        is_write=True,
    ),
)
