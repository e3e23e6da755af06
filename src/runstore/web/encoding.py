"""Answers as bytes: strict JSON or binary, with an ETag, compressed if the client accepts it."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from array import array
from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from runstore.model.display.plain import plain
from runstore.value_classes import dataclass, field

JSON = "application/json"
ALIGNED = 8  # bytes, as arrays of doubles need it
_COMPRESSED_FROM = 1000  # bytes
_QUICK = 1  # level of gzip: the answer does not travel far
_COMPRESSED_TYPES = ("application/json", "application/vnd.runstore.", "text/", "image/svg")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of an endpoint.

    Attributes:
        body: The bytes.
        media_type: Media type of the contents.
        status: The HTTP status.
        headers: More headers.
        is_cacheable: Whether asking again may find nothing new, so that there is an ETag.
        stream: Parts of the body, which are then sent as they come instead of `body`, not
            compressed; it is closed in the end.
    """

    body: bytes
    media_type: str = JSON
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cacheable: bool = True
    stream: Generator[bytes] | None = None


def json_answer(value: object, status: HTTPStatus = HTTPStatus.OK, **more: Any) -> Answer:
    """Return a value as strict JSON; values without a JSON form become text."""
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False)
    return Answer(text.encode("ascii"), status=status, **more)


def little_endian(values: array[Any]) -> bytes:
    """Return the numbers of an array in the order of bytes that clients expect."""
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def with_head(head: Mapping[str, Any], body: bytes) -> bytes:
    """Return the length of a JSON head, the head, and a body, which is aligned."""
    text = json.dumps(head).encode()
    text += b" " * (-(4 + len(text)) % ALIGNED)
    return len(text).to_bytes(4, "little") + text + body


def response_to(request: Request, answer: Answer) -> Response:
    """Return the HTTP response: 304 without a body if the client has it already."""
    headers = {"Cache-Control": "private, no-cache", **answer.headers}
    if answer.stream is not None:
        return _streamed(request, answer, answer.stream, headers)
    if answer.is_cacheable and answer.status is HTTPStatus.OK:
        headers["ETag"] = etag_of(answer.body)
        if _has_it(request, headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    body = answer.body
    if answer.media_type.startswith(_COMPRESSED_TYPES):
        headers["Vary"] = "Accept-Encoding"
        if len(body) > _COMPRESSED_FROM and _takes_gzip(request):
            body = gzip.compress(body, _QUICK, mtime=0)
            headers["Content-Encoding"] = "gzip"
    return Response(body, answer.status, headers, answer.media_type)


def _streamed(
    request: Request, answer: Answer, stream: Generator[bytes], headers: Mapping[str, str]
) -> Response:
    if request.method == "HEAD":
        stream.close()
        return Response(None, answer.status, headers, answer.media_type)
    closing = BackgroundTask(stream.close)
    return StreamingResponse(stream, answer.status, headers, answer.media_type, closing)


def etag_of(body: bytes) -> str:
    """Return the ETag of a body; a weak one, as it may be compressed or not."""
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _has_it(request: Request, etag: str) -> bool:
    known = ",".join(request.headers.getlist("if-none-match"))
    return request.method in {"GET", "HEAD"} and is_among(known, etag)


def is_among(known: str, etag: str) -> bool:
    """Check whether an `If-None-Match` lists an ETag of ours; a proxy may have weakened it.

    Source: RFC 9110, 13.1.2.
    """
    listed = {one.strip().removeprefix("W/") for one in known.split(",")}
    return known.strip() == "*" or etag.removeprefix("W/") in listed


def _takes_gzip(request: Request) -> bool:
    for one in ",".join(request.headers.getlist("accept-encoding")).split(","):
        name, _, quality = one.partition(";")
        if name.strip().lower() in {"gzip", "*"}:
            return quality.replace(" ", "").lower() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
