"""The grid of runs: what it shows, its keyboard, its columns, its order."""

import contextlib
import re
import sqlite3
from datetime import timedelta

import pytest

import runstore
from runstore.model.display.formatting import duration_text

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

RUNS = 240
# Of which the last one started last.
DURATIONS = (
    -1,  # as once recorded if a clock was set back
    0.04,
    0.15,
    0.25,
    1.05,
    9.96,
    42,
    59.6,
    60,
    61,
    119.4,
    3_600 + 59,
    7_800,
    90_000,
    86_400 * 3 + 4 * 3_600,
)


@pytest.fixture(scope="module")
def unusual(serving, tmp_path_factory):
    """A store with hard numbers, many parameters and an end that is unknown."""
    folder = tmp_path_factory.mktemp("unusual") / "store"
    with runstore.Store.open(folder) as store:
        for value in (float("nan"), float("-inf"), -0.0, 1.5):
            run = store.start("hard", params={"x": value}, capture=False)
            run.log({"x": value}, step=0)
            run.finish()
        for _ in range(3):
            store.start("wide", params={f"p{n}": n for n in range(200)}, capture=False).finish()
        store.record("past", started_at="2024-01-02T03:04:05Z")
        for start, seconds in enumerate(DURATIONS, 1_700_000_000):
            store.record("timed", started_at=start, ended_at=start + max(0, seconds))
    with contextlib.closing(sqlite3.connect(folder / "runstore.db")) as database, database:
        database.execute(
            "UPDATE runs SET ended_at = started_at - 1000000 WHERE started_at = 1700000000000000"
        )
    return serving(folder, "--read-only")


def line(page, number):
    """Return a line of the grid; 0 is the first run."""
    return page.locator(f'.grid-body [data-line="{number}"]')


def cell(page, number, column):
    return line(page, number).locator(f'[data-c="{column}"]')


def names(page):
    return page.locator('[role="columnheader"][data-name]').evaluate_all(
        "cells => cells.map(cell => cell.dataset.name)"
    )


def test_first_view_has_all_runs_and_the_columns_that_differ(shared, look):
    """The newest run comes first, the last one is reached by scrolling; readers hear the count."""
    page = look(shared)

    expect(line(page, 0)).to_contain_text("mnist#180")
    expect(page.locator(".count")).to_have_text(f"{RUNS} runs")
    expect(page.get_by_role("grid", name="Runs")).to_have_attribute("aria-rowcount", f"{RUNS + 1}")

    expect(page.locator('[data-name="params.lr"]')).to_be_visible()
    assert names(page)[:4] == ["reference", "status", "started", "duration"]
    assert {"params.lr", "params.model.depth", "params.seed"} <= set(names(page))
    assert names(page)[-2:] == ["tags", "notes"]

    page.locator(".grid").evaluate("grid => { grid.scrollTop = grid.scrollHeight; }")

    expect(line(page, RUNS - 1)).to_contain_text("cifar#1")
    assert line(page, RUNS - 1).evaluate(
        """line => line.getBoundingClientRect().bottom
            <= document.querySelector(".grid").getBoundingClientRect().bottom + 1"""
    )

    drawn = page.locator(".grid-body [data-line]").count()
    page.set_viewport_size({"width": 1280, "height": 1100})  # a higher window has more lines
    page.wait_for_function(
        "drawn => document.querySelectorAll('.grid-body [data-line]').length >= drawn + 8",
        arg=drawn,
    )


def test_arrows_move_from_cell_to_cell(shared, look):
    """One cell has the focus; the keys of a grid move it, also to lines out of sight."""
    page = look(shared, "/?panel=0")
    expect(page.locator('[data-name="params.lr"]')).to_be_visible()
    cell(page, 0, 2).click()
    last_column = len(names(page))

    for key, place in (
        ("ArrowDown", (1, 2)),
        ("ArrowRight", (1, 3)),
        ("Home", (1, 0)),
        ("End", (1, last_column)),
        ("Control+End", (RUNS - 1, last_column)),
        ("Control+Home", (0, last_column)),
        ("ArrowLeft", (0, last_column - 1)),
        ("ArrowUp", (-1, last_column - 1)),
    ):
        page.keyboard.press(key)
        page.wait_for_function(
            """([line, column]) => {
                const cell = document.activeElement.closest("[data-c]");
                return cell && cell.dataset.c == column
                    && cell.closest("[data-line]").dataset.line == line;
            }""",
            arg=list(place),
        )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("PageDown")
    page.wait_for_function(
        "() => Number(document.activeElement.closest('[data-line]')?.dataset.line) > 5"
    )
    assert page.locator('.grid [tabindex="0"][data-c]').count() == 1


def test_pinned_runs_stay_on_top(shared, look):
    page = look(shared, "/?panel=0&columns=reference,status")
    cell(page, 4, 2).click()

    page.get_by_role("button", name="Pin", exact=True).click()

    expect(page.locator(".grid-head .pin")).to_contain_text("mnist#177")
    page.reload()
    expect(page.locator(".grid-head .pin")).to_contain_text("mnist#177")


def test_reload_gives_the_same_view(shared, look):
    """Everything that shapes the view is in the address."""
    page = look(shared, "/?panel=0&columns=reference,status,params.model.depth,metrics.loss,notes")
    page.locator('[data-name="params.model.depth"]').click()
    expect(cell(page, 0, 3)).to_have_text("0")
    line(page, 1).locator('[data-do="hide"]').click()
    cell(page, 2, 2).click()
    page.keyboard.press("b")
    expect(page.locator(".grid-head .baseline")).to_be_visible()
    expect(line(page, 12)).to_contain_text("complete")
    expect(page.locator(".grid .ghost")).to_have_count(0)
    before = page.locator(".grid").text_content()

    page.reload()

    expect(page.locator(".grid-head .baseline")).to_be_visible()
    expect(page.locator(".grid .ghost")).to_have_count(0)
    expect(page.locator(".grid")).to_have_text(before)


def test_groups_open_and_close(shared, look):
    """Groups show how many runs they have; their runs are there without another request."""
    page = look(shared, "/?panel=0&group=experiment,status", awaits=".group-line")

    expect(page.locator(".group-line")).to_have_count(3)
    expect(line(page, 0)).to_contain_text("mnist")
    expect(line(page, 0)).to_contain_text("168 runs")
    line(page, 0).click()
    expect(line(page, 0)).to_have_attribute("aria-expanded", "true")
    expect(line(page, 1)).to_contain_text("mnist#180")
    expect(page.get_by_role("treegrid", name="Runs")).to_have_attribute("aria-rowcount", "172")
    page.reload()
    expect(line(page, 1)).to_contain_text("mnist#180")
    line(page, 0).click()

    expect(line(page, 1)).to_have_class(re.compile("group-line"))


def test_tags_without_a_value_are_marked(served, visit, tmp_path):
    """In their column, and as a group, which opens alone."""
    with runstore.Store.open(tmp_path / "store") as store:
        for tags in ({"keep": ""}, {}):
            store.start("fit", params={}, tags=tags, capture=False).finish()

    page = visit(served(tmp_path / "store"), "/?columns=reference,tags.keep&group=tags.keep")
    expect(page.locator(".group-line")).to_have_count(2)
    page.locator(".group-line", has_text="✓").click()

    expect(page.locator("[aria-expanded=true]")).to_have_count(1)
    expect(page.locator(".grid-body .line:not(.group-line)")).to_have_count(1)
    expect(page.locator(".grid-body .line:not(.group-line)")).to_contain_text("✓")


def test_groups_whose_values_look_alike_open_alone(served, visit, tmp_path):
    with runstore.Store.open(tmp_path / "store") as store:
        for value in (0.3, 0.1 + 0.2, 1, "1", True, "true"):
            store.start("fit", params={"x": value}, capture=False).finish()

    page = visit(served(tmp_path / "store"), "/?columns=reference&group=params.x")
    heads = page.locator(".group-line strong")
    expect(heads).to_have_text(["'true'", "true", "'1'", "1", "0.3", "0.3"])
    for place in (5, 2):
        page.locator(".group-line").nth(place).click()

    expect(page.locator(".grid-body .line:not(.group-line)")).to_have_count(2)


def test_bad_columns_of_an_address_are_explained(shared, look):
    """Someone's link with an impossible column says so, and leads on."""
    page = look(shared, "/?columns=reference,params.(", expected_statuses={400})

    page.get_by_role("button", name="Show differing columns").click()

    expect(line(page, 0)).to_contain_text("mnist#180")


def test_words_of_a_hint_are_shown_as_code(shared, look):
    page = look(shared, "/?columns=reference,output", expected_statuses={400})

    expect(page.locator(".message p code")).to_have_text("output")


def test_a_row_is_selected_before_its_values_are_there(shared, visit):
    page = visit(shared, "/?panel=0")
    held, is_over = [], False

    def hold(route):
        if is_over:  # asked before, and heard of now
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/v1/runs/rows?*", hold)
    page.get_by_role("combobox", name="Filter").fill("experiment = mnist order by run_number")
    line = page.locator('.grid-body [data-line="2"]')
    expect(line.locator(".ghost").first).to_be_attached()

    line.click(position={"x": 300, "y": 10})
    is_over = True
    page.unroute("**/api/v1/runs/rows?*")  # the page may have asked again, and given up others
    for one in held:
        with contextlib.suppress(playwright.Error):
            one.continue_()

    expect(page.locator(".action-bar")).to_contain_text("1 run selected")
    expect(line).to_contain_text("mnist#3")
    expect(line).to_have_attribute("aria-selected", "true")


def test_no_matching_run_leaves_no_chart(shared, look):
    page = look(shared, viewport={"width": 1400, "height": 700})
    page.locator(".chart-plot[data-state=drawn]").first.wait_for()

    page.get_by_role("combobox", name="Filter").fill("params.lr > 5")

    expect(page.get_by_role("heading", name="No run matches")).to_be_visible()
    expect(page.get_by_role("heading", name="No runs to draw")).to_be_visible()


def test_header_sorts_and_back_undoes_it(shared, look):
    """The order is part of the filter in the address: ascending, descending, newest first.

    Its values have a column even if they are not among those that differ most, or are no field.
    """
    page = look(shared, "/?panel=0")
    header = page.locator('[data-name="params.model.depth"]')

    header.click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    expect(page).to_have_url(re.compile("filter=order.by.params.model.depth$"))
    header.click()
    expect(header).to_have_attribute("aria-sort", "descending")
    page.go_back()

    expect(header).to_have_attribute("aria-sort", "ascending")

    box = page.get_by_role("combobox", name="Filter")
    box.fill('order by metrics."val/acc".max desc')
    box.press("Enter")

    head = page.get_by_role("columnheader", name="val/acc max")
    expect(head).to_have_attribute("aria-sort", "descending")
    before = page.get_by_role("columnheader", name="Duration").get_attribute("aria-colindex")
    assert int(head.get_attribute("aria-colindex")) == int(before) + 1


def test_columns_are_moved_widened_and_chosen(shared, look, turn_to):
    """By keyboard, by dragging, which sorts nothing, and in the list of all columns."""
    page = look(shared, "/?panel=0")
    expect(page.locator('[data-name="params.lr"]')).to_be_visible()
    before = names(page)
    header = page.locator('[data-name="status"]')
    width = header.bounding_box()["width"]
    header.focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(page).to_have_url(re.compile("widths=status:"))
    assert header.bounding_box()["width"] > width

    page.keyboard.press("Control+Shift+ArrowRight")

    expect(page).to_have_url(re.compile("columns=reference,started,status"))
    assert names(page) == [before[0], before[2], before[1], *before[3:]]

    page.get_by_role("button", name="Columns").click()
    page.get_by_role("searchbox", name="Search columns").fill("hostname")
    page.get_by_role("checkbox", name=re.compile("hostname")).check()
    page.keyboard.press("Escape")

    expect(page.locator('[role="columnheader"][data-name="hostname"]')).to_be_attached()
    expect(page).to_have_url(re.compile("columns=[^&]*hostname"))

    turn_to(page, "/?panel=0&columns=reference,status,started,notes")
    expect(page.get_by_role("columnheader")).to_have_count(5)
    status = page.locator('[data-name="status"]').bounding_box()
    started = page.locator('[data-name="started"]').bounding_box()

    page.mouse.move(started["x"] + 30, started["y"] + 15)
    page.mouse.down()
    page.mouse.move(status["x"] + 10, status["y"] + 15, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("columns=reference,started,status,notes"))
    edge = page.locator('[data-name="started"] .resize').bounding_box()
    page.mouse.move(edge["x"] + 3, edge["y"] + 15)
    page.mouse.down()
    page.mouse.move(edge["x"] + 63, edge["y"] + 15, steps=4)
    page.mouse.up()

    expect(page).to_have_url(re.compile("widths=started:172"))
    assert "order" not in page.url


def test_menus_and_marks_of_runs_are_in_the_address(shared, look, turn_to):
    """Another value of a metric, a baseline, hidden and single runs, a condition of a column."""
    page = look(shared, "/?panel=0&columns=reference,metrics.loss")
    expect(cell(page, 0, 2)).to_have_text("0.0020833")

    page.locator('[data-name="metrics.loss"]').hover()
    page.get_by_role("button", name="Menu of metrics.loss").click()
    page.get_by_role("button", name="max").click()

    expect(cell(page, 0, 2)).to_have_text("0.0041667")
    expect(page).to_have_url(re.compile("columns=reference,metrics.loss.max"))

    turn_to(page, "/?panel=0&columns=reference,params.seed")
    expect(page.locator('[data-name="params.seed"]')).to_be_visible()
    cell(page, 3, 2).click()

    page.keyboard.press("b")

    baseline = page.locator(".grid-head .baseline")
    expect(baseline).to_contain_text("cifar#60")
    expect(cell(page, 0, 2)).to_have_text(re.compile("[+\N{MINUS SIGN}][1-9]"))
    expect(page).to_have_url(re.compile("baseline="))

    turn_to(page, "/?panel=0")
    expect(page.locator(".grid-head .baseline")).to_have_count(0)
    line(page, 1).locator('[data-do="hide"]').click()
    line(page, 2).locator('[data-do="solo"]').click()

    expect(page).to_have_url(re.compile("hide=.*solo=|solo=.*hide="))
    expect(line(page, 1).locator('[data-do="hide"]')).to_have_attribute("aria-pressed", "true")
    expect(line(page, 2).locator('[data-do="solo"]')).to_have_attribute("aria-pressed", "true")

    turn_to(page, "/?panel=0&filter=experiment=mnist%20order%20by%20run_number")
    expect(page.locator(".count")).to_have_text("180 of 240 runs")
    page.get_by_role("columnheader", name="lr").click(button="right")

    page.get_by_role("button", name="Filter by this column").click()
    page.keyboard.type("= 0.1")

    expect(page.get_by_role("combobox", name="Filter")).to_have_value(
        "experiment=mnist and params.lr = 0.1 order by run_number"
    )
    expect(page.locator(".count")).to_have_text("60 of 240 runs")


def test_names_with_any_signs_have_columns(served, visit, tmp_path):
    """Commas, percent signs, quotes and markup in names and values are only text."""
    name = 'a,b%2C "x" <img src=x onerror=alert(1)>'
    with runstore.Store.open(tmp_path / "store") as store:
        for n in range(3):
            run = store.start(name, params={name: n}, notes=name, capture=False)
            run.log({name: n / 2}, step=0)
            run.log({name: float("nan")}, step=10)
            run.finish()
            store.tag(run.uid, {name.replace("=", ":"): name})
    page = visit(served(tmp_path / "store"))

    header = page.locator('[role="columnheader"][data-name^="params."]')
    expect(header).to_contain_text(name)
    header.click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    expect(page.locator(".filter-mistake")).to_have_count(0)
    place = header.get_attribute("data-c")
    expect(cell(page, 0, place)).to_have_text("0")
    assert page.locator(".grid img").count() == 0


def test_hard_numbers_and_unknown_ends(unusual, look, turn_to):
    """A parameter that is NaN or infinite looks like a metric that is."""
    page = look(unusual, "/?panel=0&filter=experiment+=+hard&columns=reference,params.x,metrics.x")

    for number, text in ((3, "NaN"), (2, "\N{MINUS SIGN}∞")):
        cells = page.locator(f'.grid-body [data-line="{number}"] .value')
        expect(cells).to_have_text([text, text])
    expect(page.locator('.grid-body [data-line="1"] .value').first).to_have_text("\N{MINUS SIGN}0")

    # What is over without a known end is not counted up to the present.
    turn_to(page, "/?panel=0&filter=experiment+=+past&columns=reference,duration")
    expect(line(page, 0)).to_contain_text("past#1")
    duration = page.get_by_role("columnheader", name="Duration").get_attribute("data-c")
    expect(cell(page, 0, duration)).to_have_text("")


def test_durations_are_those_of_the_command_line(unusual, look):
    page = look(unusual, "/?panel=0&filter=experiment+=+timed&columns=duration")

    for number, seconds in enumerate(reversed(DURATIONS)):
        shown = page.locator(f'.grid-body [data-line="{number}"] [role="gridcell"]').last
        expect(shown).to_have_text(duration_text(timedelta(seconds=seconds)))


def test_only_columns_in_sight_are_drawn(unusual, look):
    """Hundreds of them scroll as well as a few; the keyboard reaches all."""
    columns = ",".join(["reference", *(f"params.p{n}" for n in range(200))])
    page = look(unusual, f"/?panel=0&filter=experiment+=+wide&columns={columns}")
    expect(cell(page, 0, 2)).to_have_text("0")
    assert line(page, 0).locator(".cell").count() < 60

    page.locator(".grid").evaluate("grid => { grid.scrollLeft = grid.scrollWidth / 2; }")
    expect(cell(page, 0, 102)).to_have_text("100")
    expect(cell(page, 0, 2)).to_have_count(0)
    expect(cell(page, 0, 1)).to_be_visible()
    heads = page.locator('[role="columnheader"][data-c="102"]')
    assert heads.bounding_box()["x"] == cell(page, 0, 102).bounding_box()["x"]

    cell(page, 0, 102).focus()
    page.keyboard.press("End")
    expect(cell(page, 0, 201)).to_be_focused()
    expect(cell(page, 0, 201)).to_be_in_viewport()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(cell(page, 0, 2)).to_be_focused()
