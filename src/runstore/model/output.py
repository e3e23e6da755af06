"""What a run printed: one line, and the streams that lines come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

STDOUT, STDERR, LOGGING = "stdout", "stderr", "logging"


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line that a run printed.

    Attributes:
        at: When its first character came (UTC).
        stream: `stdout`, `stderr`, or `logging` for records of the `logging` module.
        text: The line without its end. Of a progress bar, the state that it was left in.
    """

    at: datetime
    stream: str
    text: str
