"""A store with some hundred runs, `runstore ui` in a process of its own, and a real browser."""

import asyncio
import os
import shutil
from pathlib import Path
from urllib.parse import quote_plus, urlsplit

import pytest

import command_server
import commands
import runstore

TOKEN = "a token of these tests alone"  # noqa: S105 - of tests
STATIC = Path(runstore.__file__).parent / "web" / "static"
RUNS = 240
STARTED_AT = 1_700_000_000  # in November 2023
# Rows, another view, or what is there instead of them: nobody clicks before.
ARRIVED = ".grid-body .eye, .message, .filter-mistake, .compare, .pivot, .run-body, .experiments"
VIEWPORT = {"width": 1280, "height": 500}  # each line takes time to draw
SLOW = Path(__file__).with_name("slow.js")
# Debian's Chromium has no sandbox for root. A page that lives for a test is not worth optimizing,
# and is drawn with the least effort in a few large parts. A key moves it at once: scrolling that
# is drawn in steps rests between them on a slow machine, as if it had ended.
THRIFT = (
    "--no-sandbox",
    "--disable-smooth-scrolling",
    "--in-process-gpu",
    "--default-tile-width=1280",
    "--default-tile-height=800",
    "--js-flags=--max-lazy --no-opt --no-maglev --single-threaded-gc",
)
# Addresses of servers that go on when a test ends.
LASTING = set()
PATIENCE_MS = 30_000  # a machine with four times the load is slow, not wrong


def _missing(what):
    """Skip where a person has no browser; fail in CI, where there has to be one."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, so the page cannot be tested.")
    pytest.skip(f"THE PAGE IS NOT TESTED: {what}.")


def _chromium():
    # The first one has no windows: it starts and draws with less effort.
    for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    return _missing("Chromium is not installed (Debian: apt install chromium-headless-shell)")


def filled(folder):
    """Make runs of two experiments: two settings, three seeds, some that failed."""
    with runstore.Store.open(folder) as store:
        for n in range(RUNS):
            started_at = STARTED_AT + 60 * n
            store.record(
                "mnist" if n % 4 else "cifar",
                started_at=started_at,
                ended_at=started_at + 5,
                status="error" if n % 20 == 7 else "complete",
                params={"lr": [0.1, 0.01, 0.001][n % 3], "seed": n % 5, "model": {"depth": n % 7}},
                metrics={
                    "loss": {"values": [1 / (n + 1), 0.5 / (n + 1)], "steps": [0, 10]},
                    "val/acc": {"values": [n / RUNS, 1 - n / RUNS], "steps": [0, 10]},
                },
                tags={} if n % 6 else {"phase": "pilot"},
                notes=None if n % 10 else f"note of {n}",
            )


def pytest_ignore_collect(collection_path, config):
    """Look at the page of a store on a server if asked to: each of these tests takes seconds."""
    is_on_a_server = collection_path.name == "test_on_postgresql.py"
    return (is_on_a_server and not config.getoption("--both-engines")) or None


class _Browser:
    """Chromium, started for the first test of this folder and ended after the last one.

    While it is there, Playwright's event loop runs in this thread; between tests it is put aside,
    so that others can run loops of their own.
    """

    def __init__(self):
        self._playwright = self._started = self._loop = self._tab = None
        self.is_slow = False

    def started(self, program):
        if self._started is None:
            from playwright.sync_api import sync_playwright

            self._playwright = sync_playwright().start()
            self._started = self._playwright.chromium.launch(executable_path=program, args=THRIFT)
        return self._started

    def tab(self):
        """Return a tab that one test after the other uses."""
        if self._tab is None or self._tab.page.is_closed():
            self._tab = _Tab(self._started)
        return self._tab

    def leave(self, addresses):
        """Leave a page of these addresses, whose servers are about to end."""
        if self._tab is None or self._tab.page.is_closed() or self._tab.address not in addresses:
            return
        is_aside = asyncio._get_running_loop() is None
        if is_aside:
            self.come_back()
        self._tab.leave()
        if is_aside:
            self.stand_aside()

    def come_back(self):
        if self._loop is not None:
            asyncio._set_running_loop(self._loop)

    def stand_aside(self):
        if self._started is not None:
            self._loop = asyncio._get_running_loop()
            asyncio._set_running_loop(None)

    def end(self):
        if self._started is not None:
            self.come_back()
            self._started.close()
            self._playwright.stop()
            self.__init__()


_BROWSER = _Browser()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """End the browser after the last test of this folder, and before those of others."""
    yield
    if nextitem is None or nextitem.path.parent != item.path.parent:
        _BROWSER.end()


@pytest.fixture(autouse=True)
def loop_within_these_tests():
    """Keep Playwright's event loop from the tests of other folders."""
    _BROWSER.come_back()
    yield
    _BROWSER.stand_aside()


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A store that is copied, never changed."""
    folder = tmp_path_factory.mktemp("page") / "store"
    filled(folder)
    return folder


def serve(folder, *options):
    """Start the server on a free port; return the process and its address."""
    process = command_server.Started(
        ["--store", str(folder), "ui", "--no-browser", "--port", "0", *options],
        cwd=Path.cwd(),
        env={**os.environ, "RUNSTORE_UI_TOKEN": TOKEN},
    )
    for line in process.stdout:
        if "http://" in line:
            parts = urlsplit(line[line.index("http://") :].split()[0])
            return process, f"{parts.scheme}://{parts.netloc}"
    process.end()
    return pytest.fail("runstore ui ended without an address")


@pytest.fixture(scope="session")
def chromium():
    """Return the path of the browser, if all that the page needs is there."""
    try:
        from playwright.sync_api import expect
    except ImportError:
        _missing("Playwright is not installed (pip install playwright)")
    if not (STATIC / "index.html").is_file():
        _missing("the page is not built (npm ci && npm run build in ui/)")
    program = _chromium()
    expect.set_options(timeout=PATIENCE_MS)
    return program


@pytest.fixture
def browser(chromium, pytestconfig):
    _BROWSER.is_slow = pytestconfig.getoption("--slow-page")
    return _BROWSER.started(chromium)


@pytest.fixture(scope="session")
def shared_address(template, tmp_path_factory):
    """The address of a server whose runs are only looked at."""
    folder = tmp_path_factory.mktemp("shared") / "store"
    shutil.copytree(template, folder)
    process, address = serve(folder, "--read-only")
    LASTING.add(address)
    yield address
    _BROWSER.leave({address})
    process.end()


@pytest.fixture
def shared(chromium, shared_address):
    """The same; without a browser no server is started."""
    return shared_address


class Own:
    """A store of one test, and its server."""

    def __init__(self, folder, address):
        self.folder = folder
        self.address = address

    def command(self, *words):
        """Run a command of runstore in another process."""
        ended = commands.runstore("--store", str(self.folder), *words, cwd=self.folder)
        assert ended.returncode == 0, ended.stderr


@pytest.fixture
def served(chromium):
    """Serve folders until the test ends."""
    yield from _served()


@pytest.fixture(scope="module")
def serving(chromium):
    """Serve folders until the tests of a file have ended."""
    yield from _served(lasting=True)


def _served(*, lasting=False):
    processes = {}

    def address_of(folder, *options):
        process, address = serve(folder, *options)
        processes[address] = process
        if lasting:
            LASTING.add(address)
        return address

    yield address_of
    LASTING.difference_update(processes)
    _BROWSER.leave(processes)
    for process in processes.values():
        process.end()


@pytest.fixture
def own(served, template, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(template, folder)
    return Own(folder, served(folder))


class Restarted:
    """A server that can be ended, and started again at the same port."""

    def __init__(self, folder):
        self.folder = folder
        self._process, self.address = serve(folder)

    def end(self):
        self._process.end()

    def start(self, folder):
        self._process, again = serve(folder, "--port", str(urlsplit(self.address).port))
        assert again == self.address

    def let_in(self, page):
        """Ask for the address of the new server as another tab of the same browser does."""
        page.context.request.get(f"{self.address}/?token={quote_plus(TOKEN)}")


@pytest.fixture
def server(chromium, template, tmp_path):
    folder = tmp_path / "restarted"
    shutil.copytree(template, folder)
    started = Restarted(folder)
    yield started
    started.end()


WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def violations():
    """Return a function that lists the rules of accessibility that (a part of) a page breaks."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe().axe_script

    def found(page, within="html", rules=WCAG):
        if not page.evaluate("'axe' in window"):
            page.evaluate(axe)
        return page.evaluate(
            """([within, runOnly]) => axe.run(within, { runOnly, resultTypes: ["violations"] })
                .then(({ violations }) => violations.map(
                    (one) => [one.id, one.nodes.map((node) => node.target)]
                ))""",
            [within, rules],
        )

    return found


# Shows an address in the page that is there, by way of a view that has nothing of the one before.
TURN = """async path => {
    const show = (place) => {
        history.pushState(null, "", place);
        dispatchEvent(new Event("popstate"));
    };
    show("/nothing");
    while (!document.querySelector("main > .message")) await new Promise(requestAnimationFrame);
    show(path);
}"""


def _turn(page, path, awaits):
    if urlsplit(path).path == "/":  # the list of before is there until the new one arrives
        with page.expect_response("**/api/v1/runs/order*"):
            page.evaluate(TURN, path)
        page.locator(".count:not(.waiting)").wait_for()
    else:
        page.evaluate(TURN, path)
    page.locator(awaits).first.wait_for()


@pytest.fixture(scope="session")
def turn_to():
    """Return a function that shows another address of a page without loading it anew."""

    def turned(page, path, awaits=ARRIVED):
        _turn(page, path, awaits)

    return turned


class _Tab:
    """A page in a context of its own, and what went wrong in it.

    That is: an error on the console, or a request to another host.
    """

    def __init__(self, browser, **options):
        self.wrong = []
        self.address, self._before, self._refused = "", "", ()
        self._is_loaded = False
        usual = {"viewport": VIEWPORT, "reduced_motion": "reduce"}
        self.context = browser.new_context(**usual, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        if _BROWSER.is_slow:
            self.context.add_init_script(path=SLOW)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("console", self._hear)
        self.page.on("request", self._see)

    def _hear(self, line):
        is_expected = any(status in line.text for status in self._refused)
        if line.type in {"error", "warning"} and not is_expected:
            self.wrong.append(f"console: {line.text} {line.location['url']}")

    def _see(self, request):
        ours = filter(None, (self.address, self._before))
        if not request.url.startswith((*ours, "blob:")):
            self.wrong.append(f"request: {request.url}")

    def look(self, viewport, color_scheme):
        """Set the size of the page, and the colours that its user prefers."""
        if self.page.viewport_size != viewport:
            self.page.set_viewport_size(viewport)
        self.page.emulate_media(color_scheme=color_scheme)

    def go(self, address, path, expected_statuses):
        if self.address:
            self._forget()
        self._expect(expected_statuses)
        self._before, self.address = self.address, address
        sign = "&" if "?" in path else "?"
        self.page.goto(f"{address}{path}{sign}token={quote_plus(TOKEN)}")

    def turn(self, address, path, expected_statuses, awaits):
        """Show an address in the page that a test before has left, if it can be gone on with."""
        if self.address == address and self._is_loaded:
            self._expect(expected_statuses)
            _turn(self.page, path, awaits)
        else:
            self.go(address, path, expected_statuses)

    def _expect(self, statuses):
        self._refused = tuple(
            status if isinstance(status, str) else f"status of {status}" for status in statuses
        )

    def rest(self, *, was_looked_at):
        """End a test; the page stays until the next one, unless its server ends before."""
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.mouse.move(0, 0)
        # What was expected to be refused may be answered only now.
        if self.address not in LASTING or self._refused:
            self.leave()
        elif was_looked_at:
            self._is_loaded = self.page.evaluate(PUT_AWAY, self.address)
        else:
            self._is_loaded = False

    def leave(self):
        """Leave the page, by itself: an address that is typed would get a new process."""
        self.page.evaluate("location.replace('about:blank')")
        self.page.wait_for_url("about:blank")
        self.context.clear_cookies()
        if self.address:
            self._forget()
        self.address, self._is_loaded = "", False

    def _forget(self):
        """Forget what tests did; a new context, with a process of its own, takes far longer."""
        session = self.context.new_cdp_session(self.page)
        # A page that is still there goes on asking, and needs its cookie.
        kept = {"origin": self.address, "storageTypes": "local_storage,indexeddb,cache_storage"}
        session.send("Storage.clearDataForOrigin", kept)
        session.send("Page.resetNavigationHistory")
        session.detach()


# Ends what is no part of an address; returns whether the next test can go on with the page.
PUT_AWAY = """address => {
    if (location.origin !== address) return false;
    document.activeElement?.blur();
    document.querySelector(":popover-open")?.hidePopover();
    document.querySelectorAll("dialog[open]").forEach((one) => one.close());
    document.querySelectorAll(".toast > .icon-button, [aria-label='Select none']")
        .forEach((one) => one.click());
    localStorage.clear();
    return true;
}"""


@pytest.fixture
def visit(browser):
    """Open addresses in browsers of their own; afterwards nothing may have gone wrong in them."""
    yield from _visited(browser)


@pytest.fixture
def look(browser):
    """Look at addresses in a page that goes on from test to test, which saves loading it.

    It is for tests that leave nothing behind but what the address says, and what is put away
    here: a selection, a menu, a dialog, a message.
    """
    yield from _visited(browser, is_looked_at=True)


def _visited(browser, *, is_looked_at=False):
    tabs = []

    def opened(
        address,
        path="/",
        expected_statuses=frozenset(),
        awaits=ARRIVED,
        viewport=VIEWPORT,
        color_scheme="light",
        **options,
    ):
        is_usual = not options and not tabs
        tab = _BROWSER.tab() if is_usual else _Tab(browser, **options)
        tabs.append(tab)
        tab.look(viewport, color_scheme)
        if is_looked_at:
            tab.turn(address, path, expected_statuses, awaits)
        else:
            tab.go(address, path, expected_statuses)
        tab.page.locator(awaits).first.wait_for()
        return tab.page

    yield opened
    wrong = []
    for tab in tabs:
        if tab is _BROWSER.tab() and tab.context.pages == [tab.page]:
            tab.rest(was_looked_at=is_looked_at)
        else:
            tab.context.close()
        wrong += tab.wrong
        tab.wrong = []
    assert wrong == []
