"""Long texts in the user's pager, as in git and man."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from runstore.cli import output

# As in git: quit if the text fits, keep colours, leave the text on the screen.
_LESS = "FRX"


def print_pages(lines: Sequence[str], *, has_pager: bool) -> None:
    """Print lines, in a pager if they do not fit on the terminal.

    Args:
        lines: Lines without control characters; colours are kept.
        has_pager: Whether a pager can be used.
    """
    pager = _pager() if has_pager and output.is_terminal() and not _fits(lines) else []
    if not pager or not _paged(pager, lines):
        for line in lines:
            output.say_coloured(line)


def _pager() -> list[str]:
    """Return the command of `$PAGER`, or else less; empty if there is none."""
    if os.environ.get("TERM") == "dumb":
        return []
    asked = os.environ.get("PAGER")
    try:
        words = ["less", f"-{_LESS}"] if asked is None else shlex.split(asked)
    except ValueError:  # unclosed quote
        return []
    return words if words and shutil.which(words[0]) else []


def _fits(lines: Sequence[str]) -> bool:
    width, height = output.terminal_size()
    rows = sum(max(1, -(-output.shown_len(line) // width)) for line in lines)
    return rows < height  # one line for the prompt


def _paged(pager: Sequence[str], lines: Sequence[str]) -> bool:
    """Show lines in the pager, and return whether that succeeded."""
    environment = {"LESS": _LESS, "LV": "-c", **os.environ}
    try:
        process = subprocess.Popen(pager, stdin=subprocess.PIPE, env=environment)
    except OSError:
        return False
    text = "".join(f"{output.coloured(line)}\n" for line in lines)
    with suppress(BrokenPipeError, KeyboardInterrupt):  # the pager was closed early
        process.communicate(text.encode(errors="backslashreplace"))
    while process.poll() is None:
        with suppress(KeyboardInterrupt):  # Ctrl-C is a key of less
            process.wait()
    return True
