"""Tags, notes and the trash with undo, and changes that come from elsewhere."""

import re

import pytest

from runstore import Store

expect = pytest.importorskip("playwright.sync_api").expect

# Without the charts beside them, which have tests of their own.
RUNS_ALONE = "/?panel=0"


def line(page, number):
    return page.locator(f'.grid-body [data-line="{number}"]')


def cell(page, number, column):
    return line(page, number).locator(f'[data-c="{column}"]')


def test_selection_by_click_shift_and_keys(shared, look):
    page = look(shared, RUNS_ALONE)
    bar = page.locator(".action-bar")

    cell(page, 2, 2).click()
    expect(bar).to_contain_text("1 run selected")
    cell(page, 5, 2).click(modifiers=["Shift"])
    expect(bar).to_contain_text("4 runs selected")
    cell(page, 3, 2).click(modifiers=["Control"])
    expect(bar).to_contain_text("3 runs selected")
    page.keyboard.press("Space")
    expect(bar).to_contain_text("4 runs selected")
    page.keyboard.press("Control+a")
    expect(bar).to_contain_text("240 runs selected")
    page.keyboard.press("Escape")

    expect(line(page, 2)).to_have_attribute("aria-selected", "false")


def test_read_only_page_offers_no_edits(shared, look):
    page = look(shared, RUNS_ALONE)

    cell(page, 0, 2).click()

    expect(page.locator(".action-bar")).to_contain_text("1 run selected")
    expect(page.locator(".action-bar").get_by_role("button", name="Tag")).to_have_count(0)


def test_all_of_many_runs_are_tagged_at_once(served, visit, tmp_path):
    with Store.open(tmp_path / "store") as store:
        for number in range(1010):
            store.record("many", started_at=1_700_000_000 + number, params={"odd": number % 2})
        page = visit(served(store.path), RUNS_ALONE)

        cell(page, 1, 2).click()
        page.keyboard.press("Control+a")
        expect(page.locator(".action-bar")).to_contain_text("1,010 runs selected")
        page.keyboard.press("t")
        page.get_by_role("textbox", name="Key").fill("seen")
        page.keyboard.press("Enter")

        expect(page.locator(".toast").last).to_contain_text("1,010 runs")
        assert len(store.find("tags.seen is not missing", limit=None)) == 1010


def test_edits_by_keyboard_are_undone(own, visit):
    """A run that is trashed leaves the grid, is listed in the trash, and comes back."""
    page = visit(own.address, RUNS_ALONE)
    expect(line(page, 1)).to_contain_text("mnist#179")
    expect(page.locator(".grid-head .ghost, .grid-body .ghost")).to_have_count(0)
    cell(page, 1, 2).click()
    cell(page, 2, 2).click(modifiers=["Shift"])
    page.keyboard.press("t")
    page.get_by_role("textbox", name="Key").fill("verdict")
    page.get_by_role("textbox", name="Value (optional)").fill("good")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Undo").hover()  # a message stays while it is pointed at

    expect(line(page, 1)).to_contain_text("verdict")
    expect(line(page, 2)).to_contain_text("verdict")
    page.get_by_role("button", name="Undo").click()
    expect(line(page, 1)).not_to_contain_text("verdict")
    expect(line(page, 2)).not_to_contain_text("verdict")

    cell(page, 1, 2).click()
    page.keyboard.press("Delete")

    expect(page.locator(".count")).to_have_text("239 runs")
    expect(line(page, 1)).to_contain_text("mnist#178")
    page.get_by_role("button", name="Trash").first.click()
    expect(line(page, 0)).to_contain_text("mnist#179")
    page.get_by_role("button", name="Trash").first.click()
    page.keyboard.press("Control+z")
    expect(page.locator(".count")).to_have_text("240 runs")
    expect(line(page, 1)).to_contain_text("mnist#179")

    cell(page, 0, 2).click()
    page.keyboard.press("n")
    box = page.get_by_role("textbox", name="Notes of")
    expect(box).to_be_focused()
    box.fill("Looks **good**.")
    box.press("Control+Enter")

    with Store.open(own.folder) as store:
        uid = page.locator('.grid-body [data-line="0"] a').get_attribute("href").rsplit("/", 1)[1]
        expect(page.locator(".toast").last).to_contain_text("Updated the notes")
        assert store.get(uid).notes == "Looks **good**."
        expect(line(page, 0)).to_contain_text("Looks")
        page.keyboard.press("Control+z")
        expect(line(page, 0)).not_to_contain_text("Looks")
        assert store.get(uid).notes != "Looks **good**."


def test_changes_of_others_appear_and_the_selection_stays(own, visit):
    """Those of another process, and of another browser; runs that come in move the lines."""
    page, other = visit(own.address, RUNS_ALONE), visit(own.address, RUNS_ALONE)
    for one in (page, other):
        expect(one.locator(".connection")).to_have_text("Live")
        expect(line(one, 0)).to_contain_text("mnist#180")

    own.command("tag", "mnist#180", "+seen=everywhere")
    for one in (page, other):
        expect(line(one, 0)).to_contain_text("everywhere")
    cell(page, 0, 2).click()
    page.keyboard.press("n")
    page.get_by_role("textbox").last.fill("written in one browser")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(line(other, 0)).to_contain_text("written in one browser")

    expect(page.locator(".action-bar")).to_contain_text("1 run selected")
    own.command("exec", "--experiment", "fresh", "--", "true")

    expect(line(page, 0)).to_contain_text("fresh#1")
    expect(line(page, 1)).to_contain_text("mnist#180")
    expect(line(page, 1)).to_have_attribute("aria-selected", "true")
    expect(page.locator(".count")).to_have_text(re.compile("^241 runs"))


def test_columns_of_new_runs_appear_in_an_open_page(served, visit, tmp_path):
    """The first run brings all its columns, also those of metrics that it logs later."""
    folder = tmp_path / "store"
    Store.open(folder, create=True).close()
    page = visit(served(folder), RUNS_ALONE)
    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()

    def columns(*names):
        found = page.locator('[role="columnheader"][data-name*="."]')
        expect(found).to_have_count(len(names))
        assert found.evaluate_all("cells => cells.map(cell => cell.dataset.name)") == list(names)

    with Store.open(folder) as store:
        run = store.start("fit", params={"lr": 0.1, "seed": 1}, capture=False)
        run.log(loss=1.0)
        columns("params.lr", "params.seed", "metrics.loss")
        run.log(acc=1.0)
        columns("params.lr", "params.seed", "metrics.loss", "metrics.acc")
        run.finish()
        store.start("fit", params={"lr": 0.2, "seed": 1}, capture=False).finish()
        columns("params.lr", "metrics.loss", "metrics.acc")
