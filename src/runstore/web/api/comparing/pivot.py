"""Pivot tables, and the same as text to paste."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from runstore.repeats.pivot import SEVERAL, PivotCell, PivotKey, PivotSetting
from runstore.repeats.pivot_texts import mean_text
from runstore.repeats.texts import mean_as_plain
from runstore.web.api.grid import EXPERIMENT, FILTER
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_choice, query_list, query_text
from runstore.web.schemas import ANYTHING, REAL, TEXT, WHOLE, listed, optional, record

_SETTINGS_SHOWN = 20
_RUNS_SHOWN = 50
_REMARKS_SHOWN = 20
_KEY = record(values=listed(ANYTHING), labels=listed(TEXT))
_MEAN = {
    "n": WHOLE,
    "left_out": WHOLE,
    "mean": optional(REAL),
    "spread": optional(REAL),
    "low": optional(REAL),
    "high": optional(REAL),
    "text": TEXT,
}
_SETTING = record(label=TEXT, **_MEAN, uids=listed(TEXT))


def _pivot(call: Call) -> Answer:
    direction = call.query["direction"]
    found = call.store.pivot(
        call.query["metric"],
        call.query["rows"],
        call.query["columns"],
        call.query["filter"],
        experiment=call.query["experiment"] or None,
        over=call.query["over"] or None,
        direction=None if direction == "known" else direction,
        several=call.query["several"],
    )
    remarks = found.remarks
    return json_answer(
        {
            "metric": found.metric.key,
            "statistic": found.metric.statistic,
            "direction": found.direction,
            "level": found.level,
            "over": found.over,
            "row_fields": found.row_fields,
            "column_fields": found.column_fields,
            "rows": [_key(one) for one in found.rows],
            "columns": [_key(one) for one in found.columns],
            "cells": [_cell(one) for one in found.cells],
            "remarks": remarks[:_REMARKS_SHOWN],
            "more_remarks": max(0, len(remarks) - _REMARKS_SHOWN),
            "markdown": found.to_markdown(),
            "latex": found.to_latex(),
            "csv": found.to_csv(),
        }
    )


def _key(one: PivotKey) -> dict[str, Any]:
    return {"values": one.values, "labels": one.labels}


def _cell(one: PivotCell) -> dict[str, Any]:
    return {
        "row": one.row,
        "column": one.column,
        **mean_as_plain(one.mean),
        "text": mean_text(one.mean),
        "mark": one.mark,
        "settings": [_setting(setting) for setting in one.settings[:_SETTINGS_SHOWN]],
        "more_settings": max(0, len(one.settings) - _SETTINGS_SHOWN),
    }


def _setting(one: PivotSetting) -> dict[str, Any]:
    uids = dict.fromkeys(member.run.uid for member in one.members)
    return {
        "label": one.label,
        **mean_as_plain(one.mean),
        "text": mean_text(one.mean),
        "uids": list(uids)[:_RUNS_SHOWN],
    }


ENDPOINTS = (
    Endpoint(
        path="/pivot",
        answer=_pivot,
        about="Return the mean of repeated runs in each cell of a table.",
        parameters=(
            FILTER,
            EXPERIMENT,
            query_text("metric", "Such as acc.max; the last value by default.", is_required=True),
            query_text("rows", "Fields of the rows: params.lr, tags.phase.", is_required=True),
            query_text("columns", "Fields of the columns; none for a single column."),
            query_list("over", "Keys in which repeats differ; seeds by default.", 20),
            query_choice("direction", "Direction of better values.", ("known", "min", "max")),
            query_choice("several", "Values shown in a cell with several settings.", SEVERAL),
        ),
        result=record(
            metric=TEXT,
            statistic=TEXT,
            direction=optional({"type": "string", "enum": ["min", "max"]}),
            level=REAL,
            over=listed(TEXT),
            row_fields=listed(TEXT),
            column_fields=listed(TEXT),
            rows=listed(_KEY),
            columns=listed(_KEY),
            cells=listed(
                record(
                    row=WHOLE,
                    column=WHOLE,
                    **_MEAN,
                    mark=TEXT,
                    settings=listed(_SETTING),
                    more_settings=WHOLE,
                )
            ),
            remarks=listed(TEXT),
            more_remarks=WHOLE,
            markdown=TEXT,
            latex=TEXT,
            csv=TEXT,
        ),
        statuses=(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED),
    ),
)
