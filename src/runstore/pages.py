"""Page: part of a list, and the cursor that leads to the next part."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from runstore.errors import UsageError
from runstore.model.run import Run

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Part of a list, newest first.

    Attributes:
        items: What is on the page.
        next: Pass it as `after` to get the page that follows; None at the end.
    """

    items: tuple[T, ...]
    next: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield what `rich` prints; it calls this by itself. Source: rich 13, Repr protocol."""
        yield from self.items

    def _repr_html_(self) -> str:
        """Return what a notebook shows; it calls this by itself."""
        rows = "".join(f"<tr>{_html_cells(one)}</tr>" for one in self.items)
        return f"<table>{rows}</table>"


def _html_cells(item: object) -> str:
    texts = [text for _, text in item.summary()] if isinstance(item, Run) else [repr(item)]
    return "".join(f"<td style='text-align:left'>{html.escape(text)}</td>" for text in texts[:5])


def read_cursor(after: str) -> tuple[int, int]:
    """Return the key that `write_cursor` put into a text."""
    first, _, row_id = after.rpartition("-")
    try:
        return int(first), int(row_id)
    except ValueError:
        raise UsageError(
            f"{after!r} is not the `next` of a page.", hint="Leave it out to begin anew."
        ) from None


def write_cursor(key: tuple[int, int]) -> str:
    """Return the key of a page's last run as text."""
    return "{}-{}".format(*key)
