"""The filter line: results while typing, the place of a mistake, what matches nothing."""

import re

import pytest

expect = pytest.importorskip("playwright.sync_api").expect


def test_runs_follow_while_typing(shared, visit):
    """The count is exact, and the filter is in the address without pressing Enter."""
    page = visit(shared)
    expect(page.locator(".count")).to_have_text("240 runs")

    page.keyboard.press("/")
    page.keyboard.type("experiment = cifar and params.lr < 0.05")

    expect(page.locator(".count")).to_have_text("40 of 240 runs")
    expect(page).to_have_url(re.compile("filter=experiment"))


def test_typing_is_one_step_back(shared, visit):
    page = visit(shared)
    page.locator("#filter").click()
    page.keyboard.type("status = error", delay=30)
    page.keyboard.press("Enter")
    expect(page.locator(".count")).to_have_text("12 of 240 runs")

    page.go_back()

    expect(page.locator(".count")).to_have_text("240 runs")
    expect(page.locator("#filter")).to_have_value("")


def test_mistake_shows_its_place_and_the_nearest_name(shared, visit):
    page = visit(shared)
    page.locator("#filter").fill("params.lr < 1 and statu = error")
    page.keyboard.press("Enter")

    mistake = page.get_by_role("alert")
    expect(mistake.locator("mark")).to_have_text("statu")
    expect(page.locator("#filter")).to_have_attribute("aria-invalid", "true")
    mistake.get_by_role("button", name="status").click()

    expect(page.locator("#filter")).to_have_value("params.lr < 1 and status = error")
    expect(page.locator(".count")).to_have_text("12 of 240 runs")


def test_no_match_says_what_to_change(shared, visit):
    page = visit(shared, "/?filter=experiment+=+mnist+and+params.lr+>+5")

    expect(page.get_by_role("heading", name="No run matches the filter")).to_be_visible()
    page.get_by_role("button", name="params.lr > 5").click()

    expect(page.locator(".count")).to_have_text("180 of 240 runs")


def test_filter_of_a_bad_address_is_explained(shared, visit):
    """Someone's link with a mistake shows the mistake, and does not break the page."""
    page = visit(shared, "/?filter=status+is+nothing+at+all", expected_statuses={400})

    expect(page.get_by_role("alert")).to_contain_text("^")


def test_completion_is_taken_by_tab(shared, visit):
    page = visit(shared)
    page.locator("#filter").click()
    page.keyboard.type("params.mod")
    expect(page.get_by_role("option", name=re.compile("params.model.depth"))).to_be_visible()

    page.keyboard.press("Tab")
    expect(page.locator("#filter")).to_have_value("params.model.depth ")
    page.keyboard.type("< 1")

    expect(page.locator("#filter")).to_have_value("params.model.depth < 1")
    expect(page.locator(".count")).to_have_text("35 of 240 runs")


def test_filter_is_kept_under_a_name(own, visit):
    """What one browser saves, another one and `runstore ls @name` have."""
    page = visit(own.address, "/?filter=status+=+error")
    page.get_by_role("button", name="Saved filters").click()
    page.get_by_label("Name of this filter").fill("failed")
    page.get_by_label("Name of this filter").press("Enter")
    expect(page.locator(".saved li")).to_contain_text("@failed")

    other = visit(own.address)
    other.get_by_role("button", name="Saved filters").click()
    other.get_by_role("button", name=re.compile("^@failed")).click()

    expect(other.locator(".count")).to_have_text("12 of 240 runs")
    own.command("ls", "@failed")


def test_quick_typist_gets_what_fits_the_text(shared, visit):
    """A choice made for the text of before is not taken; Tab waits for what fits."""
    page = visit(shared)
    page.locator("#filter").click()
    page.keyboard.type("params.")
    expect(page.get_by_role("option", name=re.compile("params.lr"))).to_be_visible()
    page.keyboard.press("ArrowDown")

    page.locator("#filter").fill("stat")
    page.keyboard.press("Tab")
    expect(page.locator("#filter")).to_have_value("status ")
    page.keyboard.type("= error")
    page.keyboard.press("Enter")

    expect(page.locator(".count")).to_have_text("12 of 240 runs")


def test_words_of_a_search_box_are_offered_as_a_filter(shared, visit):
    page = visit(shared)
    box = page.get_by_role("combobox", name="Filter")

    box.fill("failed mnist")
    box.press("Enter")
    page.get_by_role("alert").get_by_role("button", name="status = error and").click()

    expect(box).to_have_value("status = error and experiment = mnist")
    expect(page.locator(".count")).to_have_text("12 of 240 runs")


def test_misspelled_parameter_is_named_while_typing(shared, visit):
    """A filter that no run can match is no mistake of its grammar, but says why it is empty."""
    page = visit(shared)

    page.get_by_role("combobox", name="Filter").fill("params.ler > 0")

    expect(page.locator(".filter-hint")).to_contain_text("No run has the parameter 'ler'")
