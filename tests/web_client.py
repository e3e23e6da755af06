"""A client of the page's server, within the process of the test."""

import asyncio
import contextlib

import httpx

from runstore.web.access import Access
from runstore.web.app import Application
from runstore.web.served import Served

PORT = 8642
BASE = f"http://127.0.0.1:{PORT}"
TOKEN = "a token of a program"  # noqa: S105 - of tests


def served_at(store, **options):
    """Return what is served of a store."""
    access = {"port": PORT, "token": TOKEN}
    access |= {name: options.pop(name) for name in ("host", "allowed_hosts") if name in options}
    return Served(store, Access(**access), **options)


class _Within(httpx.BaseTransport):
    """Hands requests to an application in this process, as httpx does for async clients."""

    def __init__(self, app):
        self._inner = httpx.ASGITransport(app)

    def handle_request(self, request):
        async def handled():
            asked = httpx.Request(
                request.method, request.url, headers=request.headers, content=request.read()
            )
            response = await self._inner.handle_async_request(asked)
            return response, b"".join([chunk async for chunk in response.stream])

        response, body = asyncio.run(handled())
        return httpx.Response(response.status_code, headers=response.headers.raw, content=body)


@contextlib.contextmanager
def client_of(served, *, headers=None, base=BASE):
    """Give a client that has the token of programs; follows no redirection."""
    headers = {"Authorization": f"Bearer {TOKEN}"} if headers is None else headers
    with httpx.Client(
        transport=_Within(Application(served)), base_url=base, headers=headers
    ) as client:
        yield client
