"""Connections to the page's server."""

import asyncio
import contextlib
import queue
import socket
import threading

import pytest

from runstore.errors import UsageError
from runstore.web.server import Options, Serving, listening_socket


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once(host):
    """The body of an answer does not wait until its head is confirmed, which takes 40 ms."""

    async def is_sent_at_once(listening):
        accepted = asyncio.get_running_loop().create_future()

        def connected(_reader, writer):
            own = writer.get_extra_info("socket")
            accepted.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        server = await asyncio.start_server(connected, sock=listening)
        _, writer = await asyncio.open_connection(host, listening.getsockname()[1])
        try:
            return await accepted
        finally:
            writer.close()
            server.close()

    try:
        listening = listening_socket(Options(host=host, port=0))
    except UsageError:
        pytest.skip(f"this machine has no {host}")

    with contextlib.closing(listening):
        assert asyncio.run(is_sent_at_once(listening)) != 0


def test_an_address_may_be_given_as_urls_have_it(store):
    """In brackets it is the same address: only this machine reaches it, so it needs no token."""
    started = queue.Queue()
    try:
        serving = Serving(store, Options(host="[::1]", port=0), started.put)
    except UsageError as error:
        if "no token" in str(error):
            raise
        pytest.skip("this machine has no ::1")
    thread = threading.Thread(target=serving.run)

    thread.start()
    address = started.get(timeout=60)
    serving.stop()
    thread.join()

    assert address.startswith("http://[::1]:")
