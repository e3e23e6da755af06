"""The filter line: results while typing, the place of a mistake, what matches nothing."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

# Without the charts beside them, which have tests of their own.
RUNS_ALONE = "/?panel=0"


def clear(page):
    """Show all runs again."""
    page.locator("#filter").fill("")
    page.keyboard.press("Enter")
    expect(page.locator(".count")).to_have_text("240 runs")


def test_runs_follow_while_typing_which_is_one_step_back(shared, look):
    """The count is exact, and the filter is in the address without pressing Enter."""
    page = look(shared, RUNS_ALONE)
    page.locator("#filter").click()
    page.keyboard.type("status = error", delay=30)
    page.keyboard.press("Enter")
    expect(page.locator(".count")).to_have_text("12 of 240 runs")

    page.go_back()

    expect(page.locator(".count")).to_have_text("240 runs")
    expect(page.locator("#filter")).to_have_value("")

    page.locator(".count").click()
    page.keyboard.press("/")
    page.keyboard.type("experiment = cifar and params.lr < 0.05")

    expect(page.locator(".count")).to_have_text("40 of 240 runs")
    expect(page).to_have_url(re.compile("filter=experiment"))


def test_what_is_wrong_with_a_filter_is_shown_with_a_way_on(shared, look):
    """The place of a mistake, the nearest name, a filter for words, what matches nothing."""
    page = look(shared, RUNS_ALONE)
    box = page.get_by_role("combobox", name="Filter")
    box.fill("params.lr < 1 and statu = error")
    box.press("Enter")

    mistake = page.get_by_role("alert")
    expect(mistake.locator("mark")).to_have_text("statu")
    expect(box).to_have_attribute("aria-invalid", "true")
    mistake.get_by_role("button", name="status").click()

    expect(box).to_have_value("params.lr < 1 and status = error")
    expect(page.locator(".count")).to_have_text("12 of 240 runs")

    clear(page)
    box.fill("failed mnist")
    box.press("Enter")
    page.get_by_role("alert").get_by_role("button", name="status = error and").click()

    expect(box).to_have_value("status = error and experiment = mnist")
    expect(page.locator(".count")).to_have_text("12 of 240 runs")

    # A filter that no run can match is no mistake of its grammar, but says why it is empty.
    clear(page)
    box.fill("params.ler > 0")

    expect(page.locator(".filter-hint")).to_contain_text("No run has the parameter 'ler'")

    clear(page)
    box.fill("experiment = mnist and params.lr > 5")
    box.press("Enter")

    expect(page.get_by_role("heading", name="No run matches the filter")).to_be_visible()
    page.get_by_role("button", name="params.lr > 5").click()

    expect(page.locator(".count")).to_have_text("180 of 240 runs")


def test_completion_is_taken_by_tab_and_fits_the_text(shared, look):
    """A choice made for the text of before is not taken; Tab waits for what fits."""
    page = look(shared, RUNS_ALONE)
    page.locator("#filter").click()
    page.keyboard.type("params.mod")
    expect(page.get_by_role("option", name=re.compile("params.model.depth"))).to_be_visible()

    page.keyboard.press("Tab")
    expect(page.locator("#filter")).to_have_value("params.model.depth ")
    page.keyboard.type("< 1")

    expect(page.locator("#filter")).to_have_value("params.model.depth < 1")
    expect(page.locator(".count")).to_have_text("35 of 240 runs")

    clear(page)
    page.keyboard.type("params.")
    expect(page.get_by_role("option", name=re.compile("params.lr"))).to_be_visible()
    page.keyboard.press("ArrowDown")

    page.locator("#filter").fill("stat")
    page.keyboard.press("Tab")
    expect(page.locator("#filter")).to_have_value("status ")
    page.keyboard.type("= error")
    page.keyboard.press("Enter")

    expect(page.locator(".count")).to_have_text("12 of 240 runs")


def test_filter_of_a_bad_address_is_explained(shared, look):
    """Someone's link with a mistake shows the mistake, and does not break the page."""
    page = look(shared, "/?filter=status+is+nothing+at+all", expected_statuses={400})

    expect(page.get_by_role("alert")).to_contain_text("^")


def test_filter_is_kept_under_a_name(own, visit):
    """It is there after a reload, which has it from the server, and for `runstore ls @name`."""
    page = visit(own.address, "/?panel=0&filter=status+=+error")
    page.route("**/api/v1/filters", lambda _: None, times=1)  # a list that comes late
    page.get_by_role("button", name="Saved filters").click()
    page.get_by_label("Name of this filter").fill("failed")
    with page.expect_event("requestfailed"):  # it is given up
        page.get_by_label("Name of this filter").press("Enter")
    expect(page.locator(".saved li")).to_contain_text("@failed")

    clear(page)
    page.evaluate("localStorage.clear()")  # as another browser has it
    page.reload()
    page.get_by_role("button", name="Saved filters").click()
    page.get_by_role("button", name=re.compile("^@failed")).click()

    expect(page.locator(".count")).to_have_text("12 of 240 runs")
    own.command("ls", "@failed")
