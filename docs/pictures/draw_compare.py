"""Draw the compare view of the page: python docs/pictures/draw_compare.py.

Needs Playwright's Python package, Pillow, Chromium, and the built page.
"""

import math
import random
import tempfile
from pathlib import Path

from draw_charts import opened_store, shrink

from runstore import Store

HERE = Path(__file__).parent
START = 1_772_000_000


def fill(folder):
    """Record a search over four parameters, with three seeds of each setting that was tried."""
    draw = random.Random(4)  # noqa: S311 - of a picture
    tried = 0
    with Store.open(folder) as store:
        for _ in range(60):
            rate, layers = 10 ** draw.uniform(-4, -1), draw.choice((2, 4, 8))
            optimizer, dropout = draw.choice(("adam", "sgd")), draw.choice((0.0, 0.2, 0.5))
            for seed in range(3):
                best = 0.95 - 0.06 * abs(math.log10(rate) + 2.4) + 0.005 * layers
                reached = best - 0.1 * dropout - 0.03 * (optimizer == "sgd")
                reached += draw.gauss(0, 0.008)
                curve = [reached * (1 - math.exp(-step / 4)) for step in range(25)]
                params = {"lr": float(f"{rate:.2g}"), "layers": layers, "optimizer": optimizer}
                store.record(
                    "mnist",
                    started_at=START + 600 * tried,
                    ended_at=START + 600 * tried + 90 + 30 * layers,
                    params={**params, "dropout": dropout, "seed": seed},
                    metrics={"val/acc": curve, "loss": [1.2 - one for one in curve]},
                )
                tried += 1


def draw_views(page, address, uids):
    """Draw the table of a few runs, and all runs as parallel coordinates."""
    page.goto(f"{address}/compare?runs={','.join(uids)}")
    page.locator(".compare-best").first.wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=HERE / "compare.png", clip={"x": 0, "y": 0, "width": 1120, "height": 620})
    axes = "params.lr,params.layers,params.optimizer,params.dropout,metrics.val/acc.last"
    page.goto(f"{address}/compare?tab=parallel&axes={axes}")
    canvas = page.locator(".plot-place canvas[data-axes]")
    canvas.wait_for()
    box = canvas.bounding_box()
    last = float(canvas.get_attribute("data-axes").split(",")[-1])
    page.mouse.move(box["x"] + last, box["y"] + 45)
    page.mouse.down()
    page.mouse.move(box["x"] + last, box["y"] + 150, steps=4)
    page.mouse.up()
    page.wait_for_timeout(500)
    page.screenshot(path=HERE / "parallel.png")
    for name in ("compare.png", "parallel.png"):
        shrink(name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(temporary) / "digits"
        fill(kept)
        with Store.open(kept) as filled:
            chosen = [filled.get(f"mnist#{number}").uid for number in (1, 7, 22, 40)]
        with opened_store(kept, 1120, 620) as (shown, root):
            draw_views(shown, root, chosen)
