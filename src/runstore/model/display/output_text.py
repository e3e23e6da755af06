"""The last lines of a run's output for notebooks and interactive sessions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from runstore.errors import RunstoreError, visible
from runstore.model.display.formatting import counted, cropped
from runstore.model.display.html import escaped

_LINES, _WIDTH = 20, 200

Read = Callable[[], Iterable[str]]


def output_text(read: Read) -> str:
    """Return the last lines, with their number above."""
    title, lines = _shown(read)
    return "\n".join([f"<{title}>", *lines])


def output_html(read: Read) -> str:
    """Return the same as HTML."""
    title, lines = _shown(read)
    text = "\n".join(map(escaped, lines))
    return f"<div>{escaped(title)}<pre>{text}</pre></div>"


def _shown(read: Read) -> tuple[str, list[str]]:
    count, last = 0, deque[str](maxlen=_LINES)
    try:
        for line in read():
            count += 1
            last.append(line)
    except RunstoreError as error:
        return str(error), []
    lines = [cropped(visible(one), _WIDTH) for one in last]
    return f"{counted(count, 'line')} of output" + (", the last:" if count > _LINES else ""), lines
