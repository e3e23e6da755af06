"""The application: endpoints of the API, the files of the page, and the gate in front of both."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from runstore.errors import RunstoreError
from runstore.web.api.all_endpoints import ENDPOINTS
from runstore.web.encoding import Answer, json_answer, response_to
from runstore.web.endpoints import Call, Endpoint
from runstore.web.errors import Refusal, bug_as_json, error_as_json, status_of
from runstore.web.gate import API, Gate
from runstore.web.live import Live
from runstore.web.pages import Pages
from runstore.web.served import Served

ROOT = "/api/v1"
_RETRY_AFTER_S = 1


class Application:
    """The application, protected by its gate."""

    def __init__(self, served: Served) -> None:
        self.live = Live(served)
        router = Router(routes=list(_routes(served, self.live)), redirect_slashes=False)
        inner = _Encoded(router, Pages())
        self._gate = Gate(inner, served.access, is_read_only=served.is_read_only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._gate(scope, receive, send)


class _Encoded:
    """Leads to the page, or to the API by the path as it was sent: names may have slashes."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the server's word that it starts or ends
            await self._api(scope, receive, send)
        elif scope["path"].startswith(API):
            raw = scope["raw_path"].decode("latin-1")
            await self._api({**scope, "path": raw}, receive, send)
        else:
            await self._pages(scope, receive, send)


def _routes(served: Served, live: Live) -> Iterable[BaseRoute]:
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    for path, by_method in by_path.items():
        yield Route(ROOT + path, _Subject(served, live, by_method))
    yield Route("/{rest:path}", _Nothing())


class _Nothing:
    """Return an error for other addresses of the API."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        refusal = Refusal(
            HTTPStatus.NOT_FOUND,
            "no-endpoint",
            "There is no such address in the API.",
            hint=f"All addresses are described at {ROOT}/openapi.json",
        )
        await response_to(request, _refused(refusal))(scope, receive, send)


class _Subject:
    """The endpoints of one path, by method."""

    def __init__(self, served: Served, live: Live, by_method: Mapping[str, Endpoint]) -> None:
        self._served = served
        self._live = live
        self._by_method = by_method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except ClientDisconnect:
            return
        if response is not None:
            await response(scope, receive, send)
            return
        change = request.headers.get("last-event-id", request.query_params.get("since", ""))
        is_known = change.isascii() and change.isdigit()
        await self._live.answer(receive, send, int(change[:18]) if is_known else None)

    async def _response(self, request: Request) -> Response | None:
        """Return the response; None for live events, which have no end."""
        try:
            answer = await self._answer(request)
            return None if answer is None else response_to(request, answer)
        except Refusal as refusal:
            return response_to(request, _refused(refusal))
        except RunstoreError as error:
            status = status_of(error)
            is_passing = status is HTTPStatus.SERVICE_UNAVAILABLE
            headers = {"Retry-After": str(_RETRY_AFTER_S)} if is_passing else {}
            content = json_answer(error_as_json(error), status, headers=headers)
            return response_to(request, content)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost layer: nothing else would report it
            traceback.print_exception(error, file=sys.stderr)
            return response_to(
                request, json_answer(bug_as_json(error), HTTPStatus.INTERNAL_SERVER_ERROR)
            )

    async def _answer(self, request: Request) -> Answer | None:
        endpoint = self._endpoint(request.method)
        query = endpoint.query_of(_pairs(request.url.query))
        path = {name: _decoded(text) for name, text in request.path_params.items()}
        answer = endpoint.answer
        if answer is None:
            return None
        body = await _body(request, endpoint)
        headers = {name.lower(): text for name, text in request.headers.items()}

        def work() -> Answer:
            with self._served.opened(is_write=endpoint.is_write) as store:
                return answer(Call(self._served, store, path, query, body, headers))

        return await asyncio.get_running_loop().run_in_executor(self._served.threads, work)

    def _endpoint(self, method: str) -> Endpoint:
        found = self._by_method.get("GET" if method == "HEAD" else method)
        if found is None:
            allowed = [*self._by_method, *(["HEAD"] if "GET" in self._by_method else [])]
            raise Refusal(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "method",
                f"{method:.20} is not possible here.",
                hint=f"Possible are: {', '.join(allowed)}.",
                headers={"Allow": ", ".join(allowed)},
            )
        return found


def _refused(refusal: Refusal) -> Answer:
    return json_answer(error_as_json(refusal), refusal.status, headers=refusal.headers)


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:  # too many, or no UTF-8
        what = "The query is not UTF-8, or has too many parameters."
        raise Refusal(HTTPStatus.BAD_REQUEST, "usage", what) from None


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        what = "The path is not UTF-8."
        raise Refusal(HTTPStatus.BAD_REQUEST, "usage", what) from None


async def _body(request: Request, endpoint: Endpoint) -> dict[str, object]:
    if endpoint.body is None:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "This needs a body of the type application/json.",
            hint="Send the header Content-Type: application/json.",
        )
    try:
        value = json.loads(await request.body())
    except (ValueError, RecursionError):
        what = "The body is not JSON."
        raise Refusal(HTTPStatus.BAD_REQUEST, "usage", what) from None
    return endpoint.check_body(value)
