"""A network that swallows all packets of a connection keeps no program waiting for long."""

import ctypes
import select
import socket
import struct
import sys
import threading
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest

from runstore import Store
from runstore.storage.postgres import driver

pytest.importorskip("psycopg")
# Source: Linux, asm-generic/socket.h and the classic BPF of linux/filter.h: `ret 0`.
_ATTACH_FILTER = 26
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)


class Network:
    """A TCP connection to a server on a socket of this machine, which can lose all packets."""

    def __init__(self, url):
        self._server = urlsplit(url)
        self._ends = []
        self._door = socket.create_server(("127.0.0.1", 0))
        host, port = self._door.getsockname()
        self.url = f"postgresql://postgres@{host}:{port}{self._server.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                here = self._door.accept()[0]
                there = socket.socket(socket.AF_UNIX)
                there.connect(f"{parse_qs(self._server.query)['host'][0]}/.s.PGSQL.5432")
                self._ends.append(here)
                threading.Thread(target=self._forward, args=(here, there), daemon=True).start()

    def _forward(self, here, there):
        with here, there, suppress(OSError):
            while True:
                for end in select.select([here, there], [], [])[0]:
                    other = there if end is here else here
                    if not (sent := end.recv(1 << 16)):
                        return
                    other.sendall(sent)

    def lose_packets(self):
        """Lose all packets of existing connections, as a firewall that forgot them does."""
        program = ctypes.create_string_buffer(_DROP)
        option = struct.pack("HP", 1, ctypes.addressof(program))
        for end in self._ends:
            with suppress(OSError):  # closed before
                end.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, option)

    def close(self):
        self._door.close()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def network():
    from postgres_server import database, server

    if "host=" not in server():
        pytest.skip("the server has no socket on this machine")
    url, take_back = database()
    between = Network(url)
    yield between
    between.close()
    take_back()


@pytest.mark.skipif(sys.platform != "linux", reason="packets are dropped by a filter of Linux")
def test_connections_that_lose_all_packets_are_replaced(network, monkeypatch):
    monkeypatch.setattr(driver, "SILENT_AT_MOST_S", 0.5)
    with Store.open(network.url) as store:
        run = store.start("fit", capture=False)
        network.lose_packets()
        run.log(loss=0.5)
        run.finish()
        network.lose_packets()

        (found,) = store.find()

        assert (found.status, [*found.metric("loss").values]) == ("complete", [0.5])


def test_a_longer_silence_can_be_allowed_in_the_url():
    found = driver._usual("postgresql:///runs?tcp_user_timeout=120000")

    assert "tcp_user_timeout" not in found
    assert found["keepalives_count"] == 3
