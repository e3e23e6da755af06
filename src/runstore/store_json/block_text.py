"""The text of a block list: written in full, or patched if only some runs changed.

Encoding a block costs about 25 microseconds, so that a long list is not rewritten for one run: the
bytes between two blocks are located by their layout. JSON strings contain no line breaks, so that
a line of four spaces and a bracket is always the edge of a block.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Union

from runstore.model.block import Block, encode_block
from runstore.value_classes import dataclass

# Long parts of a list are passed on without copying.
Piece = Union[bytes, memoryview]

_EMPTY = b"[]"
_BEGIN = b"[\n    {"
_END = b"\n    }\n]"
_OPENING = b"\n    {\n"
_CLOSING = b"\n    }"


@dataclass(frozen=True, slots=True)
class CurrentEntry:
    """The block of one run of the list, which is to be appended if the run is new."""

    block: Block
    is_new: bool


def whole_list(blocks: Iterable[Block]) -> Iterator[bytes]:
    """Yield the text of a list in Curifactory's layout: four spaces, ASCII."""
    before = "[\n    "
    for block in blocks:
        yield (before + encode_block(block)).encode("ascii")
        before = ",\n    "
    yield _EMPTY if before.startswith("[") else b"\n]"


def patched_list(text: bytes, changes: Sequence[CurrentEntry]) -> list[Piece] | None:
    """Return a list's text with some blocks changed and some added, in pieces to be joined.

    Returns None if a position is uncertain, because of another layout or a duplicate reference.
    The list must then be written in full.
    """
    edits: list[tuple[int, int, bytes]] = []
    for change in changes:
        if change.is_new:
            continue
        place = _place_of(text, change.block)
        if place is None:
            return None
        edits.append((*place, encode_block(change.block).encode("ascii")))
    added = [encode_block(one.block).encode("ascii") for one in changes if one.is_new]
    return _joined(text, sorted(edits), added)


def _joined(
    text: bytes, edits: Sequence[tuple[int, int, bytes]], added: Sequence[bytes]
) -> list[Piece] | None:
    if text != _EMPTY and not (text.startswith(_BEGIN) and text.endswith(_END)):
        return None
    view, pieces, at = memoryview(text), list[Piece](), 0
    for begin, end, block in edits:
        pieces += [view[at:begin], block]
        at = end
    last = len(text) if not added else 1 if text == _EMPTY else len(text) - len(b"\n]")
    pieces.append(view[at:last])
    for index, block in enumerate(added):
        is_first = text == _EMPTY and index == 0
        pieces += [b"\n    " if is_first else b",\n    ", block]
    if added:
        pieces.append(b"\n]")
    return pieces


def _place_of(text: bytes, block: Block) -> tuple[int, int] | None:
    """Return begin and end of the block with this reference; None if uncertain."""
    reference = block.get("reference")
    if not isinstance(reference, str):
        return None
    line = b'\n        "reference": ' + json.dumps(reference).encode("ascii")
    found = [
        at for at in _all_of(text, line) if text[at + len(line) : at + len(line) + 1] in b",\n"
    ]
    if len(found) != 1:
        return None
    begin = text.rfind(_OPENING, 0, found[0] + 1) + len(b"\n    ")
    end = text.find(_CLOSING, found[0]) + len(_CLOSING)
    if begin < len(b"\n    ") or end < len(_CLOSING):
        return None
    try:
        kept = json.loads(text[begin:end])
    except (ValueError, RecursionError):
        return None
    is_it = isinstance(kept, dict) and kept.get("reference") == reference
    return (begin, end) if is_it else None


def _all_of(text: bytes, part: bytes) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)
