"""Live events: what changes reaches everybody who listens, and nobody looks for nobody."""

import asyncio
import contextlib
import json

import pytest

from runstore.storage.grid.cells import Cells
from runstore.storage.query.changes import Changes
from runstore.web import live as room
from runstore.web.app import Application
from web_client import PORT, TOKEN

PATIENCE_S = 30


class Listening:
    """A client of live events, which may stop reading them."""

    def __init__(self, app, query=b""):
        self.events = asyncio.Queue()
        self.raw = b""
        self.status = None
        self._reads = asyncio.Event()
        self._reads.set()
        self._left = asyncio.Event()
        headers = [
            (b"host", f"127.0.0.1:{PORT}".encode()),
            (b"authorization", f"Bearer {TOKEN}".encode()),
        ]
        scope = {
            "type": "http", "method": "GET", "path": "/api/v1/live", "headers": headers,
            "raw_path": b"/api/v1/live", "query_string": query,
        }  # fmt: skip
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self):
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        await self._reads.wait()
        self.raw += message["body"]
        for part in message["body"].decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in part.splitlines() if ": " in line)
            if "event" in lines:
                self.events.put_nowait((lines["event"], json.loads(lines["data"])))

    async def next(self, wanted):
        """Return the data of the next event of a name."""
        while True:
            name, data = await asyncio.wait_for(self.events.get(), PATIENCE_S)
            if name == wanted:
                return data

    async def next_keys(self):
        """Return how many points the one run that logs has now, of keys that got some."""
        (run,) = (await self.next("points"))["runs"]
        return run["uid"], run["keys"]

    def stop_reading(self):
        self._reads.clear()

    async def leave(self):
        self._left.set()
        await asyncio.wait_for(self.task, PATIENCE_S)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(room, "_LOOKS_EVERY_S", 0.01)


async def begun(app):
    """Wait until changes are looked for."""
    while app.live._looking is None:  # noqa: ASYNC110 - it has no event for it
        await asyncio.sleep(0.01)
    await asyncio.wait_for(app.live._has_begun.wait(), PATIENCE_S)


def running(work):
    asyncio.run(asyncio.wait_for(work(), 2 * PATIENCE_S))


def test_an_edit_reaches_everybody_who_listens(served, store, quick):
    async def work():
        app = Application(served)
        both = [Listening(app), Listening(app)]
        await begun(app)

        uid = store.get("mnist#1").uid
        row_id = Cells(store.backend.database).ids_of([uid])[uid]
        store.tag("mnist#1", {"good": ""})
        told = [await one.next("runs.changed") for one in both]
        for one in both:
            await one.leave()

        assert [one["ids"] for one in told] == [[row_id]] * 2
        assert told[0]["gone"] == []
        assert told[0]["many"] is False

    running(work)


def test_a_deleted_run_is_gone_and_comes_back(served, store, quick):
    async def work():
        app = Application(served)
        listening = Listening(app)
        await begun(app)

        store.delete("mnist#1")
        deleted = await listening.next("runs.changed")
        store.restore("mnist#1")
        restored = await listening.next("runs.changed")
        await listening.leave()

        assert deleted["gone"] == restored["ids"]
        assert (deleted["ids"], restored["gone"]) == ([], [])

    running(work)


def test_new_points_are_told_by_their_counts_up_to_the_end(served, store, quick):
    async def work():
        app = Application(served)
        run = store.start("live", capture=False)
        run.log(loss=1.0)
        listening = Listening(app)
        await begun(app)

        run.log(loss=2.0)
        told = await listening.next_keys()
        run.log({"acc": 0.5})
        more = await listening.next_keys()
        await asyncio.to_thread(lambda: (run.log(loss=3.0), run.finish()))
        last = await listening.next_keys()
        await listening.leave()

        assert told == (run.uid, {"loss": 2})
        assert more == (run.uid, {"acc": 1})
        assert last == (run.uid, {"loss": 3})

    running(work)


def test_what_happened_while_a_client_was_away_is_told(served, store, quick):
    async def work():
        app = Application(served)
        change = Changes(store.backend.database).last()
        store.tag("mnist#2", {"good": ""})

        listening = Listening(app, b"since=%d" % change)
        told = await listening.next("runs.changed")
        await listening.leave()

        assert len(told["ids"]) == 1
        assert told["changed"] > change

    running(work)


def test_a_change_of_another_store_asks_for_everything_anew(served, quick):
    async def work():
        app = Application(served)
        listening = Listening(app, b"since=%d" % (1 << 50))

        told = await listening.next("runs.changed")
        await listening.leave()

        assert told["many"] is True

    running(work)


def test_nobody_looks_for_nobody(served, quick):
    async def work():
        app = Application(served)
        listening = Listening(app)
        await begun(app)
        await listening.leave()

        await asyncio.wait_for(app.live._looking, PATIENCE_S)

    running(work)


def test_a_client_that_takes_nothing_is_dropped_and_others_are_served(
    served, store, quick, monkeypatch
):
    monkeypatch.setattr(room, "_EVENTS_WAITING", 2)
    monkeypatch.setattr(room, "_LEAVING_S", 0.01)

    async def work():
        app = Application(served)
        slow, other = Listening(app), Listening(app)
        await begun(app)
        slow.stop_reading()
        before = slow.raw

        for n in range(5):
            store.tag("mnist#1", {"n": n})
            await other.next("runs.changed")
        await asyncio.wait_for(slow.task, PATIENCE_S)
        store.tag("mnist#1", {"n": "end"})
        await other.next("runs.changed")
        await other.leave()

        assert slow.raw == before

    running(work)


def test_the_end_of_the_server_ends_all_answers(served, quick):
    async def work():
        app = Application(served)
        both = [Listening(app), Listening(app)]
        await begun(app)

        app.live.close()

        for one in both:
            await asyncio.wait_for(one.task, PATIENCE_S)

    running(work)


@pytest.mark.folder_only("moves the folder away")
def test_a_store_that_goes_away_is_told_once_and_its_return_as_well(
    served, store, quick, tmp_path
):
    async def work():
        app = Application(served)
        listening = Listening(app)
        await begun(app)

        store.path.rename(tmp_path / "elsewhere")
        trouble = await listening.next("trouble")
        await asyncio.sleep(0.2)
        (tmp_path / "elsewhere").rename(store.path)
        told = await listening.next("runs.changed")
        await listening.leave()

        assert trouble["error"]["code"] == "store-unavailable"
        assert listening.raw.count(b"event: trouble") == 1
        assert told["many"] is True

    running(work)


def test_a_stranger_hears_nothing(served):
    async def work():
        app = Application(served)
        sent = []
        scope = {
            "type": "http", "method": "GET", "path": "/api/v1/live", "raw_path": b"/api/v1/live",
            "headers": [(b"host", b"localhost")], "query_string": b"",
        }  # fmt: skip

        async def send(message):
            sent.append(message)

        await app(scope, None, send)

        assert sent[0]["status"] == 401
        assert app.live._looking is None

    with contextlib.closing(served):
        running(work)
