"""Several runs side by side: what differs and why, their code, and plots of many runs."""

import re
import shlex
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest

from runstore import Store

expect = pytest.importorskip("playwright.sync_api").expect

LINES = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs over learning rates and models; two of a repository, between which code changed."""
    place = tmp_path_factory.mktemp("compared")

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True)

    with pytest.MonkeyPatch.context() as patch, Store.open(place / ".runstore") as store:
        patch.chdir(place)
        git("init", "-q")
        (place / ".gitignore").write_text(".runstore/\n")
        code = place / "train.py"
        for n in range(2):
            code.write_text("".join(f"step({line}, lr={n})\n" for line in range(LINES)))
            git("add", ".")
            git("commit", "-qm", f"Number {n}")
            with store.start("code", params={"lr": n}) as run:
                run.log({"loss": n})
        for n in range(24):
            params = {"lr": 10.0 ** -(n % 4), "model": ["cnn", "mlp"][n % 2], "seed": n}
            if n % 12 == 11:
                del params["lr"]
            with store.start("fit", params=params, capture=False) as run:
                run.log({"acc": 0.5 + n / 100, "loss": float("nan") if n == 3 else 1 - n / 100})
        for code, text in enumerate(("<img src=x onerror=alert(1)>", "a\u202eb")):
            with store.start("odd", params={text: text}, capture=False) as run:
                run.tags["hostile"] = text
                run.finish(exit_code=code)
    return place / ".runstore"


@pytest.fixture(scope="module")
def address(serving, folder):
    return serving(folder, "--read-only")


@pytest.fixture(scope="module")
def uid_of(folder):
    with Store.open(folder) as store:
        return {run.reference.rpartition("_")[0]: run.uid for run in store.list(limit=None)}


def query_of(page):
    return {name: one[0] for name, one in parse_qs(urlsplit(page.url).query).items()}


def runs_of(uid_of, *names):
    return ",".join(uid_of[name] for name in names)


def row(page, name):
    return page.get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=re.compile(f"^{re.escape(name)}"))
    )


def place_on(page, x, y):
    """Return where shares of the axes of a scatter plot are on the screen."""
    canvas = page.locator(".plot-place canvas")
    expect(canvas).to_have_attribute("data-area", re.compile(","))
    box = canvas.bounding_box()
    left, top, right, bottom = map(float, canvas.get_attribute("data-area").split(","))
    return box["x"] + left + x * (right - left), box["y"] + bottom - y * (bottom - top)


# The table


def test_table_shows_what_differs_from_the_baseline(address, look, uid_of):
    page = look(address, f"/compare?runs={runs_of(uid_of, 'fit_1', 'fit_2', 'fit_3')}")

    expect(row(page, "acc").get_by_role("cell")).to_have_text(
        ["0.5", "0.51+0.01 (+2 %) better", "0.52★ best+0.02 (+4 %) better"]
    )
    expect(row(page, "model").get_by_role("cell")).to_have_text(["'cnn'", "'mlp'", "'cnn'"])
    expect(row(page, "seed")).to_be_visible()

    page.get_by_role("button", name="Make fit#3 the baseline").click()

    expect(row(page, "acc").get_by_role("cell").first).to_have_text("0.52★ best")
    assert query_of(page)["baseline"] == uid_of["fit_3"]
    page.get_by_label("Only differences").click()
    expect(row(page, "acc.max")).to_be_visible()
    page.get_by_role("button", name="Metrics", exact=True).click()
    expect(row(page, "seed")).to_have_count(0)
    page.reload()
    expect(row(page, "acc.max")).to_be_visible()
    expect(row(page, "seed")).to_have_count(0)


def test_the_view_is_copied_as_a_command_that_shows_the_same(address, look, uid_of, folder):
    page = look(address, f"/compare?runs={runs_of(uid_of, 'fit_1', 'fit_2')}")
    expect(row(page, "acc")).to_be_visible()
    names = page.locator("th.compare-name:not(thead th)").all_inner_texts()

    page.get_by_role("button", name="Copy as").click()
    command = page.get_by_role("dialog", name="Copy as").locator("pre").nth(1).inner_text()

    program, *words = shlex.split(command)
    assert program == "runstore"
    from commands import runstore

    lines = runstore(*words, cwd=folder.parent).stdout.splitlines()
    keys = {line.split("\t")[0].partition(".")[2] for line in lines}
    assert {"lr", "model", "seed", "acc", "loss"} <= keys
    assert {name.strip("\n ↑↓").partition("\n")[0] for name in names} >= {"lr", "model", "seed"}


def test_what_to_compare_is_taught_and_mistakes_are_told(address, look, turn_to):
    page = look(address, "/compare", expected_statuses={404})
    expect(page.get_by_role("heading", name="Choose the runs to compare")).to_be_visible()

    page.get_by_role("button", name="Scatter plot").click()
    expect(page.locator(".plot-place canvas")).to_be_visible()

    turn_to(page, "/compare?runs=nobody,nothing", awaits="[role=alert]")
    expect(page.get_by_role("alert")).to_contain_text("nobody")


def test_hostile_texts_are_shown_harmlessly_and_exit_codes_have_no_change(address, look, uid_of):
    page = look(address, f"/compare?runs={runs_of(uid_of, 'odd_1', 'odd_2')}")

    expect(row(page, "exit code").get_by_role("cell")).to_have_text(["0", "1"])
    expect(row(page, "hostile").get_by_role("cell")).to_have_text(
        ["<img src=x onerror=alert(1)>", "a\\u202eb"]
    )
    expect(page.get_by_role("rowheader", name="\\u202e")).to_be_visible()
    assert page.locator("main img").count() == 0


# Code, and why


def test_a_long_diff_is_read_by_windows(address, look, uid_of):
    page = look(address, f"/compare?tab=code&runs={runs_of(uid_of, 'code_1', 'code_2')}")
    expect(page.locator(".codediff-removed").first).to_contain_text("step(0, lr=0)")
    expect(page.locator(".codediff-removed .code-number").first).to_have_text("0")

    page.locator(".codediff-lines").evaluate("one => one.scrollTo(0, one.scrollHeight)")

    last = page.locator(".codediff-added", has_text=f"step({LINES - 1}, lr=1)")
    expect(last).to_be_in_viewport()
    assert page.locator(".codediff-line").count() < 200
    page.get_by_role("button", name="Swap the runs").click()
    expect(page.locator(".codediff-removed").first).to_contain_text("step(0, lr=1)")


def test_why_ranks_what_differs(address, look, uid_of, folder):
    names = ("fit_1", "fit_2")
    page = look(address, f"/compare?tab=why&runs={runs_of(uid_of, *names)}")
    with Store.open(folder) as store:
        causes = store.explain(*(uid_of[name] for name in names)).causes

    told = page.locator(".why-cause h2")

    expect(told).to_have_text([one.difference.name for one in causes])
    expect(page.locator(".why-weight strong")).to_have_text([str(one.weight) for one in causes])
    expect(page.get_by_label("From")).to_contain_text("fit#1")


# Plots of many runs


def test_points_are_found_chosen_and_opened(address, look, uid_of):
    path = "/compare?tab=scatter&filter=experiment+=+'fit'&x=params.seed&y=metrics.acc"
    page = look(address, path)
    expect(page.locator(".plot-count")).to_have_text("24 runs")

    # 24 seeds with 3 % of air to both sides: the first is at 0.03 / 1.06.
    page.mouse.move(*place_on(page, 0.0283, 0.0283))

    expect(page.locator(".plot-tip")).to_contain_text("fit#1")
    expect(page.locator(".plot-tip dd")).to_have_text(["0", "0.5"])
    page.mouse.move(*place_on(page, 0.5, 0.2))
    page.mouse.down()
    page.mouse.move(*place_on(page, 0.99, 0.99), steps=3)
    page.mouse.up()
    expect(page.locator(".plot-count strong")).to_have_text("12")
    page.reload()
    expect(page.locator(".plot-count strong")).to_have_text("12")
    page.get_by_role("button", name="Show in the grid").click()
    expect(page.locator(".count")).to_have_text(re.compile(r"^12 of"))
    page.go_back()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".plot-count")).to_have_text("24 runs")
    page.mouse.move(*place_on(page, 0.0283, 0.0283))
    expect(page.locator(".plot-tip")).to_contain_text("fit#1")
    page.mouse.click(*place_on(page, 0.0283, 0.0283))
    page.wait_for_url(f"**/runs/{uid_of['fit_1']}*")


def test_plots_are_used_by_keyboard_and_axes_by_their_menus(address, look, uid_of):
    path = (
        "/compare?tab=parallel&filter=experiment+=+'fit'&axes=params.lr,params.model,metrics.loss"
    )
    page = look(address, path)
    plot = page.get_by_role("group", name=re.compile("^Parallel coordinates"))
    expect(plot).to_be_visible()
    assert page.get_by_role("button", name="Axis lr").inner_text().split() == ["lr", "log"]

    page.get_by_role("button", name="Axis model").click()
    page.get_by_label("mlp").check()
    page.keyboard.press("Escape")
    expect(page.locator(".plot-count strong")).to_have_text("12")
    page.get_by_role("button", name="Axis lr").click()
    page.get_by_label("At most").fill("0.5")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.locator(".plot-count strong")).to_have_text("10")
    assert query_of(page)["in.params.model"] == "mlp"

    plot.focus()
    page.keyboard.press("ArrowDown")

    # 1 - 1 / 100 is the largest loss of an mlp that has a rate.
    expect(page.locator(".plot-tip")).to_contain_text("fit#2")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{uid_of['fit_2']}*")


def test_a_range_is_dragged_along_an_axis(address, look):
    path = "/compare?tab=parallel&filter=experiment+=+'fit'&axes=params.seed,metrics.acc"
    page = look(address, path, viewport={"width": 1280, "height": 800})
    canvas = page.locator(".plot-place canvas")
    expect(canvas).to_have_attribute("data-axes", re.compile(","))
    box = canvas.bounding_box()
    axis = float(canvas.get_attribute("data-axes").split(",")[0])
    _, top, _, bottom = map(float, canvas.get_attribute("data-area").split(","))

    page.mouse.move(box["x"] + axis, box["y"] + bottom)
    page.mouse.down()
    page.mouse.move(box["x"] + axis, box["y"] + (top + bottom) / 2, steps=3)
    page.mouse.up()

    expect(page.locator(".plot-count strong")).to_have_text("12")
    assert re.fullmatch(r"-?[\d.e-]+\.\.11\.[\d.]+", query_of(page)["in.params.seed"])


def test_runs_without_a_value_stay_apart(address, look):
    path = "/compare?tab=scatter&x=params.lr&y=metrics.loss&colour=params.lr&filter=params.seed>=0"
    page = look(address, path)

    expect(page.locator(".legend")).to_contain_text("none (2 runs)")
    expect(page.get_by_label("log axis of lr")).to_be_checked()
    page.get_by_label("log axis of lr").click()
    expect(page.locator(".legend small")).to_have_count(0)
    assert query_of(page)["linear"] == "params.lr"


# All tabs


READY = {
    "Table": ".compare-value",
    "Scatter": ".plot-place canvas",
    "Parallel coordinates": ".plot-place canvas",
    "Code": ".codediff-removed",
    "Why": ".why-cause",
}


@pytest.mark.parametrize(
    ("colours", "tabs"),
    [("light", ["Scatter", "Parallel coordinates", "Why"]), ("dark", ["Table", "Code"])],
)
def test_each_tab_is_accessible(address, look, uid_of, violations, colours, tabs):
    size = {"width": 900, "height": 320}
    path = f"/compare?runs={runs_of(uid_of, 'code_1', 'code_2')}"
    page = look(address, path, color_scheme=colours, viewport=size)
    for tab in tabs:
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.locator(READY[tab]).first).to_be_visible()
        assert (tab, violations(page, "main")) == (tab, [])


def test_narrow_screens_scroll_within_the_view(address, look, uid_of):
    runs = runs_of(uid_of, "fit_1", "fit_2", "fit_3", "fit_4")
    page = look(address, f"/compare?runs={runs}", viewport={"width": 390, "height": 760})
    expect(page.locator(".compare-value").first).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") == 390
