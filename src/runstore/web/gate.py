"""The gate that every request passes."""

from __future__ import annotations

import json
from collections.abc import MutableMapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from runstore.web.errors import Refusal, error_as_json
from runstore.web.notices import OF_NOTICES, again, notice

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from runstore.web.access import Access

API = "/api/"
TOKENS = "/api/v1/tokens"
LARGEST_BODY = 16 << 20  # bytes
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_OWN_SITES = frozenset({"", "same-origin", "none"})
# The page loads nothing from elsewhere, and nothing that is not a file of its own is executed.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " font-src 'self'; media-src 'self' blob:; connect-src 'self'; worker-src 'self';"
    " manifest-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none';"
    " frame-src 'self'; frame-ancestors {frames}"
)
_HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Gate:
    """Refuses requests that come from neither this page nor a program with a token."""

    def __init__(self, app: ASGIApp, access: Access, *, is_read_only: bool) -> None:
        self._app = app
        self._access = access
        self._is_read_only = is_read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # refused before it is accepted
        else:
            await self._http(_Asked(scope), receive, send)

    async def _http(self, asked: _Asked, receive: Receive, send: Send) -> None:
        guarded = _with_headers(send, self._access)
        try:
            answer = self._checked(asked)
        except Refusal as refusal:
            answer = _refused(asked, refusal)
        if answer is not None:
            await _send(guarded, *answer)
            return
        await self._app(asked.scope, _bounded(receive), guarded)

    def _checked(self, asked: _Asked) -> tuple[HTTPStatus, dict[str, str], bytes] | None:
        """Return the answer to a request that does not pass, or None."""
        self._check_names(asked)
        if asked.method == "GET" and not asked.is_api:
            token, rest = _token_in(asked.query)
            if asked.is_framed and not self._access.may_frame(asked.referrer, asked.host, token):
                raise _foreign()
            if token is not None:
                return self._let_in(asked, token, rest)
        if not self._access.is_let_in(asked.headers):
            if asked.is_from_elsewhere:
                # Browsers send the cookie only to where this page itself leads.
                return HTTPStatus.OK, dict(OF_NOTICES), again()
            raise _unknown()
        if asked.size > LARGEST_BODY:
            raise too_large()
        if self._is_read_only and asked.method not in _SAFE_METHODS and asked.path != TOKENS:
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "read-only",
                "Nothing can be changed here: the page was started with --read-only.",
                hint="Start it without that option, or use the command line.",
            )
        return None

    def _check_names(self, asked: _Asked) -> None:
        if not asked.path.startswith("/"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "usage", "The address is not a path.")
        if not self._access.is_own_host(asked.host):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                "host",
                f"This page is not served under the name {asked.host!r:.100}.",
                hint="If this name is meant to lead here, start the page with:"
                " runstore ui --allowed-host NAME",
            )
        origin = asked.headers.get("origin")
        if origin is not None and not self._access.is_own_origin(origin, asked.host):
            raise _foreign()
        if asked.site not in _OWN_SITES and not (asked.is_from_elsewhere or asked.is_framed):
            raise _foreign()

    def _let_in(
        self, asked: _Asked, token: str, rest: str
    ) -> tuple[HTTPStatus, dict[str, str], bytes]:
        """Exchange a token for a cookie, and lead to the same address without it."""
        # Two slashes would lead to another machine.
        path = "/" + asked.raw_path.lstrip("/\\")
        headers = {"location": f"{path}?{rest}" if rest else path, "cache-control": "no-store"}
        if asked.is_framed:  # where this leads to has to know as well who shows it
            headers["referrer-policy"] = "origin"
        cookie = self._access.exchange(token)
        if cookie is not None:
            name = self._access.cookie
            headers["set-cookie"] = f"{name}={cookie}; HttpOnly; SameSite=Strict; Path=/"
        elif not self._access.is_let_in(asked.headers):
            raise _unknown(was_given=True)
        return HTTPStatus.SEE_OTHER, headers, b""


class _Asked:
    """The parts of a request that the gate checks."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path = scope.get("raw_path", b"").decode("latin-1")
        self.query = scope.get("query_string", b"").decode("latin-1")
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            # Several of a name count as all of them: two hosts are none.
            sign = "; " if key == "cookie" else ","
            self.headers[key] = f"{self.headers[key]}{sign}{text}" if key in self.headers else text
        self.host = self.headers.get("host", "")
        self.is_api = self.path.startswith(API)
        self.site = self.headers.get("sec-fetch-site", "")
        is_led_here = self.headers.get("sec-fetch-mode") == "navigate" and self.method == "GET"
        leads_to = None if self.is_api or not is_led_here else self.headers.get("sec-fetch-dest")
        # A link on another page, followed by a person; nothing else from there is let through.
        self.is_from_elsewhere = leads_to == "document" and self.site in {
            "cross-site",
            "same-site",
        }

        # The page in a notebook, which another port of the same host serves.
        self.is_framed = leads_to == "iframe" and self.site == "same-site"
        self.referrer = self.headers.get("referer", "").removesuffix("/")

    @property
    def size(self) -> int:
        """The size of the body that is announced, in bytes."""
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit() and len(length) < 20):  # noqa: PLR2004
            raise Refusal(HTTPStatus.BAD_REQUEST, "usage", "The content length is not a number.")
        return int(length)


def too_large() -> Refusal:
    """Return the refusal of a body that is too large."""
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-large",
        f"A request has at most {LARGEST_BODY >> 20} MiB.",
        hint="Change fewer runs at once.",
        headers={"connection": "close"},
    )


def _foreign() -> Refusal:
    return Refusal(
        HTTPStatus.FORBIDDEN,
        "origin",
        "This request came from another page.",
        hint="Open the address that `runstore ui` prints.",
    )


def _unknown(*, was_given: bool = False) -> Refusal:
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "This token was already used, or is invalid."
        if was_given
        else "This browser or program has no access yet.",
        hint="Each printed address works once: start `runstore ui` again for another one, or send"
        " the token that it was started with."
        if was_given
        else "Open the address that `runstore ui` prints when it starts, or send the token that it"
        " was started with.",
        headers={"www-authenticate": "Bearer"},
    )


def _refused(asked: _Asked, refusal: Refusal) -> tuple[HTTPStatus, dict[str, str], bytes]:
    """Return a refusal for people if a browser shows it, or else for programs."""
    headers = {"cache-control": "no-store", **refusal.headers}
    if not asked.is_api and "text/html" in asked.headers.get("accept", ""):
        return refusal.status, {**OF_NOTICES, **headers}, notice(refusal)
    headers["content-type"] = "application/json"
    return refusal.status, headers, json.dumps(error_as_json(refusal)).encode()


def _token_in(query: str) -> tuple[str | None, str]:
    """Return the token of a query, and the query without it."""
    parts = [one for one in query.split("&") if one]
    tokens = [one.partition("=")[2] for one in parts if one.partition("=")[0] == "token"]
    rest = "&".join(one for one in parts if one.partition("=")[0] != "token")
    return (unquote_plus(tokens[0]) if tokens else None), rest


def _bounded(receive: Receive) -> Receive:
    """Return a `receive` that refuses bodies that are too large."""
    size = 0

    async def take() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise too_large()
        return message

    return take


def _protection(frames: Sequence[str]) -> dict[str, str]:
    """Return the headers that protect the page, which pages of these origins show in a frame."""
    if not frames:
        policy = _POLICY.format(frames="'none'")
        return {**_HEADERS, "content-security-policy": policy, "x-frame-options": "DENY"}
    return {**_HEADERS, "content-security-policy": _POLICY.format(frames=" ".join(frames))}


def _with_headers(send: Send, access: Access) -> Send:
    """Return a `send` that adds the protecting headers to each answer."""

    async def put(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [
                (name.encode(), text.encode())
                for name, text in _protection(access.frames).items()
                if name.encode() not in given
            ]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return put


async def _send(send: Send, status: HTTPStatus, headers: dict[str, str], body: bytes) -> None:
    sent = {**headers, "content-length": str(len(body))}
    listed = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in sent.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": listed})
    await send({"type": "http.response.body", "body": body})
