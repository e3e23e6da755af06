"""Who may show the page in a frame: the notebook that was given a token for it."""

import pytest

import runstore
from places import place
from runstore.errors import StoreUnavailableError, UsageError
from runstore.web.in_process import PageAddress, end_all
from web_client import PORT, client_of, served_at

NOTEBOOK = "http://localhost:8888"
FRAME = {
    "Host": f"localhost:{PORT}",
    "Sec-Fetch-Site": "same-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "iframe",
    "Referer": f"{NOTEBOOK}/",
}


@pytest.fixture(autouse=True)
def pages_end():
    yield
    end_all()


@pytest.fixture
def browser(served):
    """A browser without any token or cookie."""
    with client_of(served, headers={}, base=f"http://localhost:{PORT}") as made:
        yield made


def framed(browser, address="/", **headers):
    return browser.get(address, headers={**FRAME, **headers})


def ancestors(response):
    policies = response.headers["content-security-policy"].split(";")
    return next(one.split()[1:] for one in policies if one.split()[:1] == ["frame-ancestors"])


def test_a_notebook_with_a_token_shows_the_page(served, browser):
    token = served.access.new_frame_token()

    first = framed(browser, f"/?token={token}")
    then = framed(browser, first.headers["location"])

    assert first.status_code == 303
    assert "SameSite=Strict" in first.headers["set-cookie"]
    assert first.headers["referrer-policy"] == "origin"
    assert then.status_code != 403
    assert ancestors(then) == [NOTEBOOK]
    assert "x-frame-options" not in then.headers


def test_the_frame_can_be_loaded_again(served, browser):
    address = f"/?token={served.access.new_frame_token()}"

    assert [framed(browser, address).status_code for _ in range(3)] == [303] * 3


def test_nobody_shows_it_by_default(served, browser, client):
    assert ancestors(client.get("/")) == ["'none'"]
    assert client.get("/").headers["x-frame-options"] == "DENY"
    assert framed(browser).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Referer": "http://evil.example:8888/"},
        {"Referer": "http://127.0.0.1:8888/"},  # where the browser would not send the cookie
        {"Referer": "http://localhost.evil.example/"},
        {"Referer": "http://localhost:8888/; script-src *"},
        {"Referer": "http://localhost:8888 *"},
        {"Referer": "*"},
        {"Referer": "null"},
        {"Referer": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Dest": "embed"},
        {"Sec-Fetch-Dest": "object"},
        {"Sec-Fetch-Dest": "frame"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Host": f"evil.example:{PORT}"},
    ],
)
def test_what_is_no_notebook_of_this_host_is_refused(served, browser, headers):
    token = served.access.new_frame_token()

    assert framed(browser, f"/?token={token}", **headers).status_code == 403
    assert served.access.frames == ()
    assert framed(browser, f"/?token={token}").status_code == 303  # the token is not used up


def test_another_port_cannot_show_it_with_the_cookie_alone(served, browser):
    token = served.access.new_frame_token()
    framed(browser, f"/?token={token}")
    usual = served.access.new_token()

    for address in ("/", f"/?token={token}", f"/?token={usual}", "/?token=x"):
        answer = framed(browser, address, Referer="http://localhost:9999/")
        assert answer.status_code == 403, address
    assert served.access.frames == (NOTEBOOK,)


def test_a_frame_does_not_open_the_api_to_the_notebook(served, browser):
    framed(browser, f"/?token={served.access.new_frame_token()}")

    answer = framed(browser, "/api/v1/store", Origin=NOTEBOOK)
    posted = browser.post(
        "/api/v1/trash",
        json={"runs": []},
        headers={"Host": FRAME["Host"], "Origin": NOTEBOOK, "Sec-Fetch-Site": "same-site"},
    )

    assert (answer.status_code, posted.status_code) == (403, 403)


# The page of this process


def test_a_page_ends(store):
    import socket

    port = int(runstore.ui(store).split(":")[2].partition("/")[0])
    socket.create_connection(("127.0.0.1", port)).close()

    end_all()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert f":{port}/" not in runstore.ui(store)


def test_ui_returns_an_address_that_lets_one_browser_in(store):
    address = runstore.ui(store)

    assert isinstance(address, PageAddress)
    assert address.startswith("http://127.0.0.1:")
    assert "token=" in address
    assert runstore.ui(place(store.path)).partition("?")[0] == address.partition("?")[0]
    assert runstore.ui(store) != address
    assert runstore.ui(store, read_only=True).partition("?")[0] != address.partition("?")[0]


def test_a_page_that_is_served_answers(store):
    import httpx

    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        address = runstore.ui(store)
        client.get(address)
        told = client.get(f"{address.partition('?')[0]}api/v1/store").json()

    assert told["runs"] == 5


def test_each_showing_has_tokens_of_its_own(store):
    address = runstore.ui(store, height=300)

    one, two = address._repr_html_(), address._repr_html_()

    assert "height:300px" in one
    assert one != two
    assert str(address).partition("token=")[2] not in one


def test_copies_are_plain_texts(store):
    import copy
    import pickle

    address = runstore.ui(store)

    assert type(copy.copy(address)) is str
    assert pickle.loads(pickle.dumps(address)) == str(address)  # noqa: S301 - made here


def test_there_has_to_be_a_store(tmp_path):
    with pytest.raises(StoreUnavailableError, match="There is no store"):
        runstore.ui(tmp_path / "none")


@pytest.mark.parametrize("height", [0, -1, "tall", 10**9])
def test_the_height_is_checked(store, height):
    with pytest.raises(UsageError):
        runstore.ui(store, height=height)


def test_a_served_store_of_another_kind_is_not_framed(store):
    """`runstore ui` makes no token for frames, so nothing can show its page."""
    served = served_at(store)
    with client_of(served, headers={}, base=f"http://localhost:{PORT}") as made:
        assert framed(made, f"/?token={served.access.new_token()}").status_code == 403
    served.threads.shutdown()
