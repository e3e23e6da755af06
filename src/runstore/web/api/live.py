"""Live events: changes as they happen."""

from __future__ import annotations

from runstore.web.endpoints import Endpoint, Whole
from runstore.web.live import MEDIA_TYPE

ENDPOINTS = (
    Endpoint(
        path="/live",
        answer=None,
        about="Send an event for runs that change, and for new points, until the client leaves.",
        parameters=(
            Whole("since", "The last change that the client knows; by default the present.", None),
        ),
        media_type=MEDIA_TYPE,
        result={"type": "string"},
    ),
)
