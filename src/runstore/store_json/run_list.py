"""`ManagerStore.runs`: plain dictionaries in a plain list, and what their owner changed."""

from __future__ import annotations

import json
import marshal
import operator
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from runstore.errors import InvalidValueError
from runstore.model.block import Block
from runstore.storage.blocks import BlockRow

_MISSING = object()
_NESTED = frozenset({dict, list})


@dataclass(slots=True)
class _Known:
    """A run of the list: the owner's dictionary, and what it held when it came from the store."""

    block: Block
    before: Block


@dataclass(slots=True)
class Edits:
    """What the owner of the list did since it came from the store.

    Attributes:
        changed: Row id, what the block held before, and the owner's block now.
        added: Blocks that stand for no run of the store.
        removed: Row id of runs that are not in the list any more, and what they held.
    """

    changed: list[tuple[int, Block, Block]] = field(default_factory=list)
    added: list[Block] = field(default_factory=list)
    removed: list[tuple[int, Block]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.removed)


class Mirror:
    """The list that the owner sees, and a copy to tell the owner's edits from those of others.

    Attributes:
        runs: The list. None until somebody asks for it: adding a run needs no list.
    """

    def __init__(self) -> None:
        self.runs: list[Block] | None = None
        self._known: dict[int, _Known] = {}

    @property
    def is_in_use(self) -> bool:
        """Whether anybody holds blocks of this store that may have been edited."""
        return bool(self._known) or self.runs is not None

    def fill(self, blocks: Iterable[tuple[int, Block]], *, keep_edits: bool) -> None:
        """Make the list anew, from row ids and blocks in order.

        Args:
            blocks: All runs.
            keep_edits: Whether dictionaries that were given out before stay in the list, with
                what their owner changed in them.
        """
        old, self._known = self._known, {}
        runs: list[Block] = []
        given = list(blocks)
        # Five times as quick for a whole list as a walk through it.
        before: list[Block] = marshal.loads(marshal.dumps([block for _, block in given]))  # noqa: S302 - dumped on the same line
        for (row_id, block), copy in zip(given, before, strict=True):
            known = old.get(row_id) if keep_edits else None
            if known is None:
                known = _Known(block, copy)
            else:
                _merge_into(known, block)
            self._known[row_id] = known
            runs.append(known.block)
        self.runs = runs

    def refresh(self, rows: Sequence[BlockRow]) -> None:
        """Take in runs that changed in the store; the owner's unsaved edits stay."""
        newest = max(self._known, default=0)
        is_late = False
        for row in rows:
            known = self._known.get(row.id)
            if row.is_deleted:
                if known is not None:
                    self._drop(row.id)
                continue
            if known is not None:
                _merge_into(known, row.block)
            elif self.runs is not None:
                self.adopt(row.id, row.block)
                is_late = is_late or row.id < newest
        if is_late:  # one that was restored stands where it stood
            self._sort()

    def adopt(self, row_id: int, block: Block) -> Block:
        """Let a copy of a block stand for a run; return the dictionary that is in the list."""
        known = self._known.get(row_id)
        if known is not None:
            _merge_into(known, block)
            return known.block
        own: Block = copied(block)
        self._known[row_id] = _Known(own, block)
        if self.runs is not None:
            self.runs.append(own)
        return own

    def settle(self, row_id: int, block: Block, stored: Block) -> None:
        """Note that the owner's block was written, and what the store holds of it now."""
        block.clear()
        block.update(stored)
        self._known[row_id] = _Known(block, copied(stored))

    def forget(self, row_id: int) -> None:
        """Note that the run is none of the list's any more."""
        self._known.pop(row_id, None)

    def block_of(self, row_id: int) -> Block | None:
        """Return the owner's dictionary of a run."""
        known = self._known.get(row_id)
        return None if known is None else known.block

    def put_in_order(self) -> None:
        """Sort the list as the store has it, the list staying the same object."""
        if self.runs is not None:
            self.runs[:] = [self._known[row_id].block for row_id in sorted(self._known)]

    def _sort(self) -> None:
        """Sort the list as the store has it; blocks that stand for no run yet come last."""
        row_of = {id(one.block): row_id for row_id, one in self._known.items()}
        last = max(self._known, default=0) + 1
        (self.runs or []).sort(key=lambda block: row_of.get(id(block), last))

    def edits(self) -> Edits:
        """Return what the owner did."""
        found = Edits()
        if self.runs is None or self._is_as_given():
            found.changed = [
                (row_id, one.before, one.block)
                for row_id, one in self._known.items()
                if one.block != one.before
            ]
            return found
        pairs, left = self._paired(self.runs)
        for row_id, block in pairs:
            before = self._known[row_id].before
            if block != before:
                found.changed.append((row_id, before, block))
        there = {row_id for row_id, _ in pairs}
        found.added = left
        found.removed = [
            (row_id, one.before) for row_id, one in self._known.items() if row_id not in there
        ]
        return found

    def _is_as_given(self) -> bool:
        """Tell whether the list holds the very dictionaries of the store, in their order."""
        runs = self.runs or []
        return len(runs) == len(self._known) and all(
            map(operator.is_, runs, (one.block for one in self._known.values()))
        )

    def _paired(self, runs: list[Block]) -> tuple[list[tuple[int, Block]], list[Block]]:
        """Find the run of each dictionary: the same object first, then the same reference."""
        row_of = {id(one.block): row_id for row_id, one in self._known.items()}
        pairs: list[tuple[int, Block]] = []
        strangers: list[Block] = []
        for block in runs:
            if not isinstance(block, dict):
                raise InvalidValueError(
                    f"A run in .runs is a dictionary, not {type(block).__name__}.",
                    kept="Nothing was saved.",
                )
            row_id = row_of.pop(id(block), None)
            if row_id is None:
                strangers.append(block)
            else:
                pairs.append((row_id, block))
        if not strangers:
            return pairs, []
        waiting: dict[str, list[int]] = defaultdict(list)
        for row_id in sorted(row_of.values()):
            waiting[_name_of(self._known[row_id].before)].append(row_id)
        left: list[Block] = []
        for block in strangers:
            candidates = waiting.get(_name_of(block))
            if candidates:
                pairs.append((candidates.pop(0), block))
            else:
                left.append(block)
        return pairs, left

    def _drop(self, row_id: int) -> None:
        gone = self._known.pop(row_id).block
        if self.runs is not None:
            self.runs[:] = [block for block in self.runs if block is not gone]


def _name_of(block: Block) -> str:
    reference = block.get("reference")
    return reference if isinstance(reference, str) else json.dumps(block, default=str)


def copied(value: Any) -> Any:
    """Return a copy of plain JSON values; texts and numbers are shared, so comparing is quick."""
    if isinstance(value, dict):
        return {key: copied(one) if type(one) in _NESTED else one for key, one in value.items()}
    if isinstance(value, list):
        return [copied(one) if type(one) in _NESTED else one for one in value]
    return value


def plain(block: Block, *, lenient: bool = False) -> Block:
    """Return a block as JSON gives it back.

    Args:
        block: What a user or a manager made.
        lenient: Whether values that JSON does not know become their text.

    Raises:
        InvalidValueError: A value is none that JSON can say; its key is named.
    """
    try:
        made = json.loads(json.dumps(block, default=str if lenient else None))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            f"The block {block.get('reference')!r} cannot be written as JSON:"
            f" {_culprit(block)}{error}.",
            kept="Nothing was saved.",
            hint="Use text, numbers, lists and dictionaries.",
        ) from error
    return made if isinstance(made, dict) else {}


def _culprit(block: Block) -> str:
    for key, value in block.items():
        try:
            json.dumps({key: value})
        except (TypeError, ValueError, RecursionError):
            return f"{key!r}: "
    return ""


def merged(stored: Block, before: Block, now: Block) -> Block:
    """Return a stored block with what changed between two versions of it."""
    result = dict(stored)
    for key in {**before, **now}:
        old, new = before.get(key, _MISSING), now.get(key, _MISSING)
        if old == new and type(old) is type(new):
            continue
        if new is _MISSING:
            result.pop(key, None)
        else:
            result[key] = new
    return result


def _merge_into(known: _Known, stored: Block) -> None:
    """Bring an owner's dictionary up to date; keys that the owner edited stay."""
    now = merged(stored, known.before, known.block)
    known.before = copied(stored)
    known.block.clear()
    known.block.update(copied(now))
