"""The server: its socket, its start, and its end at the first Ctrl-C."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from runstore.errors import UsageError
from runstore.store import Store
from runstore.value_classes import dataclass, replace
from runstore.web.access import Access, host_name, is_loopback
from runstore.web.app import Application
from runstore.web.served import Served

# Where the page is, if nobody else is there: so addresses that were kept stay valid.
USUAL_PORT = 8642
SHORTEST_TOKEN = 16
_BACKLOG = 128
# For what is being answered when the server ends.
_GRACE_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a store is served.

    Attributes:
        host: The address to listen to.
        port: The port; None for the usual one, or any that is free.
        allowed_hosts: More names that browsers may reach the page by.
        token: Token of programs; required if other machines can reach the page.
        is_read_only: Whether nothing may be changed.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    allowed_hosts: tuple[str, ...] = ()
    token: str | None = None
    is_read_only: bool = False


class Serving:
    """A store that can be reached: its socket listens, and answers once it runs.

    Attributes:
        access: Names, tokens and cookies that are accepted.

    `started` is called with the address for a browser once it can be opened.

    Raises:
        UsageError: Other machines could reach the page, and there is no token; the token is too
            short; or the port is taken.
    """

    def __init__(self, store: Store, options: Options, started: Callable[[str], object]) -> None:
        options = replace(options, host=options.host.strip("[]"))  # as addresses have it
        _check(options)
        self._listening = listening_socket(options)
        self.access = Access(
            port=self._listening.getsockname()[1],
            host=options.host,
            allowed_hosts=options.allowed_hosts,
            token=options.token,
        )
        self._served = Served(store, self.access, is_read_only=options.is_read_only)
        self._server = _Server(
            self._served, lambda: started(self.access.address(self.access.new_token()))
        )

    def run(self) -> None:
        """Serve until the process is interrupted, or `stop` is called."""
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self._listening.close()
            self._served.close()

    def stop(self) -> None:
        """End it, from another thread."""
        self._server.end()


def _check(options: Options) -> None:
    for name in options.allowed_hosts:
        host_name(name)
    if options.token is not None and len(options.token) < SHORTEST_TOKEN:
        raise UsageError(
            f"The token has fewer than {SHORTEST_TOKEN} characters.",
            hint='Create one with: python -c "import secrets; print(secrets.token_urlsafe())"',
        )
    if options.token is None and not is_loopback(options.host):
        raise UsageError(
            f"Other machines could reach the page at {options.host or 'every address'},"
            " and there is no token.",
            hint="Set RUNSTORE_UI_TOKEN, or stay on 127.0.0.1 and use: ssh -L 8642:127.0.0.1:8642",
        )


def listening_socket(options: Options) -> socket.socket:
    """Return a listening socket for the options.

    Raises:
        UsageError: The port is taken, or the address is none of this machine.
    """
    ports = [USUAL_PORT, 0] if options.port is None else [options.port]
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    for port in ports:
        try:
            made = socket.create_server((options.host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            last = error
        else:
            # asyncio sends at once only over sockets that name their protocol; over others, each
            # answer on a connection that is kept waits 40 ms for the one before to be confirmed.
            return socket.socket(
                family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=made.detach()
            )
    raise UsageError(
        f"The page cannot listen on port {ports[-1]} of {options.host}: {last.strerror or last}.",
        hint="Leave out --port to use a free one.",
    ) from last


class _Server(uvicorn.Server):
    """A server that reports its start and ends without waiting for clients."""

    def __init__(self, served: Served, started: Callable[[], object]) -> None:
        self._app = Application(served)
        super().__init__(
            uvicorn.Config(
                self._app,
                lifespan="off",
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # there is no proxy by default
                http="h11",
                ws="none",
                loop="asyncio",
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._served = served
        self._say_started = started
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and report it."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._loop.run_in_executor(self._served.threads, self._served.prepare)
        self._say_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End when a signal arrives, without waiting for clients or reads."""
        super().handle_exit(sig, frame)
        self.end()

    def end(self) -> None:
        """End without waiting for answers in progress."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._app.live.close)
        self._served.interrupt()
