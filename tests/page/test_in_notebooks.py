"""The page in the cell of a notebook: shown there, and nowhere else."""

import http.server
import threading

import pytest

import runstore
from runstore.web.in_process import end_all

PATIENCE_MS = 30_000


@pytest.fixture
def notebook():
    """Serve a page with some HTML in it, as a notebook does; returns a function for its port."""
    servers = []

    def served(shown):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(f"<!doctype html><title>notebook</title>{shown}".encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield served
    end_all()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def context(browser):
    """A browser of its own, too narrow for the charts beside the runs."""
    made = browser.new_context(viewport={"width": 900, "height": 500})
    yield made
    made.close()


def frame_of(view):
    view.wait_for_selector("iframe", timeout=PATIENCE_MS)
    return view.frame_locator("iframe")


def test_a_notebook_shows_the_page_and_a_link_opens_it_in_a_tab(own_store, notebook, context):
    """At the number of this host; the other tests open it at the name."""
    address = runstore.ui(own_store, read_only=True)
    view = context.new_page()
    view.goto(f"http://127.0.0.1:{notebook(address._repr_html_())}/")

    frame_of(view).get_by_text("mnist").first.wait_for(timeout=PATIENCE_MS)
    with view.expect_popup() as opened:
        view.get_by_text("Open the page in a tab").click()

    opened.value.get_by_text("mnist").first.wait_for(timeout=PATIENCE_MS)


def test_another_page_cannot_show_it(own_store, notebook, context):
    """Neither with a token that is used up, nor with one that is not for frames."""
    address = runstore.ui(own_store)
    shown = address._repr_html_()
    view = context.new_page()
    view.goto(f"http://localhost:{notebook(shown)}/")
    frame_of(view).get_by_text("mnist").first.wait_for(timeout=PATIENCE_MS)
    inner = next(one.url for one in view.frames if one != view.main_frame)

    other = context.new_page()  # has the cookie
    own = str(address).replace("127.0.0.1", "localhost")
    for source in (inner, own):
        frame = f'<iframe src="{source}" referrerpolicy="origin"></iframe>'
        answers = []
        other.on("response", lambda answer, answers=answers: answers.append(answer))
        other.goto(f"http://localhost:{notebook(frame)}/", wait_until="load")
        framed = [one for one in answers if one.url == source]
        assert [one.status for one in framed] == [403], source


@pytest.fixture
def own_store(template, tmp_path):
    import shutil

    return shutil.copytree(template, tmp_path / "store")


def test_the_notebook_can_be_left_while_the_page_asks(own_store, notebook, context):
    """Requests that this aborts were made again without end, in the process of the notebook."""
    place = f"http://localhost:{notebook(runstore.ui(own_store)._repr_html_())}/"
    view = context.new_page()
    asked = []

    def never_answered(route):
        asked.append(route)

    view.route("**/api/v1/runs/rows*", never_answered)
    view.goto(place)
    while not asked:
        view.wait_for_timeout(50)

    view.goto(place)

    assert view.title() == "notebook"
