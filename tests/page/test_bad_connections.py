"""Answers that come late or not at all, and servers that end, come back, or are another one."""

import re
import shutil

import pytest

import runstore

expect = pytest.importorskip("playwright.sync_api").expect

# Without the charts beside them, which have tests of their own.
RUNS_ALONE = "/?panel=0"
NO_SERVER = {"message": "The server cannot be reached.", "kept": None, "hint": None}
# A server that is about to end answers 503.
LOST = frozenset({"ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", 401, 503})


def line(page, number):
    return page.locator(f'.grid-body [data-line="{number}"]')


def select(page, number):
    """Select one run, once the rows of all columns are there: a row that is not takes no click."""
    expect(page.locator(".grid-head .ghost, .grid-body .ghost")).to_have_count(0)
    line(page, number).locator('[data-c="2"]').click()
    expect(page.locator(".action-bar")).to_contain_text("1 run selected")


def begin_to_select_all(page):
    """Press the keys for it, and wait until the uids are asked for; return what is held up."""
    waiting = held(page, lambda url: "runs/rows?ids=" in url and "columns" not in url)
    page.keyboard.press("Control+a")
    expect(page.get_by_role("button", name="Selecting")).to_be_disabled()
    while not waiting:
        page.wait_for_timeout(20)
    return waiting


def held(page, url, **options):
    """Hold up requests; return them as they come."""
    waiting = []

    def hold(route):
        waiting.append(route)

    page.route(url, hold, **options)
    return waiting


def test_a_server_that_came_back_says_how_to_go_on(server, visit):
    """It does not know this browser: the page says so, and goes on once it is let in.

    The line never names a filter other than that of the rows, once there is a connection.
    """
    page = visit(server.address, RUNS_ALONE, expected_statuses=LOST)
    connection = page.locator(".connection")
    expect(connection).to_have_text("Live")

    server.end()
    expect(connection).to_have_text("Offline")
    page.get_by_role("combobox", name="Filter").fill("experiment = cifar")
    page.keyboard.press("Enter")
    expect(page.locator(".toast").last).to_contain_text("did not answer")
    server.start(server.folder)

    expect(page.locator(".toast").last).to_contain_text("runstore ui")
    expect(connection).to_have_text("Trouble")
    server.let_in(page)
    expect(connection).to_have_text("Live")
    expect(page.locator(".count")).to_have_text("60 of 240 runs")
    expect(page).to_have_url(re.compile("filter=experiment"))


def test_another_store_at_the_same_port_is_shown_from_the_start(server, visit, tmp_path):
    """Nothing of the store before stays on the page."""
    page = visit(server.address, RUNS_ALONE, expected_statuses=LOST)
    expect(line(page, 0)).to_contain_text("mnist#180")
    select(page, 0)
    other = tmp_path / "other"
    with runstore.Store.open(other) as opened:
        for _ in range(12):
            opened.start("elsewhere", params={}, capture=False).finish()

    server.end()
    server.start(other)
    server.let_in(page)

    expect(line(page, 0)).to_contain_text("elsewhere#12")
    expect(page.locator(".count")).to_have_text("12 runs")
    expect(page.locator(".action-bar")).not_to_contain_text("selected")


def test_selections_that_come_late_and_an_undo_that_was_not_answered(own, visit):
    page = visit(own.address, RUNS_ALONE, expected_statuses={"ERR_FAILED"})
    select(page, 0)

    # One that was given up does not arrive.
    waiting = begin_to_select_all(page)
    select(page, 3)
    while not all(one.request.failure for one in waiting):
        page.wait_for_timeout(20)
    expect(page.locator(".action-bar")).to_contain_text("1 run selected")
    expect(line(page, 3)).to_have_attribute("aria-selected", "true")
    page.unroute_all()

    # A tag goes to all runs, not to those that were selected before.
    waiting = begin_to_select_all(page)
    page.keyboard.press("t")
    expect(page.get_by_role("button", name="Tag", exact=True)).to_be_disabled()
    for one in waiting:
        one.continue_()
    expect(page.get_by_role("button", name="Tag 240 runs")).to_be_visible()
    page.keyboard.press("Escape")

    # An undo that did not reach the server can be repeated.
    select(page, 0)
    page.keyboard.press("Delete")
    expect(page.locator(".count")).to_have_text("239 runs")
    page.route("**/api/v1/undo", lambda route: route.abort())
    page.keyboard.press("Control+z")
    expect(page.locator(".toast").last).to_contain_text("did not answer")
    page.unroute("**/api/v1/undo")
    page.keyboard.press("Control+z")
    expect(page.locator(".count")).to_have_text("240 runs")


def test_charts_are_drawn_once_a_lost_store_is_back(served, template, tmp_path, visit):
    """What failed while the store was away is asked for again, and the message about it leaves."""
    folder = tmp_path / "store"
    shutil.copytree(template, folder)
    page = visit(served(folder), expected_statuses={503}, viewport={"width": 1400, "height": 700})
    loss = page.locator('.chart[data-metric="loss"] .chart-plot')
    expect(loss).to_have_attribute("data-state", "drawn")
    folder.rename(tmp_path / "away")
    expect(page.locator(".connection")).to_have_text("Trouble")

    line(page, 2).locator('[data-c="2"]').click()
    waiting = held(page, "**/api/v1/filter?*", times=1)
    page.get_by_role("combobox", name="Filter").fill("experiment = cifar")
    message = page.locator(".toast", has_text="There is no store")
    message.hover()  # while it is read, it does not leave by itself
    while not waiting:
        page.wait_for_timeout(20)
    with page.expect_response("**/api/v1/runs/order*"):
        (tmp_path / "away").rename(folder)
    # The page hears late that the filter was not read while the store was away.
    waiting.pop().fulfill(status=503, json={"error": NO_SERVER})

    expect(page.locator(".connection")).to_have_text("Live")
    expect(page.locator(".count")).to_have_text("60 of 240 runs")
    expect(message).to_have_count(0)
    uid = line(page, 0).locator("a").get_attribute("href").rsplit("/", 1)[1]
    line(page, 0).locator('[data-c="2"]').click()
    expect(loss).to_have_attribute("data-lines", uid)


def test_a_page_that_began_without_a_store_shows_it_once_it_is_there(shared, visit):
    # In a browser of its own, which keeps the clock.
    page = visit(shared, RUNS_ALONE, expected_statuses={503}, locale="en-US")
    answer = {"error": NO_SERVER}
    page.route("**/api/v1/store", lambda route: route.fulfill(status=503, json=answer))
    page.clock.install()
    page.reload()
    expect(page.locator(".message")).to_contain_text("cannot be reached")

    page.unroute_all()
    page.clock.fast_forward(5_000)

    expect(line(page, 0)).to_contain_text("mnist#180")
