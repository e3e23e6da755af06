"""Runs as lists of pages, and one run with all that is kept of it."""

from __future__ import annotations

from http import HTTPStatus

from runstore.model.arguments import PAGE_LIMIT
from runstore.reading.grid.record import full_record, listed_records
from runstore.web.api.grid import EXPERIMENT, FILTER
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_text, query_whole
from runstore.web.schemas import TEXT, listed, mapped, optional, record


def _runs(call: Call) -> Answer:
    page = call.store.find(
        call.query["filter"],
        experiment=call.query["experiment"] or None,
        limit=call.query["limit"],
        after=call.query["after"] or None,
    )
    runs = list(listed_records([page.items]))
    return json_answer({"runs": runs, "next": page.next, "hints": page.hints})


def _run(call: Call) -> Answer:
    return json_answer(full_record(call.store.backend, call.store.get(call.path["name"])))


ENDPOINTS = (
    Endpoint(
        path="/runs",
        answer=_runs,
        about="Return one page of the runs that a filter accepts, with summaries of metrics.",
        parameters=(
            FILTER,
            EXPERIMENT,
            query_whole("limit", "Runs per page.", 50, least=1, most=PAGE_LIMIT),
            query_text("after", "The `next` of the page before."),
        ),
        result=record(runs=listed(mapped({})), next=optional(TEXT), hints=listed(TEXT)),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/runs/{name}",
        answer=_run,
        about="Return one run, by any name of it.",
        result=mapped({}),
    ),
)
