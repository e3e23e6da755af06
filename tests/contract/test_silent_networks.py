"""A network or a server that is silent keeps no program waiting for long."""

import ctypes
import select
import socket
import struct
import sys
import threading
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit

import pytest

from runstore import Store
from runstore.errors import ServerUnreachableError, StoreLockedError, StoreWarning
from runstore.recording import aside
from runstore.storage.postgres import away, driver
from runstore.storage.postgres.connections import pool, waits

psycopg = pytest.importorskip("psycopg")
# Source: Linux, asm-generic/socket.h and the classic BPF of linux/filter.h: `ret 0`.
_ATTACH_FILTER = 26
_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)


class Network:
    """A TCP connection to a server on a socket of this machine, which can lose all packets."""

    def __init__(self, url):
        self._server = urlsplit(url)
        self._ends = []
        self._answers = True
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
                    if self._answers:
                        other.sendall(sent)

    def lose_packets(self):
        """Lose all packets of existing connections, as a firewall that forgot them does."""
        program = ctypes.create_string_buffer(_DROP)
        option = struct.pack("HP", 1, ctypes.addressof(program))
        for end in self._ends:
            with suppress(OSError):  # closed before
                end.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, option)

    def swallow(self):
        """Receive everything, and answer nothing."""
        self._answers = False

    def answer(self):
        """Answer new connections again."""
        self._answers = True

    def close(self):
        self._door.close()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def network(url):
    from postgres_server import server

    if "host=" not in server():
        pytest.skip("the server has no socket on this machine")
    between = Network(url)
    yield between
    between.close()


@pytest.mark.skipif(sys.platform != "linux", reason="packets are dropped by a filter of Linux")
def test_connections_that_lose_all_packets_are_replaced(network, monkeypatch):
    monkeypatch.setattr(pool, "SILENT_AT_MOST_S", 0.5)
    with Store.open(network.url) as store:
        run = store.start("fit", capture=False)
        network.lose_packets()
        run.log(loss=0.5)
        run.finish()
        network.lose_packets()

        (found,) = store.find()

        assert (found.status, [*found.metric("loss").values]) == ("complete", [0.5])


def test_a_longer_silence_can_be_allowed_in_the_url():
    found = pool._usual("postgresql:///runs?tcp_user_timeout=120000")

    assert "tcp_user_timeout" not in found
    assert found["keepalives_count"] == 3


# Servers that receive statements and do not answer


@pytest.fixture
def impatient(monkeypatch):
    """Return a block that gives up a silent server at once; others wait for a slow machine.

    If nothing answers at all, no question about the silence is waited for either.
    """

    @contextmanager
    def block(*, is_silent=True):
        with monkeypatch.context() as patch:
            patch.setattr(waits, "_ON_ITS_WAY_S", 0)
            if is_silent:
                patch.setattr(waits, "_PROBE_S", 0.1)
                # psycopg waits for a connection for two seconds, at least.
                patch.setattr(psycopg.connection, "timeout_from_conninfo", lambda _: 0.1)
            patch.setattr(pool, "SILENT_AT_MOST_S", 0.3)
            patch.setattr(driver, "_GRACE_S", 0.1)
            patch.setattr(pool, "RETURNS_WITHIN_S", 0)
            patch.setattr(aside, "_warned", set())
            yield

    return block


def recorded(store, run):
    """Finish a run and record another one, which must not wait for the server."""
    run.log(loss=0.5)
    run.tags["phase"] = "warm-up"
    run.finish()
    with store.start("fit", capture=False) as other:
        other.log(loss=0.25)
    assert other.run_number > 10**15
    return other


def check_delivered(url, other):
    """Check that everything was delivered, once."""
    with Store.open(url) as store:
        first, second = sorted(store.list("fit"), key=lambda run: run.run_number)
        assert second.uid == other.uid
        assert first.tags == {"phase": "warm-up"}
        for run, loss in ((first, 0.5), (second, 0.25)):
            assert (run.status, [*run.metric("loss").values]) == ("complete", [loss])
        assert [one for one in store.check() if one.is_trouble] == []


def test_a_proxy_that_swallows_everything(network, impatient):
    url = f"{network.url}?connect_timeout=2"
    store = Store.open(url)
    run = store.start("fit", capture=False)
    network.swallow()
    with impatient(), store, pytest.warns(StoreWarning) as told:
        other = recorded(store, run)
        with pytest.raises(ServerUnreachableError):
            store.list()
    assert sum("has not answered" in str(one.message) for one in told) == 1
    away.forget(store.path)
    network.answer()

    check_delivered(url, other)


def test_a_commit_whose_outcome_nobody_tells(network, impatient):
    with Store.open(f"{network.url}?connect_timeout=2") as store:
        engine = store.backend.database.driver
        with engine.read() as one, engine.read() as other:  # one of them is asked
            one.execute("SELECT 1")
            other.execute("SELECT 1")

        def work(connection):
            connection.wait()
            network.swallow()

        with (
            impatient(),
            engine.hurried(0.1),
            pytest.raises(ServerUnreachableError, match="during a change"),
        ):
            engine.transact(work, is_once=True)


def test_a_lock_that_is_held(url, impatient):
    with Store.open(url) as store, psycopg.connect(url) as holder:
        run = store.start("fit", capture=False)
        pid = holder.pgconn.backend_pid
        holder.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
        with impatient(is_silent=False):
            with pytest.warns(StoreWarning) as told:
                other = recorded(store, run)
            with pytest.raises(StoreLockedError):
                store.list()
            with Store.open(url) as later, pytest.raises(StoreLockedError):
                later.list()

    by = f"locked by process {pid}"
    assert sum(by in str(one.message) for one in told) == 1
    check_delivered(url, other)


def test_a_statement_that_the_server_works_on_may_take_longer(url, monkeypatch):
    monkeypatch.setattr(pool, "SILENT_AT_MOST_S", 0.1)
    told = "has not answered a query .* the server is working"
    with (
        Store.open(url) as store,
        pytest.warns(StoreWarning, match=told),
        store.backend.database.driver.read() as connection,
    ):
        assert connection.execute("SELECT pg_sleep(1)::text").fetchall() == [("",)]


@pytest.mark.parametrize(
    ("options", "allowed_s"),
    [
        ("", 30),
        ("?tcp_user_timeout=120000", 120),
        ("?options=-c%20statement_timeout%3D90s", 95),
        ("?options=-c%20statement_timeout%3D0&tcp_user_timeout=1000", float("inf")),
    ],
)
def test_the_silence_that_a_url_allows(options, allowed_s):
    assert waits.allowed_s(f"postgresql:///runs{options}", 30) == allowed_s
