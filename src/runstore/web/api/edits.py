"""Edits of runs: tags, notes, the trash; each can be undone by the token that it returns."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from runstore.config import current_author
from runstore.maintenance.edits import (
    Done,
    edit_runs,
    restore_runs,
    trash_runs,
    undo_operation,
)
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint
from runstore.web.schemas import FLAG, TEXT, Schema, listed, mapped, optional, record

_RUNS_AT_MOST = 400_000  # what fits into one request
_RUNS: Schema = listed({"type": "string", "minLength": 1}, minItems=1, maxItems=_RUNS_AT_MOST)
_RESULT = record(runs=listed(TEXT), undo=optional(TEXT))


def _edit(call: Call) -> Answer:
    removed: Mapping[str, Any] = dict.fromkeys(call.body.get("remove_tags", ()))
    return _done(
        edit_runs(
            call.store.backend,
            call.body["runs"],
            current_author(),
            tags={**removed, **call.body.get("add_tags", {})},
            notes=[call.body["notes"] or None] if "notes" in call.body else [],
        )
    )


def _trash(call: Call) -> Answer:
    is_forced = call.body.get("force", False)
    runs = call.body["runs"]
    return _done(trash_runs(call.store.backend, runs, current_author(), is_forced=is_forced))


def _restore(call: Call) -> Answer:
    return _done(restore_runs(call.store.backend, call.body["runs"], current_author()))


def _undo(call: Call) -> Answer:
    uids = undo_operation(call.store.backend, call.body["undo"], current_author())
    return json_answer({"runs": uids}, is_cacheable=False)


def _done(done: Done) -> Answer:
    return json_answer({"runs": done.uids, "undo": done.operation}, is_cacheable=False)


def _write(path: str, answer: Any, about: str, body: Schema, result: Schema = _RESULT) -> Endpoint:
    return Endpoint(
        path=path,
        method="POST",
        answer=answer,
        about=about,
        body=body,
        result=result,
        statuses=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
        is_write=True,
    )


ENDPOINTS = (
    _write(
        "/edits",
        _edit,
        "Change tags and notes of runs, all at once.",
        record(
            {
                "add_tags": mapped(TEXT, maxProperties=100),
                "remove_tags": listed(TEXT, maxItems=100),
                "notes": optional(TEXT),
            },
            runs=_RUNS,
        ),
    ),
    _write(
        "/trash",
        _trash,
        "Move runs to the trash; with force, also runs that seem to be running.",
        record({"force": FLAG}, runs=_RUNS),
    ),
    _write("/restore", _restore, "Restore runs from the trash.", record(runs=_RUNS)),
    _write(
        "/undo",
        _undo,
        "Undo exactly the edit of a token; later edits are kept.",
        record(undo=TEXT),
        record(runs=listed(TEXT)),
    ),
)
