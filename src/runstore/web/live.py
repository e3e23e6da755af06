"""Live events: one check of the store for all clients, and none without clients."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runstore.errors import RunstoreError
from runstore.reading.grid.watching import Seen, Watcher, changes_since
from runstore.web.errors import bug_as_json, error_as_json

if TYPE_CHECKING:
    from starlette.types import Receive, Send

    from runstore.web.served import Served

MEDIA_TYPE = "text/event-stream"
_LOOKS_EVERY_S = 0.5
# Looking takes at most this part of the time.
_SHARE = 0.1
_COMMENT_EVERY_S = 15.0
# A client that is behind by more events is dropped; its browser connects again and asks anew.
_EVENTS_WAITING = 100
_LEAVING_S = 1.0

Event = tuple[str, dict[str, Any], "int | None"]


def _events_of(seen: Seen) -> Iterator[Event]:
    if seen.has_changes:
        content = {
            "changed": seen.changed,
            "ids": list(seen.ids),
            "gone": list(seen.gone),
            "many": seen.is_many,
        }
        yield "runs.changed", content, seen.changed
    if seen.points:
        runs = [{"id": one.row_id, "uid": one.uid, "keys": one.counts} for one in seen.points]
        yield "points", {"runs": runs}, None


def _written(event: Event) -> bytes:
    name, content, change = event
    number = "" if change is None else f"id: {change}\n"
    return f"event: {name}\n{number}data: {json.dumps(content)}\n\n".encode()


class _Listener:
    """One client; the event None is the last."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event | None] = asyncio.Queue(_EVENTS_WAITING)
        self.task = asyncio.current_task()

    def put(self, event: Event | None) -> None:
        """Let it have an event; drop it if it takes none."""
        try:
            self.events.put_nowait(event)
        except asyncio.QueueFull:
            if self.task is not None:
                self.task.cancel()


class Live:
    """Sends changes of a store to clients; used only on the loop of the server."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._listeners: set[_Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._has_begun = asyncio.Event()
        self._is_closed = False

    def close(self) -> None:
        """End all answers."""
        self._is_closed = True
        for one in [*self._listeners]:
            one.put(None)
        if self._looking is not None:
            self._looking.cancel()

    async def answer(self, receive: Receive, send: Send, since: int | None) -> None:
        """Send events until the client leaves or the server ends.

        Args:
            receive: Receives the message that it disconnected.
            send: Where events go.
            since: The last change that the client knows; None for the present one.
        """
        sending = asyncio.ensure_future(self._send(send, since))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        # A client that takes nothing does not take the end either.
        with suppress(asyncio.TimeoutError, OSError):
            await asyncio.wait_for(send({"type": "http.response.body", "body": b""}), _LEAVING_S)

    async def _send(self, send: Send, since: int | None) -> None:
        listener = _Listener()
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(_part(b"retry: 1000\n\n"))
        self._listeners.add(listener)
        try:
            self._begin_looking()
            if since is not None:
                await self._has_begun.wait()  # from there on, nothing is missed
                for event in await self._missed(since):
                    await send(_part(_written(event)))
            await self._pass_on(listener, send)
        finally:
            self._listeners.discard(listener)

    async def _pass_on(self, listener: _Listener, send: Send) -> None:
        while not self._is_closed:
            try:
                event = await asyncio.wait_for(listener.events.get(), _COMMENT_EVERY_S)
            except asyncio.TimeoutError:
                await send(_part(b": nothing new\n\n"))
                continue
            if event is None:
                return
            await send(_part(_written(event)))

    # Looking

    def _begin_looking(self) -> None:
        if self._looking is None or self._looking.done():
            self._has_begun.clear()
            self._looking = asyncio.ensure_future(self._look_on())

    async def _look_on(self) -> None:
        """Check the store while there are clients; report an unreadable store once."""
        loop = asyncio.get_running_loop()
        watcher: Watcher | None = None
        failed = ""
        while self._listeners:
            begun = time.monotonic()
            try:
                watcher, events = await loop.run_in_executor(
                    self._served.threads, self._look, watcher
                )
                if failed:  # changes may have been missed
                    events = [*events, _ask_again()]
                failed = ""
            except RunstoreError as error:
                content = error_as_json(error)
                events = [] if str(error) == failed else [("trouble", content, None)]
                watcher, failed = None, str(error)
            except Exception as error:  # noqa: BLE001 - a separate thread: nothing else would report it
                traceback.print_exception(error, file=sys.stderr)
                events = [] if str(error) == failed else [("trouble", bug_as_json(error), None)]
                watcher, failed = None, str(error)
            self._has_begun.set()
            for event in events:
                for listener in [*self._listeners]:
                    listener.put(event)
            taken = time.monotonic() - begun
            await asyncio.sleep(max(_LOOKS_EVERY_S, taken / _SHARE))

    def _look(self, watcher: Watcher | None) -> tuple[Watcher, list[Event]]:
        with self._served.opened() as store:
            if watcher is None:
                return Watcher(store.backend), []
            if watcher.backend is not store.backend:  # another store is in its place
                return Watcher(store.backend), [_ask_again()]
            return watcher, list(_events_of(watcher.look()))

    async def _missed(self, since: int) -> list[Event]:
        def read() -> list[Event]:
            with self._served.opened() as store:
                return list(_events_of(changes_since(store.backend, since)))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._served.threads, read)
        except RunstoreError as error:
            return [("trouble", error_as_json(error), None), _ask_again()]


def _ask_again() -> Event:
    return "runs.changed", {"changed": 0, "ids": [], "gone": [], "many": True}, None


def _part(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
