"""Records of the `logging` module, kept for a run whether they are shown or not."""

from __future__ import annotations

import logging
import sys
from threading import get_ident
from typing import TYPE_CHECKING, Protocol

from runstore.model.text.output import LOGGING

if TYPE_CHECKING:
    from collections.abc import Callable


class RecordTaker(Protocol):
    """Keeps the output of a run.

    Attributes:
        showing: The threads that show a record which is kept already.
    """

    showing: list[int]

    def feed(self, name: str, data: bytes) -> None:
        """Keep what came."""


class _Handler(logging.Handler):
    """Keeps the text of records."""

    def __init__(self, output: RecordTaker) -> None:
        super().__init__()
        self._output = output
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - code of the record's parts; said as every handler does
            self.handleError(record)
            return
        self._output.feed(LOGGING, (text + "\n").encode(errors="replace"))


class KeptRecords:
    """The records that are kept for one run.

    Args:
        output: Keeps them.
    """

    def __init__(self, output: RecordTaker) -> None:
        self.output = output
        self._levels: dict[logging.Logger, int] = {}
        self._handler = _Handler(output)

    def listen(self, logger: logging.Logger, level: int) -> None:
        """Keep the records of a logger and those below it, each once."""
        self._levels[logger] = level
        _listen(self)

    def listen_no_more(self) -> None:
        """Keep no more records."""
        _listen_no_more(self)

    def take(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        """Keep a record that this logger passes to handlers; return whether it was asked for."""
        asked: logging.Logger | None = logger
        while asked is not None:
            if record.levelno >= self._levels.get(asked, sys.maxsize):
                self._handler.handle(record)
                return True
            asked = asked.parent if asked.propagate else None
        return False


# A handler of ours among those of a logger would not do: `logging.basicConfig` does nothing while
# there is one, and every later configuration removes it.
_listening: list[KeptRecords] = []
_is_in_place = False
_call_handlers: Callable[[logging.Logger, logging.LogRecord], None] = logging.Logger.callHandlers


def _call_handlers_and_keep(logger: logging.Logger, record: logging.LogRecord) -> None:
    takers = [one.output for one in tuple(_listening) if one.take(logger, record)]
    # What no handler takes, logging shows on stderr; this record was taken.
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
    # Whoever replaced ours in the meantime calls it, so it stays.
    if not _listening and logging.Logger.callHandlers is _call_handlers_and_keep:
        logging.Logger.callHandlers = _call_handlers  # type: ignore[method-assign,assignment]
        _is_in_place = False
