"""Draw the charts of the page: python docs/pictures/draw_charts.py.

Needs Playwright's Python package, Pillow, Chromium, and the built page.
"""

import math
import random
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from PIL import Image
from playwright.sync_api import sync_playwright

from runstore import Store

HERE = Path(__file__).parent
STEPS = 20_000
VIEW = "filter=experiment+%3D+mnist&smooth=0.9&charts=loss,val/acc"


def fill(folder):
    """Record runs of three learning rates and two seeds, one of them with a spike."""
    draw = random.Random(8)  # noqa: S311 - of a picture
    with Store.open(folder) as store:
        for rate in (0.1, 0.03, 0.01):
            for seed in (1, 2):
                run = store.start("mnist", params={"lr": rate, "seed": seed}, capture=False)
                fall = [math.exp(-step * rate / 300) for step in range(STEPS)]
                loss = [0.1 + 2.2 * at * (1 + 0.12 * draw.gauss(0, 1)) for at in fall]
                if (rate, seed) == (0.03, 1):
                    loss[12_345] = 2.4
                run.log_points("loss", loss)
                every = range(0, STEPS, 200)
                reached = [0.97 - 0.8 * fall[step] + 0.008 * draw.gauss(0, 1) for step in every]
                run.log_points("val/acc", reached, steps=every)
                run.finish()


@contextmanager
def browser_tab(width, height):
    """Yield an empty page of Chromium in this size."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=which("chromium-headless-shell") or which("chromium"),
            args=["--no-sandbox"],
        )
        yield chromium.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        chromium.close()


@contextmanager
def opened_store(folder, width, height):
    """Serve a store, and yield the page in a browser, and its address."""
    command = [sys.executable, "-m", "runstore", "--store", str(folder), "ui", "--no-browser"]
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        with browser_tab(width, height) as tab:
            address = process.stdout.readline().strip()
            tab.goto(address)
            yield tab, address.split("/?")[0]
    finally:
        process.terminate()
        process.wait()


def shrink(name):
    """Reduce a picture to 256 colours, which halves its size."""
    Image.open(HERE / name).convert("RGB").quantize(256, kmeans=3).save(HERE / name, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(temporary) / "digits"
        fill(kept)
        with opened_store(kept, 1280, 700) as (shown, root):
            shown.goto(f"{root}/?{VIEW}")
            plots = shown.locator(".chart-plot[data-state=drawn]")
            plots.nth(1).wait_for()
            box = plots.first.bounding_box()
            shown.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.75)
            shown.wait_for_timeout(500)
            shown.screenshot(path=HERE / "charts.png")
    shrink("charts.png")
