"""Draw the screen of `runstore top` while a network is trained; see `draw.py`."""

import asyncio
import os
import re
import sys
from pathlib import Path

import runstore
from runstore.cli.top.app import TopApp

HERE = Path(__file__).parent
SIZE = (124, 18)
TITLE = "runstore top"
EPOCHS = 12  # of the training in progress


async def drawn(store):
    """Return the screen once the runs are listed, with two of them marked."""
    app = TopApp(store)
    async with app.run_test(size=SIZE) as pilot:
        while "1 running" not in (svg := app.export_screenshot(title=TITLE)).replace(
            "&#160;", " "
        ):
            await pilot.pause(0.1)
        await pilot.press("down", "space", "space", "up", "up", "up")
        await pilot.pause(0.5)
        svg = app.export_screenshot(title=TITLE)
    app.close()
    # The reader's own fixed font, so that nothing is downloaded.
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)


def draw(folder):
    """Train a network in the project, and draw the screen before it has finished."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    import train_network

    params = {**train_network.PARAMS, "lr": 0.05, "hidden": 128}
    with runstore.start_run("network", params=params, notes="digits, wider") as run:
        run.tags["data"] = "digits"
        run.keep_output()
        train_network.train(run, {**params, "epochs": EPOCHS})
        svg = asyncio.run(drawn(runstore.Store.open()))
    (HERE / "top.svg").write_text(svg + "\n", encoding="utf-8")
