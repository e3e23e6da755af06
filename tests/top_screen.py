"""Showing runstore top in tests, and waiting for its screen."""

import re
import time
from contextlib import asynccontextmanager
from unittest.mock import patch

from textual._compositor import Compositor
from textual.events import Paste

from runstore import Store
from runstore.cli.top.app import TopApp
from runstore.cli.top.table.view import RunsView

PATIENCE_S = 30


def record(store, name="fit", *, loss=(1.0, 0.5), ended=True, **more):
    """Record a run with a metric; return it."""
    run = store.start(name, capture=False, **more)
    for value in loss:
        run.log(loss=value)
    if ended:
        run.finish()
    return run


@asynccontextmanager
async def shown(store, *, size=(120, 40), **more):
    """Show a store as the command does, with a connection of its own; wait for its first rows."""
    app = TopApp(Store.open(store.backend.url), **{"refresh_s": 0.1, **more})
    with patch.object(Compositor, "render_update", _draw_nothing):
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: re.search(r"\d runs?,|Expected limit", screen(app)))
            yield app, pilot
    app.close()


def _draw_nothing(compositor, **_):
    """Leave a change of the screen undrawn: there is no terminal, and `screen` draws all of it."""
    compositor._dirty_regions.clear()


async def answer(pilot, text, *keys):
    """Paste a text into the line that these keys open, and accept it with enter.

    The screen is drawn once, and not for each letter.
    """
    await pilot.press(*keys)
    pilot.app.post_message(Paste(text))
    await pilot.press("enter")


async def until(pilot, holds, *, pressing=()):
    """Wait until something holds, and press keys again and again."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, screen(pilot.app)
        await pilot.press(*pressing)
        await pilot.pause(0.05)


def screen(app):
    """Return what stands on the screen."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())


def rows(app):
    """Return the lines of the table, without its header and what is empty."""
    table = app.screen.query_one(RunsView)
    lines = [table.render_line(y).text.rstrip() for y in range(1, table.size.height)]
    return [line for line in lines if line]


def names(app):
    """Return the runs on the screen, from the top."""
    return [re.search(r"\w+#\d+", row)[0] for row in rows(app)]


def header(app):
    return app.screen.query_one(RunsView).render_line(0).text


def message(app):
    """Return the message above the keys."""
    return str(app.screen.query_one("#message").render())
