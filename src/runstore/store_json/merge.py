"""Import of changes that another program made to `store.json`, block by block.

Rules: a missing block is not a deletion, because a git checkout of an older file must not lose
runs. A final status is never reverted, and parameters do not disappear: a block that lacks them is
older than ours, and adds only what ours lacks. If runstore and the other program changed the same
run, new texts of the other one win, and are recorded as events; nothing else is guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from runstore.model.block import (
    HEX_DIGITS,
    Block,
    fields_from_block,
    is_same_text,
    status_of_word,
)
from runstore.model.reference import new_uid
from runstore.model.status import Status
from runstore.storage.blocks import BlockRow, BlockTable, BlockWriter
from runstore.value_classes import dataclass, field

AUTHOR = "store.json"
_HEX_LENGTH = 40
_SHORTEST = 7  # length of git's abbreviated hashes


@dataclass(slots=True)
class Taken:
    """The result of an import.

    Attributes:
        added: References of previously unknown runs.
        edited: References of known runs with changes.
        is_first: Whether the database was empty before: the file was imported.
        is_same: Whether the file matches the present database.
        newest: The present change number of the database.
        last_id: The last row of the list.
        left_out: References of runs that are missing in the file.
    """

    added: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    is_first: bool = False
    is_same: bool = False
    newest: int = 0
    last_id: int = 0
    left_out: list[str] = field(default_factory=list)

    @property
    def is_news(self) -> bool:
        """Whether a change by another program must be reported."""
        return not self.is_first and bool(self.added or self.edited)

    def told(self) -> str:
        """Return a readable summary of the imported changes."""
        parts = [
            f"{len(names)} run{'s' if len(names) > 1 else ''} {verb} ({listed(names)})"
            for names, verb in ((self.added, "added"), (self.edited, "changed"))
            if names
        ]
        return ", ".join(parts)


def listed(names: Sequence[str], at_most: int = 3) -> str:
    """Return the first names of a list, with an ellipsis if there are more."""
    return ", ".join(names[:at_most]) + (", …" if len(names) > at_most else "")


class BlockMerge:
    """Imports the blocks of a file to the database, in one transaction.

    Args:
        table: The runs.
        base: The change number that the file showed when we wrote it; None if unknown.
        seen_at: Start time of runs that have none, in microseconds.
    """

    def __init__(self, table: BlockTable, *, base: int | None, seen_at: int) -> None:
        self._table = table
        self._base = base
        self._seen_at = seen_at
        self._is_older = False

    def take(self, blocks: Sequence[Block], trees: Mapping[str, str], folder: Path) -> Taken:
        """Import the blocks, and return the changes."""
        newest = self._table.newest_change()
        rows = self._table.rows()
        kept = [(row, row.block) for row in rows]
        taken = Taken(is_first=not rows and newest == 0, newest=newest)
        pairs = _matched(blocks, kept)
        if not taken.is_first:
            pairs = _without_copies(pairs)
        shown = {pair[0].id for _, pair in pairs if pair is not None}
        news = [(block, pair) for block, pair in pairs if pair is None or pair[1] != block]
        if not news:
            _compare(taken, kept, blocks)
            taken.left_out = self._left_out(kept, shown)
            return taken
        whole = _whole_commits([block for block, _ in news], folder)
        self._is_older = bool(self._left_out(kept, shown))
        with self._table.write() as writer:
            for block, pair in news:
                if pair is None:
                    shown |= self._add(writer, _with_whole_commit(block, whole), trees, taken)
                else:
                    self._merge(writer, pair[0], block, trees, taken)
        taken.newest = self._table.newest_change()
        if taken.is_first:
            # Every block became a row, in order: there is nothing to compare.
            taken.is_same = not whole
            return taken
        taken.left_out = self._left_out(kept, shown)
        rows = self._table.rows()
        _compare(taken, [(row, row.block) for row in rows], blocks)
        return taken

    def _left_out(
        self,
        kept: Sequence[tuple[BlockRow, Block]],
        shown: AbstractSet[int],
    ) -> list[str]:
        """Return the runs that the file contained when we wrote it, but no longer does."""
        base = -1 if self._base is None else self._base
        return [
            row.run.reference for row, _ in kept if row.id not in shown and row.changed <= base
        ]

    def _add(
        self, writer: BlockWriter, block: Block, trees: Mapping[str, str], taken: Taken
    ) -> set[int]:
        """Add a block without a run in the list; return the former runs that it shows, if any."""
        # A deleted run stays in the trash even if an older file still shows it; and a moved run is
        # not duplicated because a file has its old name.
        if not taken.is_first:
            reference = fields_from_block(block).reference
            known = writer.rows_by_reference(reference) if reference else []
            if any(row.is_deleted or row.run.reference != reference for row in known):
                return {row.id for row in known}
        taken.last_id = writer.add(block, seen_at=self._seen_at, trees=trees)
        taken.added.append(str(block.get("reference", "a run without a reference")))
        return set()

    def _merge(
        self,
        writer: BlockWriter,
        row: BlockRow,
        theirs: Block,
        trees: Mapping[str, str],
        taken: Taken,
    ) -> None:
        """Apply the file's changes to a run."""
        now = writer.row(row.id)
        if now is None or now.is_deleted:
            return
        ours = dict(now.block)
        is_newer = (
            self._base is not None and now.changed <= self._base and not _is_older(ours, theirs)
        )
        merged = dict(ours)
        for key in {**ours, **theirs}:
            if key in ours and key in theirs and ours[key] == theirs[key]:
                continue
            if not self._is_to_be_taken(writer, now, key, ours, theirs, is_newer=is_newer):
                continue
            if key in theirs:
                merged[key] = theirs[key]
            else:
                del merged[key]
        if merged != ours:
            # The registry has texts of values: those that we recorded say more.
            known = {one.hash for one in now.run.parameter_sets if one.tree is not None}
            new = {digest: tree for digest, tree in trees.items() if digest not in known}
            writer.change(now, merged, author=AUTHOR, trees=new, operation=new_uid())
            taken.edited.append(now.run.reference)

    def _is_to_be_taken(
        self,
        writer: BlockWriter,
        row: BlockRow,
        key: str,
        ours: Block,
        theirs: Block,
        *,
        is_newer: bool,
    ) -> bool:
        """Check whether the file's value of this key is new, and not just old."""
        if key in {"status", "error"}:
            said = status_of_word(theirs.get("status"))
            is_other = _is_forward(row.run.status, said, is_newer)
            if key == "status" or key not in theirs:
                # An error belongs to its status: it comes and goes with it.
                return is_other
            return said is Status.ERROR and (is_other or row.run.status is Status.ERROR)
        if key == "commit" and (row.run.commit or "").startswith(str(theirs.get(key))):
            return False  # other tools abbreviate it
        is_notes = key == "notes"
        if is_notes and (self._is_older or not is_newer):
            old = writer.old_texts(row.id, key)
            if any(is_same_text(theirs.get(key), one) for one in old):
                return False
        if is_newer:
            return True
        # The previous contents are unknown, or older: a missing key is not a deletion.
        return key in theirs and (not ours.get(key) or is_notes)


def _is_older(ours: Block, theirs: Block) -> bool:
    """Check whether a block is an older version of ours.

    It lacks parameter sets or the end, or has other values of a run that goes on in both.
    """
    before, now = fields_from_block(ours), fields_from_block(theirs)
    if before.status.is_final and not now.status.is_final:
        return True
    known, named = (
        {(one.file, one.name) for one in said.parameter_sets} for said in (before, now)
    )
    has_others = named == known and {*now.parameter_sets} != {*before.parameter_sets}
    return named < known or (has_others and not now.status.is_final)


def _is_forward(ours: Status, theirs: Status, is_newer: bool) -> bool:  # noqa: FBT001 - one fact of three
    if ours.is_final:
        return is_newer and theirs.is_final and theirs is not ours
    return theirs is not ours


def _compare(
    taken: Taken, kept: Sequence[tuple[BlockRow, Block]], blocks: Sequence[Block]
) -> None:
    """Record whether the file matches the database."""
    taken.last_id = kept[-1][0].id if kept else 0
    taken.is_same = len(kept) == len(blocks) and all(
        ours == theirs for (_, ours), theirs in zip(kept, blocks, strict=True)
    )


def _matched(
    blocks: Sequence[Block], kept: Sequence[tuple[BlockRow, Block]]
) -> list[tuple[Block, tuple[BlockRow, Block] | None]]:
    """Find the run of each block: by reference, identical blocks first, then in order."""
    by_reference: dict[str, list[tuple[BlockRow, Block]]] = defaultdict(list)
    for row, block in kept:
        reference = block.get("reference")
        by_reference[reference if isinstance(reference, str) else ""].append((row, block))
    found: list[tuple[Block, tuple[BlockRow, Block] | None]] = []
    late: list[int] = []
    for block in blocks:
        reference = block.get("reference")
        candidates = by_reference[reference if isinstance(reference, str) else ""]
        same = next((at for at, one in enumerate(candidates) if one[1] == block), None)
        found.append((block, None if same is None else candidates.pop(same)))
        if same is None:
            late.append(len(found) - 1)
    for at in late:
        reference = found[at][0].get("reference")
        candidates = by_reference[reference] if isinstance(reference, str) else []
        if candidates:
            found[at] = (found[at][0], candidates.pop(0))
    return found


def _without_copies(
    pairs: Sequence[tuple[Block, tuple[BlockRow, Block] | None]],
) -> list[tuple[Block, tuple[BlockRow, Block] | None]]:
    """Leave out new blocks that equal another block of the file: git merged two versions of it."""
    shown: dict[str, list[Block]] = defaultdict(list)
    found = []
    # Blocks with a run first: their copies may stand before them.
    for at, (block, pair) in sorted(enumerate(pairs), key=lambda one: one[1][1] is None):
        same_name = shown[str(block.get("reference"))]
        if pair is not None or block not in same_name:
            same_name.append(block)
            found.append(at)
    return [pairs[at] for at in sorted(found)]


def _whole_commits(blocks: Sequence[Block], folder: Path) -> dict[str, str]:
    """Return the full hash of each abbreviated commit, if git knows it."""
    short = {
        commit
        for block in blocks
        if isinstance(commit := block.get("commit"), str)
        and _SHORTEST <= len(commit) < _HEX_LENGTH
        and set(commit.lower()) <= HEX_DIGITS
    }
    if not short:
        return {}
    from runstore.capture.git.short_commits import whole_commits

    return whole_commits(short, (folder, Path.cwd()))


def _with_whole_commit(block: Block, whole: Mapping[str, str]) -> Block:
    commit = block.get("commit")
    if isinstance(commit, str) and commit in whole:
        return {**block, "commit": whole[commit]}
    return block
