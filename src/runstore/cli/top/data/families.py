"""Children below their parents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from runstore.cli.top.data.reading import Row
from runstore.value_classes import dataclass


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A run at its place in the table.

    Attributes:
        row: The run.
        depth: Its number of ancestors that are shown.
        folded: Number of descendants that are hidden below it.
    """

    row: Row
    depth: int = 0
    folded: int = 0

    @property
    def uid(self) -> str:
        """The uid of the run."""
        return self.row.run.uid


def arranged(rows: Sequence[Row], folded: Collection[str]) -> list[PlacedRow]:
    """Return runs in their order, children directly below their parents.

    Args:
        rows: Runs in their order.
        folded: Uids of the parents whose descendants are hidden.
    """
    shown = {row.run.uid for row in rows}
    below: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        parent = row.run.parent_uid
        below[parent if parent in shown else None].append(row)
    placed: list[PlacedRow] = []
    reached: set[str] = set()
    waiting = [PlacedRow(row) for row in reversed(below[None])]
    while waiting:
        one = waiting.pop()
        children = below.get(one.uid, ())
        hidden = _descendants(below, one.uid) if one.uid in folded else set()
        reached |= {one.uid, *hidden}
        placed.append(PlacedRow(one.row, one.depth, len(hidden)))
        if not hidden:
            waiting += [PlacedRow(child, one.depth + 1) for child in reversed(children)]
    # Runs of a damaged store may be ancestors of each other.
    return placed + [PlacedRow(row) for row in rows if row.run.uid not in reached]


def _descendants(below: Mapping[str | None, Sequence[Row]], uid: str) -> set[str]:
    found: set[str] = set()
    waiting = [uid]
    while waiting:
        for child in below.get(waiting.pop(), ()):
            found.add(child.run.uid)
            waiting.append(child.run.uid)
    return found
