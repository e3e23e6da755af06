"""Draw the runs on the page, light and dark: python docs/pictures/draw_page.py.

Needs Playwright's Python package, Pillow, Chromium, and the built page.
"""

import math
import random
import tempfile
from pathlib import Path

from draw_charts import opened_store, shrink

from runstore import Store

HERE = Path(__file__).parent
STEPS = 200
FAILED, PRUNED = (4, 15, 26), (9, 22, 35)
COLUMNS = "reference,status,params.model,params.lr,metrics.val/acc.max,sparkline.loss,tags,notes"
NOTES = {7: "the run of figure 3", 34: "more dropout?", 33: "the learning rate is too high"}


def fill(folder):
    """Record a sweep over two models, three learning rates and six seeds; some runs fail."""
    draw = random.Random(5)  # noqa: S311 - of a picture
    with Store.open(folder) as store:
        for n in range(36):
            rate, model = (0.3, 0.1, 0.03)[n % 3], ("mlp", "conv")[n // 3 % 2]
            params = {"model": model, "lr": rate, "seed": n // 6}
            run = store.start("digits", params=params, notes=NOTES.get(n), capture=False)
            best = 0.9 + 0.05 * (model == "conv") - 0.2 * rate + 0.01 * draw.random()
            steps = STEPS // 3 if n in FAILED else STEPS
            loss = [
                2.3 * math.exp(-at * rate / 9) + 0.1 + 0.08 * draw.random() for at in range(steps)
            ]
            run.log_points("loss", loss)
            run.log_points("val/acc", [best - 0.3 * one for one in loss])
            run.finish("error" if n in FAILED else "pruned" if n in PRUNED else "complete")
            if n % 7 == 0:
                store.tag(run.uid, {"phase": "final" if n % 2 else "pilot"})


def draw_runs(view, address):
    """Draw the grid with a baseline and charts, and a filter with a mistake."""
    view.goto(f"{address}/?filter=experiment+%3D+digits&columns={COLUMNS}&charts=loss")
    view.locator('[data-line="2"] [data-c="2"]').click()
    view.keyboard.press("b")
    view.keyboard.press("Escape")
    view.locator(".grid-head .baseline").wait_for()
    view.locator(".chart-plot[data-state=drawn]").first.wait_for()
    view.wait_for_timeout(500)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(temporary) / "digits"
        fill(kept)
        with opened_store(kept, 1500, 620) as (shown, root):
            for colours in ("light", "dark"):
                shown.emulate_media(color_scheme=colours)
                draw_runs(shown, root)
                shown.screenshot(path=HERE / f"runs-{colours}.png")
                shrink(f"runs-{colours}.png")
            shown.emulate_media(color_scheme="light")
            shown.set_viewport_size({"width": 900, "height": 240})
            shown.goto(f"{root}/?panel=0&columns={COLUMNS}")
            shown.locator("#filter").fill("params.lr < 0.2 and statu = error")
            shown.keyboard.press("Enter")
            shown.locator(".filter-mistake").wait_for()
            shown.screenshot(path=HERE / "filter-mistake.png")
    shrink("filter-mistake.png")
