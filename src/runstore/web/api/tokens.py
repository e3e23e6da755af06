"""Tokens that let another browser in."""

from __future__ import annotations

from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint
from runstore.web.schemas import TEXT, record


def _token(call: Call) -> Answer:
    access = call.served.access
    content = {"address": access.address(access.new_token())}
    return json_answer(content, is_cacheable=False, headers={"Cache-Control": "no-store"})


ENDPOINTS = (
    Endpoint(
        path="/tokens",
        method="POST",
        answer=_token,
        about="Return an address that admits one more browser, once.",
        body=record(),
        result=record(address=TEXT),
    ),
)
