"""The line that a filter is typed in: what is wrong with it, and what may follow."""

from __future__ import annotations

from typing import Any

from runstore.errors import FilterError
from runstore.model.query.parse import parse_query
from runstore.model.query.tree import Query
from runstore.reading.grid.completing import completions
from runstore.reading.unknown_names import unknown_names
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, Text, Whole
from runstore.web.errors import error_as_json
from runstore.web.schemas import FLAG, TEXT, WHOLE, listed, mapped, optional, record


def _filter(call: Call) -> Answer:
    text, backend = call.query["text"], call.store.backend
    at = call.query["at"]
    caret = len(text) if at is None else min(at, len(text))
    error: dict[str, Any] | None = None
    query = Query()
    try:
        query = parse_query(text)
    except FilterError as wrong:
        error = error_as_json(wrong)["error"]
    return json_answer(
        {
            "error": error,
            "hints": unknown_names(backend, query),
            "order": [
                {"field": one.field.key, "descending": one.is_descending} for one in query.order
            ],
            "completions": [one._asdict() for one in completions(backend, text, caret)],
        }
    )


ENDPOINTS = (
    Endpoint(
        path="/filter",
        answer=_filter,
        about="Return what is wrong with a filter, and what may be typed at a place of it.",
        parameters=(
            Text("text", "The filter, as far as it is typed."),
            Whole("at", "The place of the caret, from 0; the end by default.", None),
        ),
        result=record(
            {
                "error": optional(mapped({})),
                "hints": listed(TEXT),
                "order": listed(record({"field": TEXT, "descending": FLAG})),
                "completions": listed(
                    record(
                        {"text": TEXT, "kind": TEXT, "start": WHOLE, "end": WHOLE, "detail": TEXT}
                    )
                ),
            }
        ),
    ),
)
