"""Numbers at the ends of their range, shown on the page."""

import math
import re
from urllib.parse import quote

import pytest

import runstore
from runstore.model.query.spelling import spelled
from runstore.model.query.tree import Namespace

expect = pytest.importorskip("playwright.sync_api").expect

LARGEST = 1.7976931348623157e308


def test_small_lines_of_the_largest_numbers_are_drawn(served, visit, tmp_path):
    """The distance of the largest numbers from the smallest is no number itself."""
    with runstore.Store.open(tmp_path / "store") as store:
        run = store.start("hard", params={}, capture=False)
        for step, value in enumerate([LARGEST, -LARGEST, math.nan, LARGEST]):
            run.log({"huge": value}, step=step)
        run.finish()

    page = visit(served(tmp_path / "store"), "/?columns=sparkline.huge")

    line = page.get_by_role("img", name="Curve of huge").locator("path")
    expect(line).to_have_attribute("d", re.compile(r"^M0\.0 2\.0L36\.7 20\.0M110\.0 2\.0$"))


def test_names_survive_their_way_through_an_address(served, visit, turn_to, tmp_path):
    """Signs of the page's own spelling of columns, and folders that a browser would resolve."""
    keys = ["recall@5", 'say "x"', "line\nbreak", "50%2C", "a.last", "k" * 990]
    with runstore.Store.open(tmp_path / "store") as store:
        for loss in (1.0, 2.0):
            run = store.start("hard", params={"seed": loss}, capture=False)
            run.save("up/to", b"kept")
            run.log({f"key {place}": loss for place in range(len(keys))})
            run.finish()
        # Other programs may write names that ours refuse.
        with store.backend.database.driver.write() as connection:
            for place, key in enumerate(keys):
                renamed = (key, f"key {place}")
                connection.execute("UPDATE metric_keys SET key = ? WHERE key = ?", renamed)
            connection.execute("UPDATE artifacts SET path = '../up'")
        columns = [spelled(Namespace.METRIC, key) for key in keys]
    page = visit(served(tmp_path / "store"), "/pivot")
    failed = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status > 399 else None)

    for name in columns:
        turn_to(page, f"/pivot?rows=experiment&metric={quote(name, safe='')}")
        expect(page.locator(".pivot-cell").first).to_contain_text("1.5")
    page.goto(page.url.partition("/pivot")[0] + f"/runs/{run.uid}?tab=files&file=..%2Fup")

    expect(page.get_by_text("kept", exact=True)).to_be_visible()
    assert failed == []
