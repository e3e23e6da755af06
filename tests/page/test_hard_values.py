"""Numbers at the ends of their range, shown on the page."""

import math
import re

import pytest

import runstore

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
