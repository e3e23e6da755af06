"""The files of the built page; all other addresses are views of the page."""

from __future__ import annotations

import mimetypes
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runstore.web.encoding import Answer, response_to
from runstore.web.notices import OF_NOTICES, page

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
# The machine's tables of types must not affect browsers.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
# Files whose names have a digest of what they hold.
_DIGESTED = "assets"
_FOR_EVER = "private, max-age=31536000, immutable"


class Pages:
    """Serves the files of a folder."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a file or a view."""
        request = Request(scope, receive)
        await self._response(request)(scope, receive, send)

    def _response(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            allowed = {"Allow": "GET, HEAD"}
            return Response(status_code=HTTPStatus.METHOD_NOT_ALLOWED, headers=allowed)
        parts = [one for one in request.url.path.split("/") if one]
        found = self._file(parts)
        if found is not None:
            headers = {"Cache-Control": _FOR_EVER} if parts[0] == _DIGESTED else {}
            body, media_type = found
            return response_to(request, Answer(body, media_type, headers=headers))
        if parts and parts[0] == _DIGESTED:
            return Response(status_code=HTTPStatus.NOT_FOUND)
        index = self._file([INDEX])
        if index is None:
            return Response(_not_built(), HTTPStatus.NOT_FOUND, dict(OF_NOTICES))
        return response_to(request, Answer(*index))

    def _file(self, parts: list[str]) -> tuple[bytes, str] | None:
        """Return a file and its type; None if it is not a built file."""
        # Built files have plain names; nothing else is looked for on the disk.
        if not parts or not all(map(_is_plain, parts)):
            return None
        path = self._folder.joinpath(*parts)
        try:
            body = path.read_bytes()
        except OSError:
            return None
        guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return body, _TYPES.get(path.suffix, guessed)


def _is_plain(part: str) -> bool:
    return (
        part.isascii()
        and part[0] not in ".~"
        and all(one.isalnum() or one in "-_." for one in part)
    )


def _not_built() -> bytes:
    return page(
        "The page is not built.",
        "This checkout has no built page. Build it in the folder ui with npm ci and"
        " npm run build, or install runstore again with pip. The API works without it.",
    )
