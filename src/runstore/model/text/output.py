"""Printed lines of a run, and the streams that they come from."""

from __future__ import annotations

import re

from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

STDOUT, STDERR, LOGGING = "stdout", "stderr", "logging"
# Escape sequences: colours, movements (ECMA-48 CSI), titles and links (OSC).
SEQUENCE = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


class OutputLine(NamedTuple):
    """A line that a run printed.

    Attributes:
        at: Time of its first character (UTC).
        stream: `stdout`, `stderr`, or `logging` for records of the `logging` module.
        text: The line without its end. For a progress bar, its last state.
    """

    at: datetime
    stream: str
    text: str


def plain_text(text: str) -> str:
    """Return the text of a line, without colours and other escape sequences."""
    return SEQUENCE.sub("", text) if "\x1b" in text else text
