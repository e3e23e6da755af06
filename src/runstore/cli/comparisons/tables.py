"""Tables with more columns than fit, printed in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runstore.cli.comparisons.lines import distinct_texts
from runstore.cli.output import TableColumn, console, is_terminal, print_table, say, terminal_safe

_GAP = 2
_NARROWEST, _WIDEST = 8, 24

Row = tuple[str, Sequence[str]]


def print_in_blocks(names: Sequence[str], rows: Sequence[Row], *, transpose: bool) -> None:
    """Print a table with a column for each name, in blocks that fit on the terminal."""
    if not is_terminal():
        _print_block(*_turned(names, rows, transpose=transpose), width=None)
        return
    room = console().width
    turned_names, turned = _turned(names, rows, transpose=transpose)
    first = min(max(len(name) for name, _ in turned), max(room // 3, _NARROWEST))
    widest = _widest(len(turned_names), room - first)
    # Cropped texts still have to differ.
    apart = [(name, distinct_texts(texts, widest)) for name, texts in rows]
    turned_names, turned = _turned(names, apart, transpose=transpose)
    labels = distinct_texts([name for name, _ in turned], first)
    turned = [(label, texts) for label, (_, texts) in zip(labels, turned, strict=True)]
    heads = distinct_texts(turned_names, widest)
    for place, block in enumerate(_blocks(heads, turned, room - first, widest)):
        if place:
            say()
        some = [(name, [texts[at] for at in block]) for name, texts in turned]
        _print_block([heads[at] for at in block], some, width=first, most=widest)


def _widest(columns: int, room: int) -> int:
    """Return the largest width of a column that leaves room for several."""
    together = min(columns, max(2, room // _WIDEST + 1))
    return max(_NARROWEST, min(_WIDEST, room // together - _GAP))


def _turned(
    names: Sequence[str], rows: Sequence[Row], *, transpose: bool
) -> tuple[Sequence[str], Sequence[Row]]:
    if not transpose:
        return names, rows
    turned = [(name, [texts[at] for _, texts in rows]) for at, name in enumerate(names)]
    return [name for name, _ in rows], turned


def _blocks(
    names: Sequence[str], rows: Sequence[Row], room: int, most: int
) -> Iterator[list[int]]:
    """Yield the indices of columns that fit side by side."""
    block: list[int] = []
    taken = 0
    for place, name in enumerate(names):
        widest = max([len(name), *(len(terminal_safe(texts[place])) for _, texts in rows)])
        needed = _GAP + max(_NARROWEST, min(widest, most))
        if block and taken + needed > room:
            yield block
            block, taken = [], 0
        block.append(place)
        taken += needed
    if block:
        yield block


def _print_block(
    names: Sequence[str], rows: Sequence[Row], *, width: int | None, most: int = _WIDEST
) -> None:
    columns = [TableColumn("", narrowest=width or _NARROWEST)]
    # No column can be left out; each fits at this width.
    columns += [TableColumn(terminal_safe(name), narrowest=most, rank=1) for name in names]
    print_table(columns, [(name, *texts) for name, texts in rows])
