"""The output of a run as a sequence of lines."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from runstore.model.text.output import OutputLine, plain_text


class Output:
    """The lines that a run printed, read on demand.

    Each iteration reads them again, for a running run up to now. `next(output)` reads them one by
    one. Length and indexing read the lines without keeping them.

    Args:
        read: Returns the lines; called once here, so that missing files raise at once.
    """

    def __init__(self, read: Callable[[], Iterator[OutputLine]]) -> None:
        self._read = read
        self._unread: Iterator[OutputLine] | None = read()
        self._steps: Iterator[OutputLine] | None = None

    def __iter__(self) -> Iterator[OutputLine]:
        if self._steps is not None:  # begun with `next`: the rest
            return self._steps
        lines, self._unread = self._unread, None
        return self._read() if lines is None else lines

    def __next__(self) -> OutputLine:
        if self._steps is None:
            self._steps = iter(self)
        return next(self._steps)

    def __len__(self) -> int:
        return sum(1 for _ in self._read())

    def __bool__(self) -> bool:
        return any(True for _ in self._read())

    def __getitem__(self, index: int | slice) -> Any:
        """Return one line, or a tuple of lines.

        Raises:
            IndexError: There are fewer lines.
        """
        if isinstance(index, slice):
            return tuple(self._read())[index]
        found = deque(
            self._read() if index < 0 else islice(self._read(), index, index + 1),
            maxlen=min(abs(index), sys.maxsize) or 1,
        )
        if not found or (index < 0 and len(found) < -index):
            raise IndexError(index)
        return found[0]

    def __reduce__(self) -> tuple[type[Output], tuple[Callable[[], Iterator[OutputLine]]]]:
        return Output, (self._read,)

    def __repr__(self) -> str:
        from runstore.model.display.output_text import output_text

        return output_text(self._texts)

    def _repr_html_(self) -> str:
        """Return the HTML for notebooks, which call this method."""
        from runstore.model.display.output_text import output_html

        return output_html(self._texts)

    def _texts(self) -> Iterator[str]:
        return (plain_text(line.text) for line in self._read())
