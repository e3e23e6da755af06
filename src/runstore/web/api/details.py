"""Details of one run beside its record: parameters, edits, texts, related runs."""

from __future__ import annotations

from typing import Any

from runstore.errors import NotFoundError
from runstore.model.display.as_json import event_as_json, optional_utc
from runstore.model.display.suggestions import hint_of
from runstore.model.params.typed_rows import ROWS_AT_MOST, typed_rows
from runstore.model.run import Run, status_word, time_of
from runstore.reading.details.around import runs_around
from runstore.web.downloads import attachment
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_flag
from runstore.web.schemas import FLAG, TEXT, TIME, WHOLE, listed, optional, record

_CHILDREN_AT_MOST = 500
_SHORT = record(
    uid=TEXT,
    reference=TEXT,
    experiment=TEXT,
    run_number=WHOLE,
    status=TEXT,
    started_at=optional(TIME),
    is_deleted=FLAG,
)
_EVENT = record(
    at=TIME,
    author=TEXT,
    field=TEXT,
    old=optional(TEXT),
    new=optional(TEXT),
    operation=optional(TEXT),
    undoes=optional(TEXT),
)


def _run(call: Call) -> Run:
    return call.store.get(call.path["name"])


def _params(call: Call) -> Answer:
    sets = []
    for one in _run(call).parameter_sets:
        rows = typed_rows(one.tree)
        sets.append(
            {
                "name": one.name,
                "file": one.file,
                "hash": one.hash,
                "rows": [row._asdict() for row in rows],
                "is_cut": len(rows) == ROWS_AT_MOST,
            }
        )
    return json_answer({"sets": sets})


def _events(call: Call) -> Answer:
    return json_answer({"events": [event_as_json(one) for one in call.store.events(_run(call))]})


def _around(call: Call) -> Answer:
    found = runs_around(call.store.backend, _run(call))
    return json_answer(
        {
            "previous": _optional(found.previous),
            "next": _optional(found.next),
            "parent": _optional(found.parent),
            "children": [_short(one) for one in found.children[:_CHILDREN_AT_MOST]],
            "child_count": len(found.children),
            "sources": [_short(one) for one in found.sources],
            "readers": [_short(one) for one in found.readers[:_CHILDREN_AT_MOST]],
        }
    )


def _optional(run: Run | None) -> dict[str, Any] | None:
    return None if run is None else _short(run)


def _short(run: Run) -> dict[str, Any]:
    return {
        "uid": run.uid,
        "reference": run.reference,
        "experiment": run.experiment_name,
        "run_number": run.run_number,
        "status": status_word(run),
        "started_at": optional_utc(time_of(run, "started_at")),
        "is_deleted": run.deleted_at is not None,
    }


def _document(call: Call) -> Answer:
    run, name = _run(call), call.path["document"]
    text = call.store.document(run.uid, name)
    if text is None:
        hint = hint_of(name, call.store.documents(run.uid), who="It has")
        raise NotFoundError(f"{run.reference} has no document {name!r:.60}.", hint=hint)
    headers = attachment(f"{run.reference}.{name}.txt") if call.query["save"] else {}
    return Answer(text.encode(errors="replace"), "text/plain; charset=utf-8", headers=headers)


ENDPOINTS = (
    Endpoint(
        path="/runs/{name}/params",
        answer=_params,
        about="Return the parameters of a run by set, as rows of a tree: each value with its type"
        " and its exact text.",
        result=record(
            sets=listed(
                record(
                    name=TEXT,
                    file=optional(TEXT),
                    hash=TEXT,
                    rows=listed(
                        record(
                            key=TEXT,
                            name=TEXT,
                            depth=WHOLE,
                            type=TEXT,
                            text=TEXT,
                            size=optional(WHOLE),
                        )
                    ),
                    is_cut=FLAG,
                )
            )
        ),
    ),
    Endpoint(
        path="/runs/{name}/events",
        answer=_events,
        about="Return the edits of a run, oldest first.",
        result=record(events=listed(_EVENT)),
    ),
    Endpoint(
        path="/runs/{name}/around",
        answer=_around,
        about="Return the runs around one: before and after it in its experiment, its parent and"
        " children, and the runs that share files with it.",
        result=record(
            previous=optional(_SHORT),
            next=optional(_SHORT),
            parent=optional(_SHORT),
            children=listed(_SHORT),
            child_count=WHOLE,
            sources=listed(_SHORT),
            readers=listed(_SHORT),
        ),
    ),
    Endpoint(
        path="/runs/{name}/documents/{document}",
        answer=_document,
        about="Return a captured text of a run, such as patch or packages.",
        parameters=(query_flag("save", "Save the text as a file instead of showing it."),),
        result=TEXT,
        media_type="text/plain",
    ),
)
