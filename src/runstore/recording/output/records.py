"""Records of the `logging` module, kept for a run even if they are not shown."""

from __future__ import annotations

import logging
import sys
from threading import get_ident
from typing import TYPE_CHECKING, Protocol

from runstore.errors import attempt
from runstore.model.text.output import LOGGING

if TYPE_CHECKING:
    from collections.abc import Callable


class RecordTaker(Protocol):
    """Records the output of a run."""

    showing: list[int]

    def feed(self, name: str, data: bytes) -> None:
        """Keep a text."""


class _Handler(logging.Handler):
    """Keeps the text of records."""

    def __init__(self, output: RecordTaker) -> None:
        super().__init__()
        self._output = output
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        text: str | None = attempt(lambda: self.format(record), lambda _: self.handleError(record))
        if text is None:
            return
        self._output.feed(LOGGING, (text + "\n").encode(errors="replace"))


class KeptRecords:
    """The records that are kept for one run."""

    def __init__(self, output: RecordTaker) -> None:
        self.output = output
        self._levels: dict[logging.Logger, int] = {}
        self._handler = _Handler(output)

    def listen(self, logger: logging.Logger, level: int) -> None:
        """Keep the records of a logger and those below it, each once."""
        self._levels[logger] = level
        _listen(self)

    def listen_no_more(self) -> None:
        """Stop keeping records."""
        _listen_no_more(self)

    def take(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        """Keep a record that a logger passes to handlers; return whether it was requested."""
        asked: logging.Logger | None = logger
        while asked is not None:
            if record.levelno >= self._levels.get(asked, sys.maxsize):
                self._handler.handle(record)
                return True
            asked = asked.parent if asked.propagate else None
        return False


# An additional handler would not work: `logging.basicConfig` does nothing while
# there is one, and every later configuration removes it.
_listening: list[KeptRecords] = []
_is_in_place = False
_call_handlers: Callable[[logging.Logger, logging.LogRecord], None] = logging.Logger.callHandlers


def _call_handlers_and_keep(logger: logging.Logger, record: logging.LogRecord) -> None:
    takers = [one.output for one in tuple(_listening) if one.take(logger, record)]
    # Without a handler, `logging` shows records on stderr; this record was handled.
    if takers and not logger.hasHandlers():
        return
    mine = get_ident()
    for one in takers:
        one.showing.append(mine)
    try:
        _call_handlers(logger, record)
    finally:
        for one in takers:
            one.showing.remove(mine)


def _listen(records: KeptRecords) -> None:
    global _call_handlers, _is_in_place
    if not _is_in_place:
        _call_handlers, _is_in_place = logging.Logger.callHandlers, True
        logging.Logger.callHandlers = _call_handlers_and_keep  # type: ignore[method-assign,assignment]
    if records not in _listening:
        _listening.append(records)


def _listen_no_more(records: KeptRecords) -> None:
    global _is_in_place  # noqa: PLW0603 - the same
    if records in _listening:
        _listening.remove(records)
    # Other code that replaced ours in the meantime calls it, so it stays.
    if not _listening and logging.Logger.callHandlers is _call_handlers_and_keep:
        logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign,assignment]
        _is_in_place = False
