"""Every endpoint of the API, in the order in which it is described."""

from __future__ import annotations

from runstore.web.api import (
    artifacts,
    columns,
    details,
    edits,
    experiments,
    filters,
    grid,
    output,
    runs,
    series,
    series_keys,
    store,
    tokens,
)
from runstore.web.api.comparing import code, differences, pivot, values
from runstore.web.encoding import json_answer
from runstore.web.endpoints import Endpoint, query_whole
from runstore.web.live import MEDIA_TYPE
from runstore.web.openapi import description
from runstore.web.schemas import mapped

ENDPOINTS: tuple[Endpoint, ...] = (
    *store.ENDPOINTS,
    Endpoint(
        path="/openapi.json",
        answer=lambda _: json_answer(description(ENDPOINTS)),
        about="Return this description.",
        result=mapped({}),
    ),
    *grid.ENDPOINTS,
    *columns.ENDPOINTS,
    *differences.ENDPOINTS,
    *code.ENDPOINTS,
    *values.ENDPOINTS,
    *pivot.ENDPOINTS,
    *filters.ENDPOINTS,
    *series.ENDPOINTS,
    *series_keys.ENDPOINTS,
    *experiments.ENDPOINTS,
    *edits.ENDPOINTS,
    *tokens.ENDPOINTS,
    Endpoint(
        path="/live",
        answer=None,
        about="Send an event for runs that change, and for new points, until the client leaves.",
        parameters=(
            query_whole(
                "since", "The last change that the client knows; by default the present.", None
            ),
        ),
        media_type=MEDIA_TYPE,
        result={"type": "string"},
    ),
    *details.ENDPOINTS,
    *output.ENDPOINTS,
    *artifacts.ENDPOINTS,
    # Names of runs are any text: what is more special comes first.
    *runs.ENDPOINTS,
)
