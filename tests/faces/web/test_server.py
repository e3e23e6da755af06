"""`runstore ui` as a process: what it prints, who reaches it, and how it ends."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

import command_server
from commands import runstore

PATIENCE_S = 60
UPGRADE = (
    b"GET /api/v1/store HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TWO_LENGTHS = (
    b"POST /api/v1/edits HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)
LONG_TOKEN = "a-token-of-at-least-16-signs"  # noqa: S105 - of tests


def command(folder, *options):
    return [sys.executable, "-m", "runstore", "--store", folder, "ui", "--no-browser", *options]


@contextlib.contextmanager
def started(folder, *options, **environment):
    """Give a server and its address."""
    process = subprocess.Popen(
        command(folder, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield process, urlsplit(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def forked(folder, **environment):
    """Give a server that takes less time to start, and its address."""
    words = ("--store", folder, "ui", "--no-browser", "--port", "0")
    process = command_server.Started(words, cwd=folder, env={**os.environ, **environment})
    try:
        yield process, urlsplit(process.stdout.readline().strip())
    finally:
        process.end()


def refused(folder, *options):
    """Return the exit status and the errors of a server that does not start."""
    ended = runstore("--store", folder, "ui", "--no-browser", *options, cwd=folder.parent)
    return ended.returncode, ended.stderr


@contextlib.contextmanager
def connected(address):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        yield connection


def get(address, path, **headers):
    """Return the status and the headers of an answer."""
    with connected(address) as connection:
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            return response.status, response.headers


def test_a_browser_opens_what_is_printed_and_the_first_ctrl_c_ends_it(store):
    """Also while somebody listens to live events, and within a moment."""
    with started(store.backend.url, "--port", "0") as (process, address):
        let_in = get(address, f"{address.path}?{address.query}")
        cookie = let_in[1]["set-cookie"].partition(";")[0]
        store = get(address, "/api/v1/store", Cookie=cookie)
        with connected(address) as connection:
            connection.request("GET", "/api/v1/live", headers={"Cookie": cookie})
            with connection.getresponse() as live:
                first = live.fp.readline()
                process.send_signal(signal.SIGINT)
                said = process.communicate(timeout=PATIENCE_S)[1]

    assert (let_in[0], store[0], live.status) == (303, 200, 200)
    assert first
    assert process.returncode == 130
    assert "Ctrl-C ends it" in said
    assert "Traceback" not in said


def test_it_ends_while_something_long_is_read(store, tmp_path):
    """A statement that would take for ever is interrupted."""
    program = tmp_path / "serve.py"
    program.write_text(
        "import sys\n"
        "from runstore import Store\n"
        "from runstore.web import endpoints, encoding\n"
        "from runstore.web.api import all_endpoints\n"
        "ENDLESS = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)'"
        "' SELECT count(*) FROM n'\n"
        "def endless(call):\n"
        "    with call.store.backend.database.driver.read() as connection:\n"
        "        print('reading', flush=True)\n"
        "        connection.execute(ENDLESS).fetchone()\n"
        "    return encoding.json_answer({})\n"
        "all_endpoints.ENDPOINTS = (endpoints.Endpoint(\n"
        "    path='/endless', answer=endless, about='Never end.'),)\n"
        "from runstore.web.server import Options, Serving\n"
        "options = Options(port=0, token=sys.argv[2])\n"
        "with Store.open(sys.argv[1], create=False) as store:\n"
        "    Serving(store, options, lambda address: print(address, flush=True)).run()\n"
    )
    process = subprocess.Popen(
        [sys.executable, program, store.backend.url, LONG_TOKEN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = urlsplit(process.stdout.readline().strip())
        with connected(address) as connection:
            headers = {"Authorization": f"Bearer {LONG_TOKEN}"}
            connection.request("GET", "/api/v1/endless", headers=headers)
            assert process.stdout.readline() == "reading\n"
            process.send_signal(signal.SIGINT)

            process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode != -signal.SIGKILL


@pytest.mark.folder_only("is about tokens")
def test_a_token_of_the_environment_is_for_programs(template):
    with forked(template, RUNSTORE_UI_TOKEN=LONG_TOKEN) as (_, address):
        told = get(address, "/api/v1/store", Authorization=f"Bearer {LONG_TOKEN}")
        other = get(address, "/api/v1/store", Authorization="Bearer x")

    assert (told[0], other[0]) == (200, 401)


@pytest.mark.folder_only("is about options")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104 - refused
def test_other_machines_need_a_token(template, host):
    code, said = refused(template, "--host", host)

    assert code == 2
    assert "RUNSTORE_UI_TOKEN" in said


@pytest.mark.folder_only("is about options")
def test_a_short_token_is_refused(template):
    code, said = refused(template, "--token", "short")

    assert code == 2
    assert "fewer than 16 characters" in said


@pytest.mark.folder_only("is about options")
def test_a_port_that_is_taken_is_told(template):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused(template, "--port", str(taken.getsockname()[1]))

    assert code == 2
    assert "Leave out --port" in said


@pytest.mark.folder_only("is about folders")
def test_there_has_to_be_a_store(tmp_path):
    code, said = refused(tmp_path / "nothing")

    assert code == 5
    assert "There is no store" in said
    assert not (tmp_path / "nothing").exists()


@pytest.mark.folder_only("no request reaches a store")
@pytest.mark.parametrize(
    "request_text",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        UPGRADE,
        TWO_LENGTHS,
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"G\x00T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_odd_requests_reach_nothing_and_stop_nothing(served_process, request_text):
    process, address = served_process
    with socket.create_connection((address.hostname, address.port), PATIENCE_S) as there:
        there.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):  # it may hang up on a long one
            there.sendall(request_text)
            there.shutdown(socket.SHUT_WR)
            answer = there.recv(64)
            assert not answer.startswith(b"HTTP/1.1 2"), answer
            assert b" 500 " not in answer

    assert not process.has_ended()
    assert get(address, "/api/v1/store")[0] == 401


@pytest.fixture(scope="module")
def served_process(template):
    with forked(template) as both:
        yield both
