"""The program on a full screen."""

from __future__ import annotations

import asyncio
import signal
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from runstore.cli.top.data.pace import Pace
from runstore.cli.top.runs_screen import RunsScreen
from runstore.lasting import LastingStore
from runstore.store import Store


class TopApp(App[None]):
    """Runs on a full screen.

    Args:
        store: The store, open; it is read until the program ends.
        limit: Largest number of runs.
        refresh_s: Pause between readings in seconds; it is longer if reading is slow.
        filter_text: The first filter.
    """

    TITLE = "runstore top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(
        self, store: Store, *, limit: int = 100, refresh_s: float = 1.0, filter_text: str = ""
    ) -> None:
        super().__init__()
        self._source = LastingStore(store)
        self._first = RunsScreen(self._source, limit, Pace(refresh_s), filter_text)

    def get_default_screen(self) -> RunsScreen:
        """Return the screen with the table."""
        return self._first

    def on_mount(self) -> None:
        """Restore the terminal before a signal ends the program."""
        if not self.is_headless:
            self._listen_to_signals()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.exit)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit, None, 128 + number)

    def close(self) -> None:
        """End the reading, and close the store."""
        self._first.close()
        self._source.close()
