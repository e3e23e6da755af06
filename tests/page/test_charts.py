"""Charts: nothing of a series is lost, lines stay as they are, and views can be kept."""

import csv
import random
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from runstore import Store
from runstore.model.display.limits import robust_limits

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

POINTS = 100_000
SPIKE = 61_803
# Bands that do not touch: the middle one can come and go without a change of the scales.
LOW, MIDDLE, HIGH = 1.0, 4.0, 9.0

# Reads the pixels of a part of the plot; the part is named in values of the axes.
PIXELS = """
(element, [left, right, low, high]) => {
  const [x0, x1] = element.dataset.x.split(",").map(Number);
  const [y0, y1] = element.dataset.y.split(",").map(Number);
  const canvas = element.querySelector("canvas");
  const area = element.parentElement.querySelector(".chart-area").getBoundingClientRect();
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const column = (x) =>
    (area.left - box.left + (((x ?? x0) - x0) / (x1 - x0)) * area.width) * ratio;
  const row = (y) => (area.top - box.top + ((y1 - y) / (y1 - y0)) * area.height) * ratio;
  const from = Math.round(column(left ?? x0)), to = Math.round(column(right ?? x1));
  const top = Math.round(row(high)), bottom = Math.round(row(low));
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  // Two pixels more to either side: a line may begin between two of them.
  const { data } = context.getImageData(from - 2, top, to - from + 4, Math.max(1, bottom - top));
  let hash = 0, opacity = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue, alpha] = data.slice(at, at + 4);
    hash = (Math.imul(hash, 31) + red + green * 3 + blue * 5 + alpha * 7) | 0;
    // The lines of the grid behind are light.
    if (Math.min(red, green, blue) < 200) opacity = Math.max(opacity, alpha);
  }
  return { hash, opacity };
}
"""

CURSOR_LEFT = """
(element) => {
  const area = element.parentElement.querySelector(".chart-area");
  const cross = area.querySelector(".chart-cross");
  return cross && cross.getBoundingClientRect().left - area.getBoundingClientRect().left;
}
"""


@pytest.fixture(scope="module")
def charted(tmp_path_factory):
    """A store of three runs, one of them long and with one value far from all others."""
    folder = tmp_path_factory.mktemp("charts") / "store"
    draw = random.Random(5)
    with Store.open(folder) as store:
        for name, level, count in (
            ("low", LOW, POINTS), ("middle", MIDDLE, 500), ("high", HIGH, 500)
        ):  # fmt: skip
            run = store.start(name, params={"level": level}, capture=False)
            steps = range(0, POINTS, POINTS // count)
            values = [level + draw.uniform(-0.4, 0.4) for _ in steps]
            if name == "low":
                values[SPIKE] = 7.0
            run.log_points("loss", values, steps=steps)
            for step in range(0, 1000, 10):
                run.log({"val/acc": 1 - 1 / (step + level)}, step=step)
            run.finish()
    return folder


@pytest.fixture(scope="module")
def address(serving, charted):
    return serving(charted, "--read-only")


@pytest.fixture(scope="module")
def repeated(serving, tmp_path_factory):
    """Two settings with three seeds each."""
    folder = tmp_path_factory.mktemp("repeats") / "store"
    with Store.open(folder) as store:
        for level in (LOW, HIGH):
            for seed in range(3):
                params = {"level": level, "seed": seed}
                run = store.start("repeats", params=params, capture=False)
                run.log_points("loss", [level + seed / 10] * 50)
                run.finish()
    return serving(folder, "--read-only")


def chart(page, metric="loss"):
    """Return a chart once it shows all there is."""
    plot = page.locator(f'.chart[data-metric="{metric}"] .chart-plot')
    expect(plot).to_have_attribute("data-state", "drawn")
    return plot


def shown(plot, name="x"):
    """Return a range of a chart's axis."""
    low, high = plot.get_attribute(f"data-{name}").split(",")
    return float(low), float(high)


def window_in_address(page):
    query = parse_qs(urlsplit(page.url).query)
    return tuple(float(query.get(end, ["nan"])[0]) for end in ("from", "to"))


def bands(plot, *levels, left=SPIKE * 1.1):
    """Return a hash of what is drawn around each level, by default at the right of the spike.

    Lines that fade while another one is highlighted are left out.
    """
    found = [plot.evaluate(PIXELS, [left, None, level - 0.5, level + 0.5]) for level in levels]
    return [one["hash"] for one in found if one["opacity"] > 100]


def opacity(plot, value, left, right):
    """Return how much is drawn at a height, between two places or within two pixels of them."""
    return plot.evaluate(PIXELS, [left, right, value, value])["opacity"]


def strength(plot, level):
    """Return how strongly a line is drawn, which is not nothing."""
    found = plot.evaluate(PIXELS, [85_000, 90_000, level - 0.5, level + 0.5])["opacity"]
    assert found > 0
    return found


def lines(plot):
    return len(plot.get_attribute("data-lines").split(","))


def eventually(page, is_so):
    """Wait until something is so that the page does in its own time."""
    for _ in range(300):
        if is_so():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not become so")


def run_line(page, name):
    return page.locator(".grid-body").get_by_role("row").filter(has_text=f"{name}#1")


def cursor_left(plot):
    """Return where the line at the cursor is drawn, in pixels of the plot's area."""
    left = plot.evaluate(CURSOR_LEFT)
    return float("nan") if left is None else left


def point_at(page, plot, x, share_y=0.5):
    """Move the pointer to a place of the x axis."""
    low, high = shown(plot)
    area = plot.locator("xpath=..").locator(".chart-area").bounding_box()
    left = (x - low) / (high - low) * area["width"]
    page.mouse.move(area["x"] + left, area["y"] + share_y * area["height"])
    # The page moves its cursor with the next frame that it draws.
    eventually(page, lambda: abs(cursor_left(plot) - left) < 2)


def test_a_spike_is_visible_at_every_zoom(address, visit):
    """One value among 100,000 is drawn, however wide or narrow the window is."""
    page = visit(address)
    plot = chart(page)

    widths = []
    plot.focus()
    while not widths or widths[-1] > 20:
        low, high = shown(plot)
        widths.append(high - low)
        # Between the lines there is nothing but the spike and its two flanks.
        eventually(page, lambda: opacity(plot, 5.3, SPIKE - 1, SPIKE + 1) > 0)
        point_at(page, plot, SPIKE)
        for _ in range(3):
            before = plot.get_attribute("data-x")
            page.keyboard.press("+")
            expect(plot).not_to_have_attribute("data-x", before)

    assert len(widths) > 5
    assert widths == sorted(widths, reverse=True)


@pytest.fixture(scope="module")
def diverged(serving, tmp_path_factory):
    """Three runs, of which the last diverged."""
    folder = tmp_path_factory.mktemp("diverged") / "store"
    with Store.open(folder) as store:
        for rate in (0.1, 0.2, 100):
            run = store.start("fit", params={"lr": rate}, capture=False)
            values = [2.0 - rate * step / 10 for step in range(10)]
            run.log_points(
                "loss", values if rate < 1 else [2.0, *(3.0**one for one in range(1, 26))]
            )
            run.finish()
    return serving(folder, "--read-only")


def test_an_axis_is_drawn_over_most_lines_or_all_of_them(diverged, look):
    """The limits are those of `runstore plot`; a mark shows where the other line leaves them."""
    page = look(diverged)
    plot = chart(page)
    expect(plot).not_to_have_attribute("data-leaving", "")
    low, high = shown(plot, "y")
    good = robust_limits([(1.82, 2.0), (1.91, 2.0), (2.0, 3.0**25)])

    assert good is not None
    assert low <= good[0] <= good[1] <= high < 3
    assert plot.evaluate(PIXELS, [0, 1, high - 0.01, high])["opacity"] > 100
    title = page.locator(".chart figcaption").first
    expect(title).to_contain_text("outside: fit#3 lr=100 (up to 8.473e11)")

    title.get_by_role("button", name="Show").click()
    expect(title).to_contain_text("flat beside fit#3 lr=100")
    assert shown(plot, "y")[1] > 3.0**25

    title.get_by_role("button", name="Fit most").click()
    expect(title).to_contain_text("outside")
    assert shown(plot, "y") == (low, high)


def test_plots_of_runs_have_diverged_ones_beside_their_axes(diverged, look):
    page = look(diverged, "/compare?tab=scatter&x=params.lr&y=metrics.loss&colour=metrics.loss")

    expect(page.locator(".legend")).to_contain_text("far above (1 run)")

    page = look(diverged, "/pivot?rows=params.lr&metric=metrics.loss.last")
    expect(page.locator(".pivot-cell")).to_have_count(3)
    shades = "cells => cells.map((cell) => cell.style.getPropertyValue('--strength'))"
    assert page.locator(".pivot-cell").evaluate_all(shades) == ["0%", "100%", "0%"]


def test_hiding_or_adding_a_run_changes_no_other_line(address, look):
    page = look(address)
    plot = chart(page)
    before = bands(plot, LOW, MIDDLE, HIGH)
    assert len(before) == 3

    run_line(page, "middle").get_by_role("button", name="Hide").click()
    expect(plot).to_have_attribute("data-lines", re.compile("^[^,]*,[^,]*$"))
    page.mouse.move(0, 0)
    eventually(page, lambda: bands(plot, LOW, HIGH) == [before[0], before[2]])
    run_line(page, "middle").get_by_role("button", name="Hide").click()
    expect(plot).to_have_attribute("data-lines", re.compile("^[^,]*,[^,]*,[^,]*$"))
    page.mouse.move(0, 0)

    eventually(page, lambda: bands(plot, LOW, MIDDLE, HIGH) == before)


def test_a_reload_gives_the_same_view(address, look):
    """What is chosen stands in the address: axes, smoothing, zoom, metrics."""
    page = look(address)
    plot = chart(page)
    page.get_by_role("slider", name="Smoothing").fill("0.6")
    page.get_by_role("button", name="Axes: Step").click()
    page.get_by_role("button", name="Logarithmic, vertical").click()
    page.get_by_role("button", name="Metrics", exact=True).click()
    page.get_by_role("checkbox", name="val/acc").uncheck()
    page.keyboard.press("Escape")
    plot.focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    x, y = shown(plot), shown(plot, "y")
    eventually(page, lambda: window_in_address(page) == pytest.approx(x, abs=1))
    expect(page).to_have_url(re.compile("charts=loss.*logy=1|logy=1.*charts=loss"))

    page.reload()
    plot = chart(page)

    expect(page.get_by_role("slider", name="Smoothing")).to_have_value("0.6")
    assert page.locator(".chart").count() == 1
    assert shown(plot) == pytest.approx(x, abs=1)
    # A finer level, which may be drawn by now, begins at other points beside the window.
    eventually(page, lambda: shown(plot, "y") == pytest.approx(y, rel=0.01))


def test_keys_zoom_move_and_read(address, look):
    page = look(address)
    plot = chart(page)
    whole = shown(plot)
    tip = page.locator(".chart-tip")

    plot.focus()
    page.keyboard.press("ArrowRight")
    expect(tip).to_contain_text("Step")
    page.keyboard.press("ArrowDown")
    expect(tip.locator(".near")).to_contain_text("high#1")
    page.keyboard.press("+")
    expect(plot).not_to_have_attribute("data-x", f"{whole[0]:g},{whole[1]:g}")
    zoomed = shown(plot)
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator(".chart-runs")).to_contain_text("Reset zoom")
    page.keyboard.press("0")
    expect(plot).to_have_attribute("data-x", f"{whole[0]:g},{whole[1]:g}")
    page.keyboard.press("Space")
    expect(run_line(page, "high")).to_have_attribute("aria-selected", "true")

    assert zoomed[1] - zoomed[0] < whole[1] - whole[0]
    assert lines(plot) == 3  # the charts keep their runs when one of them is picked


def test_a_click_on_a_line_selects_its_run_and_rows_highlight_lines(address, look):
    page = look(address)
    plot = chart(page)
    low, high = shown(plot, "y")
    usual = strength(plot, HIGH)

    point_at(page, plot, 85_000, (high - MIDDLE) / (high - low))
    expect(page.locator(".chart-tip .near")).to_contain_text("middle#1 level=4")
    expect(run_line(page, "middle")).to_have_class(re.compile("hovered"))
    page.mouse.down()
    page.mouse.up()
    expect(run_line(page, "middle")).to_have_attribute("aria-selected", "true")
    page.mouse.move(0, 0)
    page.keyboard.press("Escape")
    eventually(page, lambda: strength(plot, HIGH) == usual)
    run_line(page, "middle").hover()

    eventually(page, lambda: strength(plot, HIGH) < usual / 2)


def test_a_chart_is_enlarged_read_as_a_table_and_saved(address, look, tmp_path):
    page = look(address, viewport={"width": 1280, "height": 800})
    chart(page)

    page.get_by_role("button", name="Enlarge loss").click()
    full = page.get_by_role("dialog", name="loss")
    expect(full.get_by_role("row").filter(has_text="high#1")).to_be_visible()
    page.get_by_role("dialog", name="loss").get_by_role("button", name="More of loss").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download as CSV").click()
    saved.value.save_as(tmp_path / "loss.csv")
    full.get_by_role("button", name="More of loss").click()
    with page.expect_download() as picture:
        page.get_by_role("button", name="Download as PNG").click()
    full.get_by_role("button", name="Close").click()
    expect(full).to_have_count(0)
    page.get_by_role("button", name="More of val/acc").click()
    page.get_by_role("button", name="Show as a table").click()
    expect(page.get_by_role("dialog").get_by_role("row")).to_have_count(4)

    with (tmp_path / "loss.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        max(float(row["max"] or row["value"]) for row in rows if row["run"] == "low#1 level=1")
        == 7.0
    )
    assert picture.value.suggested_filename == "loss.png"


def test_the_legend_of_compared_runs_hides_and_highlights_lines(address, look, turn_to):
    page = look(address)
    uids = chart(page).get_attribute("data-lines")
    turn_to(page, f"/compare?tab=charts&charts=loss&runs={uids}")
    plot = chart(page)
    before, usual = bands(plot, LOW, HIGH), strength(plot, HIGH)
    assert len(before) == 2
    middle = page.get_by_role("list", name="Runs").get_by_role("button", name="middle#1 level=4")

    middle.hover()
    eventually(page, lambda: strength(plot, HIGH) < usual / 2)
    middle.click()
    expect(middle).to_have_attribute("aria-pressed", "false")
    expect(plot).to_have_attribute("data-lines", re.compile("^[^,]*,[^,]*$"))
    page.mouse.move(0, 0)

    eventually(page, lambda: bands(plot, LOW, HIGH) == before)


def test_means_of_repeats_do_not_depend_on_what_is_hidden(repeated, look):
    page = look(repeated)
    chart(page)
    page.get_by_role("button", name="Mean of repeats").click()
    plot = chart(page)
    expect(plot).to_have_attribute("data-lines", re.compile(r"^[^,+]*\+[^,+]*\+[^,+]*,"))
    before = bands(plot, LOW, HIGH, left=10)
    assert len(before) == 2
    point_at(page, plot, 25, 0.5)
    expect(page.locator(".chart-tip")).to_contain_text("level=9 (3 runs)9.1")

    page.get_by_role("button", name="Hide repeats_2").click()
    expect(page.locator(".chart-runs")).to_contain_text("1 hidden")
    page.mouse.move(0, 0)

    eventually(page, lambda: bands(plot, LOW, HIGH, left=10) == before)
    assert lines(plot) == 2


def test_new_points_appear_while_a_run_goes_on(served, visit, tmp_path):
    """What was added point by point is what a reload shows."""
    folder = tmp_path / "store"
    with Store.open(folder) as store:
        run = store.start("live", capture=False)
        run.log_points("loss", [1 / (1 + step) for step in range(2_000)])
        page = visit(served(folder))
        plot = chart(page)
        expect(plot).to_have_attribute("data-points", "2000")

        for step in range(2_000, 3_000):
            run.log({"loss": 7.0 if step == 2_500 else 0.1}, step=step)
        expect(plot).to_have_attribute("data-points", "3000")
        with store.start("live", capture=False) as second:
            second.log({"loss": 0.5}, step=0)
        expect(plot).to_have_attribute("data-points", re.compile("^(3000,1|1,3000)$"))
        drawn = shown(plot), shown(plot, "y")
        run.finish()

        page.reload()
        again = chart(page)
        expect(again).to_have_attribute("data-points", re.compile(","))
        assert (shown(again), shown(again, "y")) == drawn
        assert drawn[1][1] > 7


# Says whether the looks of these runs are kept for the next visit.
KEEPS_LOOKS = """uids => {
    const kept = new Map(JSON.parse(localStorage.getItem("runstore.marks") ?? "[]"));
    return uids.every(uid => kept.has(uid));
}"""


def looks_in_legend(page):
    """Return the colour and the dashes of each compared run, by its name."""
    return page.locator(".chart-legend .choice").evaluate_all(
        """choices => Object.fromEntries(choices.map((one) => [
            one.textContent.trim(),
            one.querySelector("path").style.stroke
            + one.querySelector("path").getAttribute("stroke-dasharray"),
        ]))"""
    )


def test_runs_shown_together_look_different_and_keep_their_look(shared, template, visit):
    """Also when others are added, when one is opened alone, and after a reload."""
    with Store.open(template) as store:
        uids = [run.uid for run in store.find("experiment = mnist", limit=40)]
    page = visit(shared, "/compare?tab=charts&runs=" + ",".join(uids[:12]))
    page.locator(".chart-plot[data-state=drawn]").first.wait_for()
    page.wait_for_function(KEEPS_LOOKS, arg=uids[:12])
    few = looks_in_legend(page)

    page.goto(f"{shared}/compare?tab=charts&runs={','.join(uids)}")
    expect(page.locator(".chart-legend .choice")).to_have_count(40)
    page.locator(".chart-plot[data-state=drawn]").first.wait_for()
    many = looks_in_legend(page)

    assert len(few) == 12
    colours = [look[:14] for look in few.values()]
    assert {colours.count(colour) for colour in colours} <= {1, 2}  # ten colours
    assert len(set(many.values())) == 40
    assert {name: many[name] for name in few} == few
