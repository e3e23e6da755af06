"""Draw one run and its output on the page: python docs/pictures/draw_run.py.

Needs Playwright's Python package, Pillow, Chromium, and the built page.
"""

import math
import random
import tempfile
from pathlib import Path

from draw_charts import opened_store, shrink

from runstore import Store

HERE = Path(__file__).parent
STEPS = 400
PARAMS = {
    "lr": 0.1,
    "epochs": 40,
    "seed": 3,
    "model": {"kind": "conv", "channels": [32, 64, 128], "dropout": 0.5},
    "optimizer": {"name": "adamw", "betas": [0.9, 0.999]},
}
NOTES = """\
Wider than **digits #1**; the *learning rate* falls from step 200 on.

- [x] seeds 0 to 4
- [ ] a longer schedule
"""


def fill(folder):
    """Record two runs; the second one prints."""
    draw = random.Random(5)  # noqa: S311 - of a picture
    with Store.open(folder) as store:
        store.start("digits", params={**PARAMS, "lr": 0.3}, capture=False).finish()
        with store.start("digits", params=PARAMS, notes=NOTES, capture=False) as run:
            run.keep_output()
            for step in range(STEPS):
                loss = 2.3 * math.exp(-step / 60) + 0.1 + 0.08 * draw.random()
                run.log({"loss": loss, "val/acc": 0.97 - loss / 3}, step=step)
                print(f"step {step:4d}  loss {loss:.4f}")  # noqa: T201 - kept by the run
                if step % 50 == 23:  # noqa: PLR2004 - now and then
                    print("\x1b[33mwarning:\x1b[0m the gradient was clipped")  # noqa: T201
            run.save("model.pt", bytes(40_000))
        store.tag(run.uid, {"phase": "pilot"})
        return run.uid


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(temporary) / "digits"
        uid = fill(kept)
        with opened_store(kept, 1280, 660) as (shown, root):
            for name, query in (("run", ""), ("run-output", "?tab=output&find=warning&line=225")):
                shown.goto(f"{root}/runs/{uid}{query}")
                shown.locator(".sparkline, .output-line mark").first.wait_for()
                shown.wait_for_timeout(500)
                shown.screenshot(path=HERE / f"{name}.png")
                shrink(f"{name}.png")
