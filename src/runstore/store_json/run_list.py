"""`ManagerStore.runs`: plain dictionaries in a plain list, and the detection of edits."""

from __future__ import annotations

import json
import marshal
import operator
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from runstore.errors import InvalidValueError
from runstore.model.block import Block
from runstore.storage.blocks import BlockRow
from runstore.value_classes import dataclass, field

_MISSING = object()
_NESTED = frozenset({dict, list})


@dataclass(slots=True)
class _Known:
    """A run of the list: the user's dictionary, and its contents when it came from the store."""

    block: Block
    before: Block


@dataclass(slots=True)
class Edits:
    """The user's edits of the list since it came from the store, with the previous contents.

    Added blocks have no run in the store. `changed` has row ids, the previous and the present
    blocks.
    """

    changed: list[tuple[int, Block, Block]] = field(default_factory=list)
    added: list[Block] = field(default_factory=list)
    removed: list[tuple[int, Block]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.removed)


class Mirror:
    """The user's list, and a copy that separates the user's edits from others' edits.

    `runs` is None until it is first used, because adding a run does not require the list.
    """

    def __init__(self) -> None:
        self.runs: list[Block] | None = None
        self._known: dict[int, _Known] = {}

    @property
    def is_in_use(self) -> bool:
        """Whether the user holds blocks of this store that may have been edited."""
        return bool(self._known) or self.runs is not None

    def fill(self, blocks: Iterable[tuple[int, Block]], *, keep_edits: bool) -> None:
        """Rebuild the list from row ids and blocks in order.

        Existing dictionaries with the user's edits are kept if asked.
        """
        old, self._known = self._known, {}
        runs: list[Block] = []
        given = list(blocks)
        # For a whole list, this is five times as fast as copying in Python.
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
        """Update runs that changed in the store, keeping the user's unsaved edits."""
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
        if is_late:  # a restored run returns to its place
            self._sort()

    def adopt(self, row_id: int, block: Block) -> Block:
        """Add or update a run, and return its dictionary in the list."""
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
        """Record that the user's block was written, with its present contents in the store."""
        block.clear()
        block.update(stored)
        self._known[row_id] = _Known(block, copied(stored))

    def forget(self, row_id: int) -> None:
        """Remove a run from the list."""
        self._known.pop(row_id, None)

    def block_of(self, row_id: int) -> Block | None:
        """Return the user's dictionary of a run."""
        known = self._known.get(row_id)
        return None if known is None else known.block

    def put_in_order(self) -> None:
        """Sort the list in the store's order, keeping the list object."""
        if self.runs is not None:
            self.runs[:] = [self._known[row_id].block for row_id in sorted(self._known)]

    def _sort(self) -> None:
        """Sort the list in the store's order; blocks without a run come last."""
        row_of = {id(one.block): row_id for row_id, one in self._known.items()}
        last = max(self._known, default=0) + 1
        (self.runs or []).sort(key=lambda block: row_of.get(id(block), last))

    def edits(self) -> Edits:
        """Return the user's edits."""
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
        """Check whether the list consists of the store's own dictionaries, in order."""
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
                    f"Expected a dictionary in .runs, got {type(block).__name__}.",
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
    """Return a copy of plain JSON values; texts and numbers are shared, for fast comparison."""
    if isinstance(value, dict):
        return {key: copied(one) if type(one) in _NESTED else one for key, one in value.items()}
    if isinstance(value, list):
        return [copied(one) if type(one) in _NESTED else one for one in value]
    return value


def plain(block: Block, *, lenient: bool = False) -> Block:
    """Return a block after a round trip through JSON; if lenient, other values become text.

    Raises:
        InvalidValueError: A value is not valid in JSON; the message names its key.
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
    """Return a stored block with the changes between two versions of it."""
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
    """Update a user's dictionary, keeping keys that the user edited."""
    now = merged(stored, known.before, known.block)
    known.before = copied(stored)
    known.block.clear()
    known.block.update(copied(now))
