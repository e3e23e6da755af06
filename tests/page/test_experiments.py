"""Experiments: counts, the best run by a metric, and what the address keeps."""

import re

import pytest

from runstore import Store

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

HOSTILE = "<img src=x onerror=alert(1)> 'quoted'"


@pytest.fixture(scope="module")
def address(serving, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments") / "store"
    with Store.open(folder) as store:
        for name, values in {"mnist": (0.3, 0.9), "cifar": (0.5,), HOSTILE: (0.1,)}.items():
            for value in values:
                run = store.start(name, capture=False)
                run.log({"val/acc": value, "val/loss": 1 - value})
                run.finish()
        store.start("mnist", capture=False).finish("error")
    return serving(folder, "--read-only")


def names(page):
    return page.locator(".experiment-table tbody th").all_text_contents()


def test_best_runs_are_shown_by_a_metric(address, look):
    page = look(address, "/experiments")
    line = page.get_by_role("row", name=re.compile("^mnist"))
    expect(line).to_contain_text("error")

    page.get_by_label("Best by").fill("val/acc")
    page.keyboard.press("Enter")
    expect(line).to_contain_text("0.9")
    expect(line.get_by_role("link", name="mnist#2")).to_be_visible()

    page.get_by_label("Best is").select_option("min")
    expect(line.get_by_role("link", name="mnist#1")).to_be_visible()
    page.reload()
    expect(line.get_by_role("link", name="mnist#1")).to_be_visible()


def test_experiments_are_sorted_and_filtered(address, look):
    page = look(address, "/experiments?metric=val/loss")
    expect(page.get_by_label("Best is")).to_contain_text("lowest, from its name")

    page.get_by_role("button", name="Best val/loss").click()
    expect(page.locator(".experiment-table tbody th").first).to_have_text("mnist")
    assert names(page) == ["mnist", "cifar", HOSTILE]
    page.keyboard.press("/")
    page.keyboard.type("img")
    expect(page.locator(".experiment-table tbody th")).to_have_count(1)
    page.reload()
    expect(page.locator(".experiment-table tbody th")).to_have_text([HOSTILE])


def test_an_experiment_leads_to_its_runs(address, look):
    page = look(address, "/experiments")

    page.get_by_role("link", name=HOSTILE).click()

    expect(page.locator("[data-line='0']")).to_be_visible()
    expect(page.locator("[data-line='1']")).to_have_count(0)


def test_experiments_are_accessible(address, look, violations):
    page = look(address, "/experiments?metric=val/acc")
    expect(page.get_by_role("link", name="mnist#2")).to_be_visible()
    assert violations(page) == []

    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    assert violations(page, rules=["color-contrast", "link-in-text-block"]) == []
