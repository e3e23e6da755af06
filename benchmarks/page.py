"""The page in a real browser at 100,000 and 1,000,000 runs, and the pages of MLflow and Trackio.

python benchmarks/page.py [--runs 100000 1000000] [--peers PYTHON]

Every figure is taken within the browser, from the request to the frame that shows the answer.
PYTHON is the Python of an environment that has mlflow and trackio.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright
from runs_to_find import fill

from runstore import Store

ROUNDS = 7
PEER_ROUNDS = 3
PEER_SIZES = (1_000, 10_000)
SERIES, POINTS = 20, 100_000
FILTERS = (
    "params.model = 'tree'",
    "params.lr > 0.9",
    "status = error and metrics.m1.max > 0.5",
    "notes contains 'warmup'",
)
WINDOW = {"width": 1400, "height": 900}
PATIENCE_MS = 120_000
WORKER = Path(__file__).with_name("page_peer_worker.py")

# Runs in the page: looks before each frame whether something is true, and returns when it was.
UNTIL = """
patience => new Promise((done, fail) => {
    const begin = performance.now();
    const look = now => {
        if (TEST) done(performance.now());
        else if (now - begin > patience) fail(new Error("never: " + `TEST`));
        else requestAnimationFrame(look);
    };
    look(begin);
})
"""
# What is in sight of the grid: rows with their run, rows still without, or nothing at all.
IS_BLANK = """
(() => {
    const grid = document.querySelector(".grid[aria-rowcount]");
    const box = grid.getBoundingClientRect();
    for (let y = box.bottom - 20; y > box.top + 60; y -= 100) {
        const row = document.elementFromPoint(box.left + 150, y)?.closest(".line");
        if (!row || row.querySelector(".ghost")) return true;
    }
    return false;
})()
"""
# Runs in the page: scrolls, and returns the longest time for which anything in sight was blank.
SCROLLED = """
([seconds, step]) => new Promise(done => {
    const grid = document.querySelector(".grid[aria-rowcount]");
    let box = grid;
    while (box.scrollHeight <= box.clientHeight + 1
        || getComputedStyle(box).overflowY === "visible") box = box.parentElement;
    const begin = performance.now();
    let blank = 0, since = null, frames = 0, longest = 0, last = begin;
    const turn = now => {
        longest = Math.max(longest, now - last); last = now; frames += 1;
        const is = IS_BLANK;
        if (is && since === null) since = now;
        if (!is && since !== null) { blank = Math.max(blank, now - since); since = null; }
        if (now - begin > seconds * 1000 && since === null) return done({blank, frames, longest});
        if (now - begin <= seconds * 1000)
            box.scrollTop = step === null && frames % 30 === 0
                ? Math.random() * box.scrollHeight : box.scrollTop + (step ?? 0);
        requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
})
""".replace("IS_BLANK", IS_BLANK)
# The oldest run has the number 1 in the name of its experiment.
OLDEST_IS = "document.querySelector('.line[data-id=\"1\"]')"
DRAWN = """
    document.querySelector(".chart-plot[data-state=drawn]")
        ?.dataset.lines.split(",").length === 20
"""
SERIES_ASKED = """
    () => performance.getEntriesByType("resource").findLast(
        one => one.name.includes("/api/v1/series?")).startTime
"""
FIRST_ROW = "document.querySelector(\".line[data-id] a[href^='/runs/']\")"


class Times(NamedTuple):
    """Milliseconds: the median and the largest."""

    median: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Times:
        """Return those of some measurements."""
        return cls(statistics.median(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:,.0f} ({self.most:,.0f})"


@contextmanager
def served(command: list[str], address: re.Pattern[str], **environment: str) -> Iterator[str]:
    """Start a server, and yield the address that it prints, or the one that the pattern is."""
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **environment},
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if found := address.search(line):
                yield found["address"]
                break
        else:
            raise RuntimeError(f"{command} ended")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def until(page: Page, test: str) -> float:
    """Return the moment, in milliseconds of the page's clock, at which something is true."""
    return float(page.evaluate(UNTIL.replace("TEST", test), PATIENCE_MS))


def opened_ms(page: Page, address: str, test: str) -> float:
    """Return how long it takes from the request of a page until something is true."""
    page.goto("about:blank")
    page.goto(address, wait_until="commit", timeout=PATIENCE_MS)
    return until(page, test)


def spent_ms(page: Page, act: Callable[[], Any], test: str) -> float:
    """Return how long it takes from an action until something is true."""
    begin = page.evaluate("performance.now()")
    act()
    return until(page, test) - float(begin)


def scrolled(page: Page, seconds: float, step: int | None) -> dict[str, float]:
    """Return the longest blank and the longest frame, in ms, and the frames of some scrolling.

    Args:
        page: The runs.
        seconds: How long.
        step: Pixels a frame; None jumps to a random place twice a second.
    """
    found: dict[str, float] = page.evaluate(SCROLLED, [seconds, step])
    return found


def count_is(count: int) -> str:
    """Return the test that the grid shows this many runs, and that they are there."""
    grid = "document.querySelector('.grid[aria-rowcount]')"
    return f"{grid}?.ariaRowCount === '{count + 1}' && {grid}.ariaBusy !== 'true' && !{IS_BLANK}"


@contextmanager
def ours(folder: Path) -> Iterator[str]:
    """Serve a store, and yield the address that opens it once."""
    command = [sys.executable, "-m", "runstore", "--store", str(folder), "ui", "--no-browser"]
    with served(command, re.compile(r"(?P<address>http://\S+)")) as address:
        yield address


@contextmanager
def opened(browser: Browser, folder: Path) -> Iterator[tuple[Page, str, float]]:
    """Yield a page of a store, its address, and how long its first request took."""
    with ours(folder) as address:
        page = browser.new_page(viewport=WINDOW)
        first = opened_ms(page, address, FIRST_ROW)
        yield page, address.partition("?")[0], first
        page.close()


def filtered_ms(page: Page, text: str, count: int) -> Times:
    """Return how long the grid needs to show the runs of a filter, from the last key on."""
    spent = []
    for _ in range(ROUNDS):
        page.fill("#filter", "")
        time.sleep(1)
        spent.append(spent_ms(page, lambda: page.fill("#filter", text), count_is(count)))
    return Times.of(spent)


def show_runs(browser: Browser, folder: Path, size: int) -> None:
    """Print how long the rows of a store take."""
    with opened(browser, folder) as (page, address, first):
        again = Times.of([opened_ms(page, address, FIRST_ROW) for _ in range(ROUNDS)])
        until(page, count_is(size))
        steady, jumps = scrolled(page, 5, 400), scrolled(page, 5, None)
        page.keyboard.press("Home")
        oldest = spent_ms(page, lambda: to_the_end(page), f"{OLDEST_IS} && !{IS_BLANK}")
        print(f"\n| {size:,} runs | ms |\n|---|---|")
        print(f"| first rows, of the first request | {first:,.0f} |")
        print(f"| first rows, again: median (most) | {again} |")
        print(f"| blank while scrolling 400 pixels a frame, at most | {steady['blank']:,.0f} |")
        print(f"| blank after jumps to random places, at most | {jumps['blank']:,.0f} |")
        print(f"| to the oldest run | {oldest:,.0f} |")
        with Store.open(folder) as store:
            for text in FILTERS:
                count = sum(one.runs for one in store.group("status", text))
                print(f"| `{text}`, {count:,} runs | {filtered_ms(page, text, count)} |")


def to_the_end(page: Page) -> None:
    """Press the keys that lead to the last row of the grid."""
    page.evaluate("document.querySelector('.grid [tabindex=\"0\"]').focus({preventScroll: true})")
    page.keyboard.press("Control+End")


def show_charts(browser: Browser, folder: Path) -> None:
    """Print how long 20 series of 100,000 points take to be drawn."""
    chance = random.Random(3)
    with Store.open(folder) as store:
        for _ in range(SERIES):
            run = store.start("curves", capture=False)
            run.log_points("loss", [chance.gauss(1, 0.1) for _ in range(POINTS)])
            run.finish()
    with opened(browser, folder) as (page, address, _):
        spent: list[tuple[float, float]] = []
        for _ in range(ROUNDS):
            drawn = opened_ms(page, f"{address}?charts=loss", DRAWN)
            spent.append((drawn, drawn - float(page.evaluate(SERIES_ASKED))))
    print(f"\n| {SERIES} series of {POINTS:,} points drawn | ms: median (most) |\n|---|---|")
    print(f"| from the request of the page | {Times.of([one for one, _ in spent])} |")
    print(f"| from the request of the series | {Times.of([one for _, one in spent])} |")


class Peer(NamedTuple):
    """The page of another tool.

    Attributes:
        name: The tool.
        command: What serves it, behind the folder of programs.
        address: What it prints.
        path: What is put behind the address.
        first: The test that its newest run is shown, for a number of runs.
        drawn: The test that a chart is shown.
        query: The field for filters.
        text: A filter that one run fulfils.
    """

    name: str
    command: list[str]
    address: str
    path: str
    newest: str
    query: str
    text: str


PEERS = (
    Peer(
        "MLflow",
        ["mlflow", "ui", "--port", "5931", "--workers", "1", "--backend-store-uri"],
        r"Uvicorn running on (?P<address>http://\S+)",
        "/#/experiments/1/runs",
        "[...document.querySelectorAll('a')].some(one => one.textContent === 'run-{}')",
        "input[placeholder*='params']",
        "attributes.run_name = 'run-7'",
    ),
    Peer(
        "Trackio",
        ["trackio", "show", "--project", "bench"],
        r"(?P<address>http://127\.0\.0\.1:\d+/\?project=bench)",
        "",
        "[...document.querySelectorAll('label, span')].some("
        "one => one.textContent.trim() === 'run-{}')",
        "input[placeholder*='filter']",
        "run-7",
    ),
)


def show_peers(browser: Browser, python: Path, folder: Path) -> None:
    """Print how long the pages of other tools take."""
    print("\n| page | runs | newest run shown, ms: median (most) |\n|---|---|---|")
    for peer in PEERS:
        for size in PEER_SIZES:
            place = folder / f"{peer.name}{size}"
            subprocess.run([python, WORKER, peer.name.lower(), place, str(size)], check=True)
            command = [str(python.with_name(peer.command[0])), *peer.command[1:]]
            if peer.name == "MLflow":
                command.append(f"sqlite:///{place}/mlflow.db")
            with served(command, re.compile(peer.address), TRACKIO_DIR=str(place)) as address:
                page = browser.new_page(viewport=WINDOW)
                test = peer.newest.format(size - 1)
                spent = [
                    opened_ms(page, address + peer.path, test) for _ in range(PEER_ROUNDS + 1)
                ]
                page.close()
            print(f"| {peer.name} | {size:,} | {Times.of(spent[1:])} |", flush=True)
    for size in PEER_SIZES:
        place = folder / f"runstore{size}"
        place.mkdir()
        fill(place, size)
        with opened(browser, place) as (page, address, _):
            spent = [opened_ms(page, address, FIRST_ROW) for _ in range(ROUNDS)]
        print(f"| runstore | {size:,} | {Times.of(spent)} |", flush=True)


def main() -> None:
    """Print the tables."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--runs", type=int, nargs="*", default=[100_000])
    reader.add_argument("--store", type=Path, help="a store that is filled already")
    reader.add_argument("--peers", type=Path, help="the Python that has mlflow and trackio")
    chosen = reader.parse_args()
    with sync_playwright() as play, tempfile.TemporaryDirectory(dir=".") as folder:
        chromium = shutil.which("chromium")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for size in chosen.runs:
            place = chosen.store or Path(folder, str(size))
            if chosen.store is None:
                place.mkdir()
                fill(place, size)
            show_runs(browser, place, size)
        show_charts(browser, Path(folder, "charts"))
        if chosen.peers:
            show_peers(browser, chosen.peers, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
