"""The page stays small: what its first view loads, and everything that it has."""

import gzip
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "src" / "runstore" / "web" / "static"
FIRST_VIEW_BYTES = 90_000
EVERYTHING_BYTES = 250_000


def gzipped(path):
    return len(gzip.compress(path.read_bytes(), 9))


@pytest.fixture
def built():
    if (BUILT / "index.html").is_file():
        return BUILT
    if os.environ.get("CI"):
        pytest.fail("The page is not built; its sizes cannot be checked.")
    return pytest.skip("THE PAGE IS NOT BUILT: run npm ci && npm run build in ui/")


def loaded_at_once(built):
    """Return index.html and the charts beside the grid, with all that these name and import."""
    charts = sorted(built.glob("assets/charts-*"))
    assert charts
    found = [built / "index.html", *charts]
    for path in found:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".html":
            names = re.findall(r'(?:src|href)="/([^"]+)"', text)
        else:
            names = [f"assets/{name}" for name in re.findall(r'from\s*"\./([^"]+\.js)"', text)]
        found += [built / name for name in names if built / name not in found]
    return found


def test_first_view_is_small(built):
    """The runs appear after 90 kB, compressed as the server sends them."""
    files = loaded_at_once(built)

    assert {path.suffix for path in files} >= {".html", ".css", ".js"}
    assert sum(map(gzipped, files)) <= FIRST_VIEW_BYTES


def test_whole_page_is_small(built):
    """All views together take 250 kB, compressed as the server sends them."""
    files = [path for path in built.rglob("*") if path.is_file()]

    assert sum(map(gzipped, files)) <= EVERYTHING_BYTES


def test_page_asks_nothing_of_other_hosts(built):
    """No file names another server to load something from."""
    allowed = re.compile(r"https?://(?:www\.w3\.org/|127\.0\.0\.1|localhost)")
    for path in built.rglob("*"):
        if path.suffix in {".html", ".css", ".js"}:
            text = path.read_text(encoding="utf-8")
            named = re.findall(r"https?://[\w.-]+[^\s\"'`]{0,40}", text)
            assert [one for one in named if not allowed.match(one)] == [], path.name


def test_index_has_no_inline_script_or_style(built):
    """The content security policy allows neither."""
    text = (built / "index.html").read_text(encoding="utf-8")

    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", text) == []
