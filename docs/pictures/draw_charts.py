"""Draw the charts of the page: python docs/pictures/draw_charts.py.

Needs Playwright's Python package, Pillow, Chromium, and the built page.
"""

import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

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


def serve(folder):
    """Start the page; return its process and address."""
    command = [sys.executable, "-m", "runstore", "--store", str(folder), "ui", "--no-browser"]
    process = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def shrink(name):
    """Reduce a picture to 256 colours, which halves its size."""
    Image.open(HERE / name).convert("RGB").quantize(256, kmeans=3).save(HERE / name, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        kept = Path(temporary) / "digits"
        fill(kept)
        server, address = serve(kept)
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        shown = chromium.new_page(viewport={"width": 1280, "height": 700})
        shown.goto(address)
        shown.goto(f"{address.split('/?')[0]}/?{VIEW}")
        plots = shown.locator(".chart-plot[data-state=drawn]")
        plots.nth(1).wait_for()
        box = plots.first.bounding_box()
        shown.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.75)
        shown.wait_for_timeout(500)
        shown.screenshot(path=HERE / "charts.png")
        shrink("charts.png")
        chromium.close()
        server.terminate()
        server.wait()
