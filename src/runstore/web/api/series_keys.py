"""Metrics of some runs, to choose those to chart, and the names of their lines."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus

from runstore.repeats.line_names import LineNames
from runstore.web.api.series import RUNS, runs_there
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_text, query_whole
from runstore.web.schemas import TEXT, WHOLE, listed, optional, record


def _keys(call: Call) -> Answer:
    words = call.query["search"].casefold().split()
    runs: Counter[str] = Counter()
    points: dict[str, int] = {}
    for run in runs_there(call):
        found = call.store.metrics_of(run)
        # A key may be there for the run and for each of its sets.
        runs.update({one.key for one in found})
        for one in found:
            points[one.key] = max(points.get(one.key, 0), one.count)
    asked = [key for key in runs if all(word in key.casefold() for word in words)]
    asked.sort(key=lambda key: (-runs[key], key))
    content = [
        {"key": key, "runs": runs[key], "points": points[key]}
        for key in asked[: call.query["limit"]]
    ]
    return json_answer({"total": len(asked), "keys": content})


def _names(call: Call) -> Answer:
    runs = runs_there(call)
    names = LineNames(runs)
    lines = [
        {"uid": run.uid, "set_name": set_name, "name": names.of(run, set_name)}
        for run in runs
        for set_name in (None, *(one.name for one in run.parameter_sets))
    ]
    return json_answer({"names": lines})


ENDPOINTS = (
    Endpoint(
        path="/series/keys",
        answer=_keys,
        about="Return the metrics of some runs, the most common first.",
        parameters=(
            RUNS,
            query_text("search", "Words that the key has, in any order."),
            query_whole("limit", "Keys to return.", 100, least=1, most=1000),
        ),
        result=record(total=WHOLE, keys=listed(record(key=TEXT, runs=WHOLE, points=WHOLE))),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
    Endpoint(
        path="/series/names",
        answer=_names,
        about="Return names of the lines of some runs, with a few of the parameters that differ.",
        parameters=(RUNS,),
        result=record(names=listed(record(uid=TEXT, set_name=optional(TEXT), name=TEXT))),
        statuses=(HTTPStatus.NOT_FOUND,),
    ),
)
