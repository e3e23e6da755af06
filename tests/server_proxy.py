"""A proxy in front of a PostgreSQL server."""

import contextlib
import select
import socket
import tempfile
import threading
from urllib.parse import parse_qs, urlsplit


class Proxy:
    """Passes connections on to a server, and counts how often a client waited for an answer.

    Attributes:
        url: The URL of the server through it.
        trips: How often a client waited.
        cut: Cut the connection when a client waits for the time with this number.
        refuses: Whether it refuses further connections, and cuts the others.
        is_answered: Whether the server answers before that, although the client learns nothing.
    """

    def __init__(self, url):
        parts = urlsplit(url)
        host = parse_qs(parts.query).get("host", [parts.hostname])[0]
        port = parts.port or 5432
        is_socket = host.startswith("/")
        self._server = f"{host}/.s.PGSQL.{port}" if is_socket else (host, port)
        self._folder = tempfile.TemporaryDirectory(prefix="rs-px-", dir="/tmp")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._folder.name}/.s.PGSQL.5432")
        self._listener.listen()
        self.url = f"postgresql://{parts.username}@{parts.path}?host={self._folder.name}"
        self.trips = 0
        self.cut = None
        self.refuses = False
        self.is_answered = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):  # until it is closed
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    client.close()
                    continue
                threading.Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client):
        family = socket.AF_UNIX if isinstance(self._server, str) else socket.AF_INET
        with client, socket.socket(family) as server, contextlib.suppress(OSError):
            server.connect(self._server)
            is_answered, is_cut = True, False
            while True:
                for one in select.select([client, server], [], [])[0]:
                    data = one.recv(1 << 16)
                    if not data or (is_cut and one is server):
                        return
                    if one is client and is_answered:
                        self.trips += 1
                        is_cut = self.trips == self.cut
                        if (is_cut and not self.is_answered) or (self.refuses and not is_cut):
                            return
                    is_answered = one is server
                    (server if one is client else client).sendall(data)

    def count(self, work):
        """Return the number of round trips of a call."""
        before = self.trips
        work()
        return self.trips - before

    def close(self):
        self._listener.close()
        self._folder.cleanup()
