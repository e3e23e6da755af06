"""Sequences and mappings that are displayed as tables; display code is loaded on first use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeVar, overload

T = TypeVar("T")
V = TypeVar("V")


class TupleTable(tuple[T, ...]):
    """A tuple that is displayed as a table.

    Attributes:
        noun: The kind of its items, such as `edit`.
        head: The headers of the table.
    """

    __slots__ = ()

    noun: ClassVar[str]
    head: ClassVar[Sequence[str]]

    def row(self, one: T) -> Sequence[str]:
        """Return the cells of one item."""
        raise NotImplementedError

    @overload  # type: ignore[override]
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> TupleTable[T]: ...
    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return type(self)(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        return _as_text(self.noun, self.head, self._rows(), len(self))

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield the parts for `rich`, which calls this method. Source: rich 13, Repr protocol."""
        yield from self

    def _repr_html_(self) -> str:
        """Return the HTML for notebooks, which call this method."""
        return _as_html(self.noun, self.head, self._rows(), len(self))

    def _rows(self) -> Iterator[Sequence[str]]:
        return map(self.row, self)


class DictTable(dict[str, V]):
    """A dictionary that is displayed as a table."""

    noun: ClassVar[str]
    head: ClassVar[Sequence[str]]

    def row(self, name: str, one: V) -> Sequence[str]:
        """Return the cells of one item."""
        raise NotImplementedError

    def __missing__(self, name: object) -> V:
        from runstore.model.display.suggestions import missing_key

        raise missing_key(self.noun, name, self)

    def __repr__(self) -> str:
        return _as_text(self.noun, self.head, self._rows(), len(self))

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        """Yield the parts for `rich`, which calls this method. Source: rich 13, Repr protocol."""
        yield from self.items()

    def _repr_html_(self) -> str:
        """Return the HTML for notebooks, which call this method."""
        return _as_html(self.noun, self.head, self._rows(), len(self))

    def _rows(self) -> Iterator[Sequence[str]]:
        return (self.row(name, one) for name, one in self.items())


def _as_text(noun: str, head: Sequence[str], rows: Iterator[Sequence[str]], count: int) -> str:
    from runstore.model.display.formatting import counted
    from runstore.model.display.text_table import text_table

    return text_table(head, rows, title=f"<{counted(count, noun)}>", total=count)


def _as_html(noun: str, head: Sequence[str], rows: Iterator[Sequence[str]], count: int) -> str:
    from runstore.model.display.html import html_paragraphs, html_table

    return html_table(head, rows, total=count) if count else html_paragraphs([f"no {noun}s"])
