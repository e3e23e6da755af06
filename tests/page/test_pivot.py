"""Pivot tables: the cells, the copied texts read back, the way to the runs."""

import csv
import io
import re

import pytest

from runstore import Store

expect = pytest.importorskip("playwright.sync_api").expect

CHANCE = ((0, 1, 2), (2, 0, 1))
PATH = "/pivot?rows=params.model&columns=params.lr&metric=metrics.acc.last"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, two rates and three seeds; one of the models has a hostile name."""
    place = tmp_path_factory.mktemp("pivot") / "store"
    with Store.open(place) as store:
        for at, model in enumerate(("cnn", "a|b_50%")):
            for rate in (0.1, 0.2):
                for seed in range(3):
                    store.record(
                        "fit",
                        started_at="2026-03-01T10:00:00Z",
                        params={"model": model, "lr": rate, "seed": seed},
                        metrics={"acc": [0.5 + at / 10 + rate + CHANCE[at][seed] / 100]},
                    )
    return place


@pytest.fixture(scope="module")
def address(serving, folder):
    return serving(folder, "--read-only")


@pytest.fixture(scope="module")
def table(folder):
    with Store.open(folder) as store:
        return store.pivot("acc", "params.model", "params.lr")


def cells(page):
    return page.locator(".pivot-cell button > span")


def test_cells_are_those_of_python(address, look, table):
    page = look(address, PATH)

    expect(page.locator("tbody th")).to_have_text([one.labels[0] for one in table.rows])
    expect(page.locator(".pivot-column")).to_have_text([one.labels[0] for one in table.columns])
    expect(cells(page)).to_have_text(
        ["0.710 ± 0.025 ≈", "0.810 ± 0.025 ★", "0.610 ± 0.025", "0.710 ± 0.025"]
    )
    assert [one.mark for one in table.cells] == ["statistically tied", "best", "", ""]


def test_a_cell_leads_to_its_runs(address, look):
    page = look(address, PATH)

    page.get_by_role("button", name=re.compile("^cnn, 0.2")).click()
    page.get_by_role("link", name="Show in the grid").click()

    expect(page.locator(".count")).to_have_text("3 of 12 runs")


def test_fields_are_chosen_by_keyboard_and_stay(address, look):
    page = look(address, "/pivot?metric=metrics.acc.last")
    page.get_by_role("button", name=re.compile("^Rows")).click()
    page.get_by_label("Search columns").fill("seed")
    expect(page.locator(".column-choice-list button")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("tbody th")).to_have_text(["0", "1", "2"])
    page.get_by_label("Several settings in a cell").select_option("all")
    expect(cells(page).first).to_contain_text("±")
    page.reload()

    expect(page.locator("tbody th")).to_have_text(["0", "1", "2"])
    expect(page.get_by_label("Several settings in a cell")).to_have_value("all")


def test_mistakes_are_told(address, look):
    page = look(address, "/pivot?rows=started&metric=metrics.acc", expected_statuses={400})

    expect(page.get_by_role("alert")).to_contain_text("cannot be grouped by a time")


def test_tables_are_accessible(address, look, violations):
    page = look(address, PATH, color_scheme="dark")
    expect(cells(page)).to_have_count(4)

    assert violations(page, "main") == []


def test_parameters_are_those_of_runs_with_the_metric(served, visit, tmp_path):
    with Store.open(tmp_path / "store") as store:
        for n in range(3):
            for params, metric in (
                ({"depth": n}, "acc"),
                ({"darts": n}, "z"),
                ({"darts": n}, "z"),
            ):
                metrics = {metric: [0.1 * n]}
                store.record(
                    "fit", started_at="2026-03-01T10:00:00Z", params=params, metrics=metrics
                )

    page = visit(served(tmp_path / "store"), "/pivot?metric=metrics.acc.max")

    expect(page.locator(".pivot-head h1")).to_have_text("acc (max) by depth")


def test_a_store_without_metrics_has_nothing_to_show(served, visit, tmp_path):
    Store.open(tmp_path / "empty").close()

    page = visit(served(tmp_path / "empty"), "/pivot")

    expect(page.get_by_role("heading", name="No metric to show")).to_be_visible()


def test_copied_tables_are_read_back(address, visit, table):
    page = visit(address, PATH, permissions=["clipboard-read", "clipboard-write"])

    def copied(form):
        page.evaluate("navigator.clipboard.writeText('')")
        page.get_by_role("button", name="Copy the table").click()
        page.get_by_role("button", name=form).click()
        return page.wait_for_function("() => navigator.clipboard.readText()").json_value()

    markdown, latex, lines = copied("Markdown"), copied("LaTeX"), copied("CSV")
    expect(page.get_by_text("Copied.").last).to_be_visible()

    assert [markdown, latex, lines] == [table.to_markdown(), table.to_latex(), table.to_csv()]
    first = re.split(r"(?<!\\)\|", markdown.splitlines()[2])[1:-1]
    assert [one.strip() for one in first] == [
        r"a\|b\_50%", "0.710 ± 0.025", "**0.810 ± 0.025**",
    ]  # fmt: skip
    assert r"a\textbar{}b\_50\% & $0.710 \pm 0.025$ & $\mathbf{0.810 \pm 0.025}$ \\" in latex
    means = [float(one["mean"]) for one in csv.DictReader(io.StringIO(lines))]
    assert means == [one.mean.mean for one in table.cells]
