"""Who is let in: names of hosts, other sites, tokens, cookies, sizes; whatever the method."""

import re

import pytest

from runstore import Store
from runstore.errors import UsageError
from runstore.web.access import Access
from runstore.web.app import Application
from runstore.web.gate import LARGEST_BODY
from runstore.web.server import Options, Serving
from web_client import BASE, PORT, TOKEN, client_of, served_at

pytestmark = pytest.mark.folder_only("the gate answers before a store is read")

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X")
ADDRESSES = ("/", "/runs/x", "/api/v1/store", "/api/v1/edits", "/api/none", "/assets/x.js", "/..")
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def served(template):
    """What most of these tests have in common, since they change nothing."""
    with Store.open(template, create=False) as opened:
        made = served_at(opened)
        yield made
        made.threads.shutdown()


@pytest.fixture(scope="module")
def client(served):
    with client_of(served) as made:
        yield made


@pytest.fixture
def stranger(served):
    """A client without any token or cookie."""
    with client_of(served, headers={}) as made:
        yield made


def let_in(stranger, served):
    """Exchange a token for a cookie, as a browser does that opens the printed address."""
    token = served.access.new_token()
    response = stranger.get("/", params={"token": token})
    assert response.status_code == 303
    return token, response


def code(response):
    return response.status_code, response.json()["error"]["code"]


# Names of hosts


@pytest.mark.parametrize(
    "host", [f"localhost:{PORT}", "LOCALHOST", "127.0.0.1", "127.1.2.3:80", f"[::1]:{PORT}"]
)
def test_names_of_this_machine_are_served(client, host):
    assert client.get("/api/v1/store", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", f"evil.example:{PORT}", "localhost.evil.example", "evil-localhost",
        "127.0.0.1.evil.example", "192.168.1.5", "[fe80::1]", "0.0.0.0", "2130706433",  # noqa: S104 - refused

        "localhost@evil.example", "localhost/", "localhost:80:80", "localhost:x", "", " ",
        "[::1", "::1", "[localhost]", "localhost,evil.example", "local\thost", "localhost.",
        "127.0.0.1%00.evil.example", "xn--localhost-x",
    ],
)  # fmt: skip
def test_other_names_are_not_served(client, host):
    """A page of another site could have its own name lead to this machine."""
    for address in ("/", "/api/v1/store", "/?token=x"):
        response = client.get(address, headers={"Host": host})

        assert code(response) == (403, "host"), address
        assert "--allowed-host" in response.json()["error"]["hint"]


def test_two_hosts_are_none(served):
    with client_of(served) as client:
        headers = [("Host", "localhost"), ("Host", "evil.example"), *BEARER.items()]
        assert code(client.get("/api/v1/store", headers=headers)) == (403, "host")


@pytest.mark.parametrize(
    "given",
    [
        "Runs.Example.org",
        "runs.example.org:8443",
        " https://runs.example.org/ ",
        "RUNS.EXAMPLE.ORG",
    ],
)
def test_a_name_can_be_allowed(store, given):
    """However a person knows it."""
    with client_of(served_at(store, allowed_hosts=[given])) as client:
        told = client.get("/api/v1/store", headers={"Host": "runs.example.org"})
        other = client.get("/api/v1/store", headers={"Host": "other.example.org"})

    assert (told.status_code, other.status_code) == (200, 403)


@pytest.mark.parametrize("given", ["*", "", "a,b", "*.example.org", "http://", "a b", "a/b"])
def test_a_name_that_is_none_is_not_allowed(store, given):
    """It would never match, and nobody would know why."""
    with pytest.raises(UsageError, match="Expected the name of a host"):
        Serving(store, Options(port=0, allowed_hosts=(given,)), print)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("", "localhost"), ("0.0.0.0", "localhost"), ("::1", "[::1]"), ("127.0.0.1", "127.0.0.1")],  # noqa: S104 - nothing listens
)
def test_addresses_are_such_that_a_browser_opens_them(host, shown):
    access = Access(port=8642, host=host)

    assert access.address("T") == f"http://{shown}:8642/?token=T"


def test_a_server_for_other_machines_is_reached_by_its_addresses(store):
    with client_of(served_at(store, host="0.0.0.0")) as client:  # noqa: S104 - nothing listens
        by_address = client.get("/api/v1/store", headers={"Host": "192.168.1.5:8642"})
        by_name = client.get("/api/v1/store", headers={"Host": "evil.example"})

    assert (by_address.status_code, by_name.status_code) == (200, 403)


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": f"http://127.0.0.1:{PORT + 1}"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": f"http://localhost:{PORT}"},
        {"Origin": f"ftp://127.0.0.1:{PORT}"},
        {"Origin": f"http://127.0.0.1:{PORT}.evil.example"},
        {"Origin": f"http://evil@127.0.0.1:{PORT}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "anything"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
def test_what_another_site_sends_is_refused(client, method, headers):
    """Even with a cookie or a token, and whether or not it would change anything."""
    for address in ("/api/v1/store", "/api/v1/edits", "/"):
        response = client.request(method, address, headers=headers)

        assert response.status_code == 403, (address, response.text)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": BASE},
        {"Origin": BASE, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_what_the_page_and_people_send_is_answered(client, headers):
    assert client.get("/api/v1/store", headers=headers).status_code == 200


def test_a_link_on_another_site_opens_the_page_but_reaches_no_api(client):
    followed = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }

    assert client.get("/?filter=x", headers=followed).status_code in {200, 404}
    assert client.get("/api/v1/store", headers=followed).status_code == 403
    assert client.post("/api/v1/edits", headers=followed, json={}).status_code == 403


def test_a_link_on_another_site_is_asked_again_with_the_cookie(stranger):
    """Browsers keep a cookie that is SameSite=Strict to themselves the first time."""
    followed = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
        "Accept": "text/html",
    }

    first = stranger.get("/?filter=x", headers=followed)
    second = stranger.get("/?filter=x", headers={**followed, "Sec-Fetch-Site": "same-origin"})

    assert first.status_code == 200
    assert 'http-equiv="refresh"' in first.text
    assert second.status_code == 401
    assert "refresh" not in second.text


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"],
)
def test_what_a_form_of_another_site_can_send_changes_nothing(client, served, media_type):
    body = b'{"runs": ["latest"], "add_tags": {"a": "b"}}'

    response = client.post("/api/v1/edits", content=body, headers={"Content-Type": media_type})

    assert code(response) == (415, "media-type")
    with served.opened() as store:
        assert not any("a" in run.tags for run in store.list())


# Tokens and cookies


@pytest.mark.parametrize("method", METHODS)
def test_strangers_reach_nothing(stranger, method):
    for address in ADDRESSES:
        response = stranger.request(method, address)

        assert response.status_code == 401, (address, response.text)
        assert method == "HEAD" or code(response) == (401, "unauthorized"), address


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer None"},
        {"Cookie": f"runstore_{PORT}="},
        {"Cookie": f"runstore_{PORT}"},
        {"Cookie": f"runstore_{PORT}={TOKEN}"},
        {"Cookie": f"token={TOKEN}"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost"},
    ],
)
def test_other_tokens_and_cookies_let_nobody_in(stranger, headers):
    assert stranger.get("/api/v1/store", headers=headers).status_code == 401


def test_without_a_token_for_programs_none_is_right(store):
    served = served_at(store)
    served.access._token = None
    with client_of(served, headers={}) as stranger:
        for text in ("None", "", "null", TOKEN):
            headers = {"Authorization": f"Bearer {text}"}
            assert stranger.get("/api/v1/store", headers=headers).status_code == 401


def test_a_token_lets_one_browser_in_once(served, stranger):
    token, response = let_in(stranger, served)

    (cookie,) = response.headers.get_list("set-cookie")
    assert response.headers["location"] == "/"
    assert re.fullmatch(rf"runstore_{PORT}=[\w-]{{43}}; HttpOnly; SameSite=Strict; Path=/", cookie)
    assert stranger.get("/api/v1/store").status_code == 200  # httpx keeps cookies
    stranger.cookies.clear()
    assert stranger.get("/", params={"token": token}).status_code == 401
    assert stranger.get("/api/v1/store").status_code == 401


def test_a_token_that_was_used_leads_on_whoever_is_let_in(served, stranger):
    token, _ = let_in(stranger, served)

    again = stranger.get("/runs/x", params={"token": token, "tab": "code"})

    assert (again.status_code, again.headers["location"]) == (303, "/runs/x?tab=code")
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    ("address", "location"),
    [
        ("/?token={}&filter=a%20%3D%201&x=", "/?filter=a%20%3D%201&x="),
        ("/runs/a%2Fb?tab=x&token={}", "/runs/a%2Fb?tab=x"),
        ("//evil.example/?token={}", "/evil.example/"),
        ("///evil.example?token={}", "/evil.example"),
        ("/\\evil.example?token={}", "/evil.example"),
        ("/%0d%0aSet-Cookie:x?token={}", "/%0d%0aSet-Cookie:x"),
    ],
)
def test_a_token_leads_to_the_same_address_without_it(served, address, location):
    """And never to another machine."""
    status, headers, _ = raw(served, address.format(served.access.new_token()))

    assert (status, headers["location"]) == (303, location)


def test_a_token_is_nothing_to_the_api(served, stranger):
    token = served.access.new_token()

    assert stranger.get("/api/v1/store", params={"token": token}).status_code == 401
    assert stranger.post("/", params={"token": token}).status_code == 401
    assert stranger.get("/", params={"token": token}).status_code == 303


def test_a_second_browser_is_let_in_by_a_fresh_token(served, client, stranger):
    address = client.post("/api/v1/tokens", json={}).json()["address"]

    assert address.startswith(f"{BASE}/?token=")
    assert stranger.get(address).status_code == 303
    assert stranger.get("/api/v1/store").status_code == 200


def test_the_token_of_programs_lets_browsers_in_by_hand(stranger):
    assert stranger.get("/", params={"token": TOKEN}).status_code == 303
    stranger.cookies.clear()
    assert stranger.get("/", params={"token": TOKEN}).status_code == 303


def test_tokens_and_browsers_that_are_kept_have_a_limit(store):
    served = served_at(store)
    first = served.access.new_token()
    for _ in range(2000):
        served.access.new_token()

    assert served.access.exchange(first) is None
    assert len(served.access._unused) == 1000


def test_a_browser_without_a_cookie_gets_a_page_that_says_what_to_do(stranger):
    response = stranger.get("/", headers={"Accept": "text/html,*/*"})

    assert response.status_code == 401
    assert response.headers["content-type"].startswith("text/html")
    assert "the address that <code>runstore ui</code> prints" in response.text
    assert "runstore ui" in response.text
    assert "<script" not in response.text


def test_names_in_pages_are_no_markup(client):
    headers = {"Host": "<script>alert(1)</script>", "Accept": "text/html"}

    response = client.get("/", headers=headers)

    assert response.status_code == 403
    assert "<script>alert" not in response.text


# What every answer has


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("/", BEARER),
        ("/api/v1/store", BEARER),
        ("/api/v1/nothing", BEARER),
        ("/api/v1/runs/order?filter=(", BEARER),
        ("/api/v1/store", {}),
        ("/", {"Accept": "text/html"}),
        ("/api/v1/store", {"Host": "evil.example"}),
        ("/assets/nothing.js", BEARER),
    ],
)
def test_every_answer_protects_the_page(stranger, address, headers):
    response = stranger.get(address, headers=headers)

    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in response.headers
    assert "server" not in response.headers


# Sizes and methods


def test_large_bodies_are_refused_before_they_are_read(client):
    response = client.post(
        "/api/v1/edits",
        content=b"",
        headers={"Content-Type": "application/json", "Content-Length": str(LARGEST_BODY + 1)},
    )

    assert code(response) == (413, "too-large")


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "٣", "9" * 30, ""])
def test_odd_lengths_are_refused(client, length):
    headers = {"Content-Type": "application/json", "Content-Length": length.encode()}

    assert client.post("/api/v1/edits", content=b"", headers=headers).status_code == 400


def test_bodies_that_do_not_say_their_size_are_refused_when_they_are_large(served):
    """Of chunks, no more than the limit is kept."""
    taken = []

    def chunks():
        while True:
            taken.append(None)
            yield b" " * (1 << 20)

    status, _, body = raw(served, "/api/v1/edits", "POST", chunks=chunks())

    assert status == 413
    assert b"too-large" in body
    assert len(taken) <= (LARGEST_BODY >> 20) + 1


@pytest.mark.parametrize("method", [one for one in METHODS if one not in {"GET", "HEAD"}])
def test_other_methods_are_refused_with_those_that_there_are(client, method):
    response = client.request(method, "/api/v1/store")

    assert code(response) == (405, "method")
    assert response.headers["allow"] == "GET, HEAD"
    assert client.request(method, "/").status_code == 405


def test_an_endpoint_that_changes_things_has_no_get(client):
    response = client.get("/api/v1/edits")

    assert code(response) == (405, "method")
    assert response.headers["allow"] == "POST"


def test_head_is_get_without_a_body(client):
    response = client.head("/api/v1/store")

    assert response.status_code == 200
    assert response.headers["etag"] == client.get("/api/v1/store").headers["etag"]


def test_sockets_are_refused(served):
    import asyncio

    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
    asyncio.run(Application(served)(scope, receive, send))

    assert [one["type"] for one in sent] == ["websocket.close"]


# Files of the page


@pytest.mark.parametrize(
    "address",
    [
        "/../app.py", "/..%2fapp.py", "/%2e%2e/app.py", "/assets/../../app.py", "/assets/..%2f..",
        "/....//app.py", "/%2e%2e%2fapp.py", "/.hidden", "/assets/.hidden", "/C:%5Cx", "/con",
        "/static/../app.py", "/%00", "/index.html%00.js", "/\\..\\app.py", "/~root", "/etc/passwd",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_built_page(served, address, tmp_path, monkeypatch):
    from runstore.web import pages

    static = tmp_path / "web" / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("the page")
    (static / ".hidden").write_text("secret")
    (static / "assets" / ".hidden").write_text("secret")
    (static.parent / "app.py").write_text("secret")
    monkeypatch.setattr(pages.Pages, "__init__", lambda self: setattr(self, "_folder", static))

    status, _, body = raw(served, address, headers=BEARER)

    assert (status, body) in {(200, b"the page"), (404, b"")}


def raw(served, address, method="GET", *, headers=None, chunks=(b"",)):
    """Send a request as it is: clients tidy up paths."""
    import asyncio
    from urllib.parse import unquote

    path, _, query = address.partition("?")
    given = {"host": f"127.0.0.1:{PORT}", **(headers or {})}
    if method == "POST":
        given |= {**BEARER, "content-type": "application/json"}
    scope = {
        "type": "http", "method": method, "path": unquote(path), "raw_path": path.encode(),
        "query_string": query.encode(), "http_version": "1.1", "scheme": "http",
        "headers": [(name.lower().encode(), text.encode()) for name, text in given.items()],
    }  # fmt: skip
    left, sent = iter(chunks), []

    async def receive():
        body = next(left, None)
        return {"type": "http.request", "body": body or b"", "more_body": body is not None}

    async def send(message):
        sent.append(message)

    asyncio.run(Application(served)(scope, receive, send))
    told = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
    return sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:])
