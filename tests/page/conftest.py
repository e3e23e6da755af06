"""A store with some hundred runs, `runstore ui` in a process of its own, and a real browser."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote_plus, urlsplit

import pytest

import runstore

TOKEN = "a token of these tests alone"  # noqa: S105 - of tests
STATIC = Path(runstore.__file__).parent / "web" / "static"
RUNS = 240
# Rows, another view, or what is there instead of them: nobody clicks before.
ARRIVED = ".grid-body .eye, .message, .filter-mistake, .compare, .pivot, .run-body, .experiments"
PATIENCE_MS = 30_000  # a machine with four times the load is slow, not wrong


def _missing(what):
    """Skip where a person has no browser; fail in CI, where there has to be one."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, so the page cannot be tested.")
    pytest.skip(f"THE PAGE IS NOT TESTED: {what}.")


def _chromium():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    return _missing("Chromium is not installed (Debian: apt install chromium)")


def filled(folder):
    """Make runs of two experiments: two settings, three seeds, some that failed."""
    with runstore.Store.open(folder) as store:
        for n in range(RUNS):
            run = store.start(
                "mnist" if n % 4 else "cifar",
                params={"lr": [0.1, 0.01, 0.001][n % 3], "seed": n % 5, "model": {"depth": n % 7}},
                notes=f"note of {n}" if n % 10 == 0 else None,
                capture=False,
            )
            run.log({"loss": 1 / (n + 1), "val/acc": n / RUNS}, step=0)
            run.log({"loss": 0.5 / (n + 1), "val/acc": 1 - n / RUNS}, step=10)
            run.finish("error" if n % 20 == 7 else "complete")
            if n % 6 == 0:
                store.tag(run.uid, {"phase": "pilot"})


class _Loop:
    """The event loop of Playwright, which goes on between its calls."""

    kept = None

    @classmethod
    def stand_aside(cls):
        """Let other tests of this process run loops of their own."""
        cls.kept = asyncio._get_running_loop()
        asyncio._set_running_loop(None)

    @classmethod
    def come_back(cls):
        if cls.kept is not None:
            asyncio._set_running_loop(cls.kept)


@pytest.fixture(autouse=True)
def loop_within_these_tests():
    """Keep Playwright's event loop from the tests of other folders."""
    _Loop.come_back()
    yield
    _Loop.stand_aside()


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A store that is copied, never changed."""
    folder = tmp_path_factory.mktemp("page") / "store"
    filled(folder)
    return folder


def serve(folder, *options):
    """Start the server on a free port; return the process and its address."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "runstore", "--store", str(folder)),
            *("ui", "--no-browser", "--port", "0", *options),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RUNSTORE_UI_TOKEN": TOKEN},
    )
    for line in process.stdout:
        if "http://" in line:
            parts = urlsplit(line[line.index("http://") :].split()[0])
            return process, f"{parts.scheme}://{parts.netloc}"
    process.wait()
    return pytest.fail("runstore ui ended without an address")


def end(process):
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def browser():
    """Chromium, started for each file of tests.

    While it is there, an event loop runs in this thread; tests of other files start their own.
    """
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        _missing("Playwright is not installed (pip install playwright)")
    if not (STATIC / "index.html").is_file():
        _missing("the page is not built (npm ci && npm run build in ui/)")
    program = _chromium()
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Debian's Chromium has no sandbox for root.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        _Loop.come_back()
        started.close()


@pytest.fixture(scope="session")
def shared_address(template, tmp_path_factory):
    """The address of a server whose runs are only looked at."""
    folder = tmp_path_factory.mktemp("shared") / "store"
    shutil.copytree(template, folder)
    process, address = serve(folder, "--read-only")
    yield address
    end(process)


@pytest.fixture
def shared(browser, shared_address):
    """The same; without a browser no server is started."""
    return shared_address


class Own:
    """A store of one test, and its server."""

    def __init__(self, folder, address):
        self.folder = folder
        self.address = address

    def command(self, *words):
        """Run a command of runstore in another process."""
        subprocess.run(
            [sys.executable, "-m", "runstore", "--store", str(self.folder), *words],
            check=True,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture
def served(browser):
    """Serve folders until the test ends."""
    yield from _served()


@pytest.fixture(scope="module")
def serving(browser):
    """Serve folders until the tests of a file have ended."""
    yield from _served()


def _served():
    processes = []

    def address_of(folder, *options):
        process, address = serve(folder, *options)
        processes.append(process)
        return address

    yield address_of
    for process in processes:
        end(process)


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
        end(self._process)

    def start(self, folder):
        self._process, again = serve(folder, "--port", str(urlsplit(self.address).port))
        assert again == self.address

    def let_in(self, page):
        """Open the address of the new server in another tab of the same browser."""
        tab = page.context.new_page()
        tab.goto(f"{self.address}/?token={quote_plus(TOKEN)}")
        tab.close()


@pytest.fixture
def server(browser, template, tmp_path):
    folder = tmp_path / "restarted"
    shutil.copytree(template, folder)
    started = Restarted(folder)
    yield started
    started.end()


@pytest.fixture
def visit(browser):
    """Open addresses in browsers of their own; afterwards nothing may have gone wrong in them.

    That is: no error on the console, and no request to another host.
    """
    contexts, wrong = [], []

    def opened(address, path="/", expected_statuses=frozenset(), awaits=ARRIVED, **options):
        refused = tuple(
            status if isinstance(status, str) else f"status of {status}"
            for status in expected_statuses
        )
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on(
            "console",
            lambda line: (
                line.type in {"error", "warning"}
                and not any(status in line.text for status in refused)
                and wrong.append(f"console: {line.text} {line.location['url']}")
            ),
        )
        page.on(
            "request",
            lambda request: (
                request.url.startswith((address, "blob:"))
                or wrong.append(f"request: {request.url}")
            ),
        )
        sign = "&" if "?" in path else "?"
        page.goto(f"{address}{path}{sign}token={quote_plus(TOKEN)}")
        page.locator(awaits).first.wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
