"""Parsing of a block list, intact or damaged."""

from __future__ import annotations

import json
import re
from json import JSONDecoder
from typing import Any

from runstore.model.block import Block, status_of_word
from runstore.value_classes import dataclass, field

_STRICT = JSONDecoder()
_LENIENT = JSONDecoder(strict=False)  # accepts control characters within strings
_NAMING_KEYS = ("reference", "experiment_name")
# Possible beginnings of a block: an object in the column used by Curifactory and us, or before the
# key that every known version writes first.
_BORDER = re.compile(r'(?<=\n    )\{(?=\s*\n)|\{(?=\s*"(?:reference|experiment_name)"\s*:)')
_BORDERS_WITHIN = 4
_AFTER_KEY = re.compile(r"\s*:\s*")
_BETWEEN = re.compile(r"[\s,]*")
# Source: git-merge, "How conflicts are presented"; the middle part is that of the diff3 style.
_CONFLICT = re.compile(
    r"^<{7}[^\n]*\n(?P<ours>.*?)(?:^\|{7}[^\n]*\n.*?)?^={7}\r?\n(?P<theirs>.*?)^>{7}[^\n]*(?:\n|\Z)",
    re.MULTILINE | re.DOTALL,
)
# Characters around blocks without meaning.
_PUNCTUATION = re.compile(r"[\s,\[\]\ufeff]*")


@dataclass(slots=True)
class Salvaged:
    """The blocks of a file.

    Attributes:
        blocks: The blocks, in the order of the file.
        problems: Descriptions of unreadable parts, a sentence each; empty for an intact file.
    """

    blocks: list[Block] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_blocks(text: str) -> Salvaged:
    """Parse a block list; from a damaged one, recover everything that can be understood.

    The keys of a partial block count if they name its run. A value that may be truncated is
    omitted, never guessed.
    """
    return _both_sides(text) if "<<<<<<<" in text and _CONFLICT.search(text) else _read(text)


def _read(text: str) -> Salvaged:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, list) and all(isinstance(one, dict) for one in whole):
        return Salvaged(blocks=whole)
    found = Salvaged()
    _scan(text, found)
    if whole is not None and not found.problems:
        found.problems.append("The file is not a list of objects.")
    if not found.problems:
        found.problems.append("The brackets around the list are not in order.")
    return found


def _both_sides(text: str) -> Salvaged:
    """Parse a file with unresolved git conflicts: every run of either side.

    If both sides have a run, the side with its end counts, otherwise the first.
    """
    found = _read(_CONFLICT.sub(r"\g<ours>", text))
    other = _read(_CONFLICT.sub(r"\g<theirs>", text))
    place = {str(one.get("reference", one)): at for at, one in enumerate(found.blocks)}
    for block in other.blocks:
        at = place.get(str(block.get("reference", block)))
        if at is None:
            found.blocks.append(block)
        elif not _tells_end(found.blocks[at]) and _tells_end(block):
            found.blocks[at] = block
    problems = [*found.problems, *(one for one in other.problems if one not in found.problems)]
    found.problems = ["The file has unresolved git conflicts; both sides were read.", *problems]
    return found


def _tells_end(block: Block) -> bool:
    return status_of_word(block.get("status")).is_final


def _scan(text: str, found: Salvaged) -> None:
    """Scan the text from object to object."""
    at = 0
    while True:
        begin = text.find("{", at)
        skipped = text[at:] if begin < 0 else text[at:begin]
        if not _PUNCTUATION.fullmatch(skipped):
            found.problems.append(f"{len(skipped)} characters at {at} are not part of any run.")
        if begin < 0:
            return
        decoded = _object_at(text, begin)
        if decoded is None:
            at = _take_part(text, begin, found)
            continue
        block, at = decoded
        if not _names_a_run(block):
            inside = _BORDER.search(text, begin + 1, at)
            if inside is not None:
                at = inside.start()
                found.problems.append(f"The object at {begin} is not a run, but contains runs.")
            else:
                found.problems.append(f"The object at {begin} does not name its run.")
            continue
        found.blocks.append(block)


def _object_at(text: str, begin: int) -> tuple[Block, int] | None:
    """Return the object that begins here, and its end; None if it is damaged.

    Only the text up to a border is decoded, because errors of the decoder cost time proportional
    to the preceding text. An object may contain a string that looks like a border.
    """
    border = begin
    for _ in range(_BORDERS_WITHIN):
        found = _BORDER.search(text, border + 1)
        border = found.start() if found else len(text)
        try:
            block, end = _STRICT.raw_decode(text[begin:border])
        except (ValueError, RecursionError):
            if found is None:
                return None
        else:
            return block, begin + end
    return None


def _take_part(text: str, begin: int, found: Salvaged) -> int:
    """Take the readable keys of a damaged block; return the position to continue at."""
    border = _BORDER.search(text, begin + 1)
    end = border.start() if border else len(text)
    block, lost = _readable_keys(text[begin:end], is_last=border is None)
    if _names_a_run(block):
        found.blocks.append(block)
        name = block.get("reference") or block.get("experiment_name")
        found.problems.append(
            f"Of the run {name!r} at {begin}, {len(block)} keys could be read;"
            f" {lost} characters could not."
        )
    else:
        found.problems.append(f"{end - begin} characters at {begin} do not name their run.")
    return end


def _readable_keys(text: str, *, is_last: bool) -> tuple[Block, int]:
    """Return the readable keys of an object, and the number of unreadable characters.

    After an unreadable value, parsing continues at the next line that begins with a key in the
    same column; deeper keys belong to the value.
    """
    block: Block = {}
    lost = 0
    at = 1
    while True:
        gap = _BETWEEN.match(text, at)
        at = gap.end() if gap else at
        if at >= len(text) or text[at] == "}":
            return block, lost
        pair = _pair(text, at, is_last=is_last)
        if pair is not None:
            key, block[key], at = pair[0], pair[1], pair[2]
            continue
        column = re.search(r"\n[ \t]*$", text[:at])
        onward = re.compile(column[0] + r'(?="[^"\n]+"\s*:)').search(text, at) if column else None
        lost += (onward.end() if onward else len(text)) - at
        if onward is None:
            return block, lost
        at = onward.end()


def _pair(text: str, at: int, *, is_last: bool) -> tuple[str, Any, int] | None:
    """Return the key and value that begin here, and their end."""
    try:
        key, end = _STRICT.raw_decode(text, at)
        colon = _AFTER_KEY.match(text, end)
        if not isinstance(key, str) or colon is None:
            return None
        value, end = _value(text, colon.end(), is_name=key in _NAMING_KEYS)
    except (ValueError, RecursionError):
        return None
    # A number at the very end of a truncated file may be incomplete.
    if is_last and end >= len(text) and isinstance(value, (int, float)):
        return None
    return key, value, end


def _value(text: str, begin: int, *, is_name: bool) -> tuple[Any, int]:
    try:
        return _STRICT.raw_decode(text, begin)
    except ValueError:
        if is_name:
            raise
        # A control character within a string is acceptable; a line break is not, because the
        # string would end in another line.
        value, end = _LENIENT.raw_decode(text, begin)
        if "\n" in text[begin:end]:
            raise
        return value, end


def _names_a_run(block: Block) -> bool:
    return any(isinstance(block.get(key), str) and block[key] for key in _NAMING_KEYS)
