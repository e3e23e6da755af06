"""Runs side by side: their differences, and possible reasons."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from runstore.analysis.compare.as_json import (
    difference_as_json,
    gaps_as_json,
    run_name_as_json,
)
from runstore.analysis.compare.best_values import best_places, direction_for
from runstore.analysis.compare.differences import Difference
from runstore.analysis.compare.texts import texts_of
from runstore.analysis.explain.as_json import explanation_as_json
from runstore.model.display.short_names import short_names
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_flag, query_list, query_text, query_whole
from runstore.web.schemas import (
    ANYTHING,
    FLAG,
    NUMBER,
    REAL,
    TEXT,
    WHOLE,
    listed,
    optional,
    record,
)

if TYPE_CHECKING:
    from runstore.model.run import Run

RUNS_AT_MOST = 100
_ROWS, _ROWS_AT_MOST = 500, 5_000
A = query_text("a", "Any name of the first run.", longest=400, is_required=True)
B = query_text("b", "Any name of the second run.", longest=400, is_required=True)
RUN = record(reference=TEXT, uid=TEXT, name=TEXT)
_CHANGE = record(absolute=REAL, relative=optional(REAL))
_DIFFERENCE = {
    "section": TEXT,
    "key": TEXT,
    "values": listed(ANYTHING),
    "missing": listed(WHOLE),
    "unknown": listed(WHOLE),
    "texts": listed(TEXT),
}
_GAP = record(what=TEXT, run=TEXT, reason=TEXT)


# What differs


def _compare(call: Call) -> Answer:
    found = call.store.compare(
        *call.query["runs"],
        sections=call.query["sections"] or None,
        everything=call.query["everything"],
    )
    words = call.query["search"].casefold().split()
    rows = [one for one in found if all(word in one.name.casefold() for word in words)]
    kept = dict(call.store.directions)
    begin = call.query["offset"]
    shown = rows[begin : begin + call.query["limit"]]
    return json_answer(
        {
            "runs": named(found.runs),
            "total": len(rows),
            "differences": [
                {
                    **_difference(one),
                    "differs": one.differs,
                    "direction": (direction := direction_for(one, kept)),
                    "best": best_places(one, direction),
                }
                for one in shown
            ],
            "unknown": gaps_as_json(found.gaps, found.runs),
        }
    )


def named(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return runs with the shortest names that distinguish them."""
    names = short_names(runs)
    return [{**run_name_as_json(run), "name": name} for run, name in zip(runs, names, strict=True)]


def _difference(one: Difference) -> dict[str, Any]:
    return {**difference_as_json(one), "texts": texts_of(one)}


# Why


def _why(call: Call) -> Answer:
    found = call.store.explain(call.query["a"], call.query["b"], call.query["metric"] or None)
    content = explanation_as_json(found)
    content["runs"] = named(found.runs)
    content["change_text"] = None if found.change is None else str(found.change)
    content["causes"] = [
        {"name": one.difference.name, **cause, "texts": texts_of(one.difference)}
        for one, cause in zip(found.causes, content["causes"], strict=True)
    ]
    return json_answer(content)


ENDPOINTS = (
    Endpoint(
        path="/compare",
        answer=_compare,
        about="Return the differences between runs, by section.",
        parameters=(
            query_list("runs", "Any names of two or more runs.", RUNS_AT_MOST, least=2),
            query_list("sections", "Such as params, code, metrics; all by default.", 20),
            query_flag("everything", "Include equal values."),
            query_text("search", "Words that the name of a row contains."),
            query_whole("offset", "Rows to skip.", 0),
            query_whole("limit", "Rows to return.", _ROWS, least=1, most=_ROWS_AT_MOST),
        ),
        result=record(
            runs=listed(RUN),
            total=WHOLE,
            differences=listed(
                record(
                    {"change": _CHANGE},
                    **_DIFFERENCE,
                    differs=FLAG,
                    direction=optional({"type": "string", "enum": ["min", "max"]}),
                    best=listed(WHOLE),
                )
            ),
            unknown=listed(_GAP),
        ),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/why",
        answer=_why,
        about="Return why two runs may have different results, the likeliest cause first.",
        parameters=(
            A,
            B,
            query_text("metric", "The result; by default the metric that differs most."),
        ),
        result=record(
            runs=listed(RUN),
            metric=optional(TEXT),
            values=listed(REAL),
            change=optional(_CHANGE),
            change_text=optional(TEXT),
            causes=listed(
                record({"change": _CHANGE}, name=TEXT, weight=NUMBER, reason=TEXT, **_DIFFERENCE)
            ),
            unknown=listed(_GAP),
            remarks=listed(TEXT),
            runs_seen=WHOLE,
        ),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
)
