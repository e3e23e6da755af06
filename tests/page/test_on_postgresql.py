"""Each view with a store on a server, to which others write, and that goes and comes back."""

import contextlib
import re

import pytest

from runstore import Store

pytest.importorskip("psycopg")
expect = pytest.importorskip("playwright.sync_api").expect

RUNS = 24


@pytest.fixture(scope="module")
def url():
    from postgres_server import database

    with database() as url, Store.open(url) as store:
        for n in range(RUNS):
            params = {"lr": 10.0 ** -(n % 3), "model": ["cnn", "mlp"][n % 2], "seed": n // 6}
            with store.start("fit" if n % 4 else "try", params=params, capture=False) as run:
                run.keep_output()
                print(f"printed by {n}")
                run.log_points("acc", [0.5, 0.5 + n / 100])
                run.save("model.txt", b"weights")
                run.log_text("sample", f"text of {n}")
            store.tag(run.uid, {"phase": "pilot"})
        yield url


@pytest.fixture(scope="module")
def gate(url, tmp_path_factory):
    from server_gate import Gate

    return Gate(tmp_path_factory.mktemp("server") / "gate", url)


@pytest.fixture(scope="module")
def address(serving, gate):
    return serving(gate.url)


@pytest.fixture(scope="module")
def uids(url):
    """The uids of all runs, newest first."""
    with Store.open(url) as store:
        return [run.uid for run in store.list(limit=None)]


def line(page, number):
    return page.locator(f'.grid-body [data-line="{number}"]')


def test_runs_and_charts_are_shown_with_the_address_of_the_server(address, visit):
    page = visit(address)

    expect(page.locator(".store-name")).to_have_attribute("title", re.compile("^postgresql://"))
    expect(page.locator(".count")).to_have_text(f"{RUNS} runs")
    expect(line(page, 0)).to_contain_text("fit#18")
    expect(page.locator('.chart[data-metric="acc"] .chart-plot')).to_have_attribute(
        "data-state", "drawn"
    )
    page.get_by_role("combobox", name="Filter").fill("params.lr < 0.5 order by metrics.acc")
    page.keyboard.press("Enter")
    expect(page.locator(".count")).to_have_text(f"16 of {RUNS} runs")


@pytest.mark.parametrize(
    ("tab", "shown"),
    [
        ("", "0.73"),
        ("params", "mlp"),
        ("metrics", "acc"),
        ("output", "printed by 23"),
        ("files", "model.txt"),
        ("media", "text of 23"),
        ("history", "phase"),
    ],
)
def test_every_part_of_a_run_is_shown(address, visit, uids, tab, shown):
    page = visit(address, f"/runs/{uids[0]}?tab={tab}")

    expect(page.locator(".run-body")).to_contain_text(shown)


def test_runs_are_compared_pivoted_and_counted(address, visit, turn_to, uids):
    page = visit(address, f"/compare?runs={','.join(uids[:3])}")
    expect(page.locator(".compare")).to_contain_text("model")

    turn_to(page, "/pivot?rows=params.model&columns=params.lr&metric=metrics.acc.last")
    expect(page.locator(".pivot-column")).to_have_text(["0.01", "0.1", "1"])

    turn_to(page, "/experiments")
    expect(page.locator(".experiment-table tbody th")).to_have_text(["fit", "try"])


def test_edits_reach_the_server_and_changes_by_others_the_page(address, url, visit, uids):
    page = visit(address, "/?panel=0")
    expect(page.locator(".connection")).to_have_text("Live")
    line(page, 0).locator('[data-c="2"]').click()
    page.keyboard.press("n")
    page.get_by_role("textbox", name="Notes of").fill("written in a browser")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toast").last).to_contain_text("Updated the notes")
    expect(line(page, 0)).to_contain_text("written in a browser")

    with Store.open(url) as store:
        assert store.get(uids[0]).notes == "written in a browser"
        page.keyboard.press("Control+z")
        expect(line(page, 0)).not_to_contain_text("written in a browser")
        assert store.get(uids[0]).notes is None
        store.tag(uids[0], {"seen": "elsewhere"})
        expect(line(page, 0)).to_contain_text("elsewhere")
        with store.start("other", capture=False) as run:
            expect(line(page, 0)).to_contain_text("other#1")
        store.delete(run)
        expect(page.locator(".count")).to_have_text(f"{RUNS} runs")


def test_a_server_that_comes_back_is_shown_again(address, gate, visit):
    page = visit(address, "/?panel=0", expected_statuses={503})
    connection = page.locator(".connection")
    expect(connection).to_have_text("Live")

    gate.close()
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(gate.open)
        expect(connection).to_have_text("Trouble")
        page.get_by_role("combobox", name="Filter").fill("experiment = try")
        page.keyboard.press("Enter")
        expect(page.locator(".toast").last).to_contain_text("cannot be reached")

    expect(connection).to_have_text("Live")
    expect(page.locator(".count")).to_have_text(f"6 of {RUNS} runs")
