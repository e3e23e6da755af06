"""The frame: colours, keyboard sheet, copying, narrow screens, accessibility, empty stores."""

import gzip
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import runstore

expect = pytest.importorskip("playwright.sync_api").expect

STATIC = Path(runstore.__file__).parent / "web" / "static"
# Rules that a page can break in one of its colours and keep in the other.
OF_COLOURS = ["color-contrast", "link-in-text-block"]


def test_page_is_accessible(shared, look, violations):
    """Axe finds nothing in the grid with a selection, a menu, and the keyboard sheet."""
    # A few cells: axe looks at each of them for seconds, and all are made alike.
    few = "experiment+=+cifar+and+run_number+>+56"
    path = f"/?filter={few}&columns=reference,status,params.lr,metrics.loss,tags,notes"
    page = look(shared, path, viewport={"width": 900, "height": 320})

    def found(within="html"):
        page.emulate_media(color_scheme="dark")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        in_dark = violations(page, within, OF_COLOURS)
        page.emulate_media(color_scheme="light")
        expect(page.locator("html")).to_have_attribute("data-theme", "light")
        return in_dark + violations(page, within)

    page.locator('[data-line="1"] [data-c="2"]').click()
    page.keyboard.press("b")
    expect(page.locator(".grid-head .baseline")).to_be_visible()
    expect(page.locator(".grid .ghost")).to_have_count(0)
    assert found() == []

    page.get_by_role("button", name="Columns").click()
    expect(page.get_by_role("checkbox", name=re.compile("lr"))).to_be_visible()
    assert found(".popover") == []

    page.keyboard.press("Escape")
    page.locator('[data-line="1"] [data-c="2"]').click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    assert found("dialog") == []


@pytest.mark.parametrize("button", ["Columns", "Group", "Saved filters", "Copy as"])
def test_menus_stay_within_a_narrow_screen(shared, look, button):
    page = look(shared, viewport={"width": 390, "height": 800})

    page.get_by_role("button", name=button, exact=True).click()

    menu = page.get_by_role("dialog", name=button)
    expect(menu).to_be_visible()
    box = menu.bounding_box()
    assert (box["x"] >= 8, box["x"] + box["width"] <= 382) == (True, True)


def test_narrow_screen_needs_no_sideways_scrolling(shared, look):
    """At 390 pixels the frame fits; the grid alone scrolls within itself."""
    page = look(shared, viewport={"width": 390, "height": 800})
    expect(page.locator('[data-line="0"] a')).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(
        """() => [...document.querySelectorAll(".tools button, .top button")]
            .every(one => one.getBoundingClientRect().right <= innerWidth)"""
    )


def test_an_unknown_address_leads_back_and_a_view_is_copied_as_a_command(shared, look, turn_to):
    page = look(shared, "/no/such/view")

    page.get_by_role("link", name="Show all runs").click()

    expect(page.locator('[data-line="0"] a')).to_be_visible()

    turn_to(page, "/?panel=0&filter=params.lr+<+0.05")
    expect(page.locator(".count")).to_have_text("160 of 240 runs")
    page.get_by_role("button", name="Copy as").click()

    copied = page.get_by_role("dialog", name="Copy as")
    expect(copied).to_contain_text("ls 'params.lr < 0.05'")
    expect(copied).to_contain_text('store.find("params.lr < 0.05", limit=None)')
    expect(copied).to_contain_text(f"{shared}/?panel=0&filter=params.lr")

    # The next Tab goes on in another view, not at the top of the page.
    page.keyboard.press("Escape")
    page.locator('.grid-body [data-line="0"] [data-c="1"]').focus()

    page.keyboard.press("Enter")

    page.locator(".run-body").wait_for()
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_colours_can_be_chosen_and_stay(shared, visit):
    page = visit(shared, "/?panel=0", color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Dark").click()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_empty_store_teaches_the_first_run(served, visit, tmp_path):
    """The lines that record a run are there to copy."""
    runstore.Store.open(tmp_path / "empty").close()

    page = visit(served(tmp_path / "empty"))

    expect(page.get_by_role("heading", name="No runs yet")).to_be_visible()
    expect(page.locator("pre")).to_contain_text("runstore.start_run(")


def test_names_of_columns_are_seen_on_a_touch_screen(shared, visit):
    page = visit(shared, has_touch=True, is_mobile=True, viewport={"width": 900, "height": 600})

    overlaps = page.locator("[role=columnheader][data-name]").evaluate_all(
        """heads => heads.slice(0, 5).map((head) => [".head-title", ".head-menu"].map(
            (part) => head.querySelector(part).getBoundingClientRect()
        )).map(([title, menu]) => title.right > menu.left)"""
    )
    assert overlaps == [False] * 5


def test_actions_on_a_selection_fit_a_phone_and_are_accessible(own, visit, violations):
    """The bar of actions wraps; nothing of it has to be scrolled to."""
    page = visit(own.address, "/?columns=reference,status", viewport={"width": 400, "height": 420})
    page.locator('.grid-body [data-line="1"]').click(position={"x": 320, "y": 10})
    bar = page.locator(".action-bar")
    expect(bar).to_contain_text("1 run selected")

    for name in ("Tag", "Note", "Trash"):
        box = bar.get_by_role("button", name=name).bounding_box()
        assert box["x"] + box["width"] <= 400
    assert bar.evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    assert violations(page, ".action-bar") == []


def test_the_first_view_loads_little(shared, visit):
    """The runs and the charts beside them are there after 90 kB, compressed."""
    page = visit(shared)
    asked = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))

    page.reload()
    page.locator(".chart-plot[data-state=drawn]").first.wait_for()

    loaded = {path for path in asked if path != "/" and not path.startswith("/api/")}
    files = [STATIC / "index.html", *(STATIC / path[1:] for path in loaded)]

    assert len(loaded) > 5
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) <= 90_000
