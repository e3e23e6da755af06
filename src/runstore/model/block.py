"""The metadata block: a run as a JSON object with the keys of `store.json`, in its dialects.

A block written by another tool is kept, key for key. Newer values of the row are applied to it
only if their meaning differs, so that reading and writing a file leaves it unchanged.

Source: the documentation page of `curifactory.store.ManagerStore`, and stores written by
Curifactory 0.5 to 0.20.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import chain, starmap
from operator import attrgetter
from typing import Any
from uuid import UUID

from runstore.model.params.parameter_set import ParameterSet
from runstore.model.reference import TIMESTAMP_FORMAT, build_reference, parse_reference
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.value_classes import dataclass

# A metadata block: a run as a JSON object for `store.json` and `ManagerStore`.
Block = dict[str, Any]

INCOMPLETE = "incomplete"
WORD_OF_STATUS = {
    Status.QUEUED: INCOMPLETE,
    Status.RUNNING: INCOMPLETE,
    Status.INTERRUPTED: INCOMPLETE,
    Status.LOST: INCOMPLETE,
    Status.PRUNED: INCOMPLETE,
    Status.LIVE: "LIVE",
    Status.COMPLETE: "complete",
    Status.ERROR: "error",
}
# Words in files, in lower case. Any other word does not imply an end.
STATUS_OF_WORD = {
    INCOMPLETE: Status.RUNNING,
    "live": Status.LIVE,
    "complete": Status.COMPLETE,
    "error": Status.ERROR,
    "pruned": Status.PRUNED,
    "queued": Status.QUEUED,
    "running": Status.RUNNING,
    "interrupted": Status.INTERRUPTED,
    "lost": Status.LOST,
}
_TEXTS = (
    *("reference", "experiment_name", "timestamp", "commit"),
    *("cli", "hostname", "notes", "error", "reproduce"),
)
NO_REPOSITORY = "No git repository found"

_LARGEST_NUMBER = 2**63 - 1
HEX_DIGITS = frozenset("0123456789abcdef")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - texts without a zone are compared with it
_IDENTITY = attrgetter("name", "hash")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The names of keys that differ between tools."""

    files_key: str
    sets_key: str
    has_dirty_flag: bool


PAGE = Dialect("params_files", "args", has_dirty_flag=False)
MIDDLE = Dialect("params_files", "args", has_dirty_flag=True)
RECENT = Dialect("param_files", "params", has_dirty_flag=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFields:
    """The facts in a block; None if a fact is missing or has the wrong type."""

    reference: str | None
    experiment_name: str | None
    run_number: int | None
    timestamp: str | None
    status: Status
    commit: str | None
    workdir_dirty: bool | None
    parameter_sets: tuple[ParameterSet, ...]
    full_store: bool
    cli: str | None
    hostname: str | None
    notes: str | None
    error: str | None
    reproduce: str | None


def status_of_word(word: object) -> Status:
    """Return the status for a word in a block."""
    if not isinstance(word, str):
        return Status.RUNNING
    return STATUS_OF_WORD.get(word.strip().lower(), Status.RUNNING)


def fields_from_block(block: Mapping[str, Any]) -> BlockFields:
    """Parse a block of any dialect; any key may be missing, null or of the wrong type."""
    texts: dict[str, str | None] = {}
    for key in _TEXTS:
        text = block.get(key)
        # Most texts need no cleaning, and this runs for each run of a list.
        is_clean = type(text) is str and text.isascii() and "\0" not in text
        texts[key] = text if is_clean or text is None else _text(text)
    reference, experiment_name = texts["reference"], texts["experiment_name"]
    run_number, timestamp = _number(block.get("run_number")), texts["timestamp"]
    parsed = parse_reference(reference) if reference else None
    if parsed:
        experiment_name = experiment_name or parsed[0]
        run_number = parsed[1] if run_number is None else run_number
        timestamp = timestamp or parsed[2]
    elif not reference and experiment_name and run_number is not None and timestamp:
        reference = build_reference(experiment_name, run_number, timestamp)
    dirty = block.get("workdir_dirty")
    commit = texts["commit"]
    return BlockFields(
        reference=reference or None,
        experiment_name=experiment_name or None,
        run_number=run_number,
        timestamp=timestamp or None,
        status=status_of_word(block.get("status")),
        commit=commit if commit and set(commit.lower()) <= HEX_DIGITS else None,
        workdir_dirty=dirty if isinstance(dirty, bool) else None,
        parameter_sets=_parameter_sets(block.get("params"), block.get("args")),
        full_store=block.get("full_store") is True,
        cli=texts["cli"],
        hostname=texts["hostname"],
        notes=texts["notes"],
        error=texts["error"],
        reproduce=texts["reproduce"],
    )


def block_from_run(run: Run) -> Block:
    """Return a run as a block.

    A run that has a block keeps it: keys, order, dialect and unknown keys; values change only if
    the row differs in meaning. Other runs get the keys of the page, in its order.
    """
    kept = decode_block(run.block) if run.block is not None else None
    return _new_block(run) if kept is None else _overlaid(kept, run)


def decode_block(text: str) -> Block | None:
    """Parse a block from JSON; return None if it is not an object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def encode_block(block: Mapping[str, Any]) -> str:
    """Return the text of a block in a store file: indented by four spaces, ASCII, one level deep.

    The text begins at its bracket, without the four spaces before it.

    Raises:
        TypeError, ValueError: The block is not valid JSON.
    """
    return json.dumps([block], indent=4)[6:-2]


def _new_block(run: Run) -> Block:
    files, sets = sets_of_files(run.experiment_name, run.parameter_sets)
    block: Block = {
        "reference": run.reference,
        "experiment_name": run.experiment_name,
        "run_number": run.run_number,
        "timestamp": run.timestamp,
        "commit": run.commit or "",
        PAGE.files_key: files,
        PAGE.sets_key: sets,
        "full_store": run.full_store,
        "status": WORD_OF_STATUS[run.status],
        "cli": run.cli or "",
        "hostname": run.hostname or "",
        "notes": run.notes or "",
    }
    if run.error is not None:
        block["error"] = run.error
    if run.reproduce is not None:
        block["reproduce"] = run.reproduce
    return block


def sets_of_files(
    experiment_name: str, parameter_sets: Iterable[ParameterSet]
) -> tuple[list[str], dict[str, list[list[str]]]]:
    """Return the parameter files of a run, and the name and hash of each set by its file.

    Sets without a file are listed under the experiment's name: a block has no other place for
    them, and Curifactory also names an experiment's parameters after it.
    """
    sets: dict[str, list[list[str]]] = {}
    for one in parameter_sets:
        file = one.file if one.file is not None else experiment_name
        sets.setdefault(file, []).append([one.name, one.hash])
    return list(sets), sets


def _overlaid(block: Block, run: Run) -> Block:
    """Apply newer values of the row; a value with the same meaning stays verbatim."""
    said = fields_from_block(block)
    # A session has no defined end, so that it stays LIVE even if its process has ended.
    is_over_live = said.status is Status.LIVE and run.status is Status.LOST
    # Several statuses share a word; only a final word identifies a status.
    is_other_end = said.status.is_final and said.status is not run.status
    is_other_word = WORD_OF_STATUS[said.status] != WORD_OF_STATUS[run.status]
    if (is_other_end or is_other_word) and not is_over_live:
        block["status"] = WORD_OF_STATUS[run.status]
    for key, before, now in (
        ("reference", said.reference, run.reference),
        ("experiment_name", said.experiment_name, run.experiment_name),
        ("run_number", said.run_number, run.run_number),
        ("timestamp", said.timestamp, run.timestamp),
    ):
        # If a block lacks a fact, that of the row was made up, and is not added to the block.
        if before is not None and before != now:
            block[key] = now
    texts: tuple[tuple[str, str | None, str | None], ...] = (
        ("commit", said.commit, run.commit),
        ("notes", said.notes, run.notes),
        ("error", said.error, run.error),
        ("reproduce", said.reproduce, run.reproduce),
    )
    for key, old, new in texts:
        if not is_same_text(old, new):
            block[key] = new
    if said.full_store != run.full_store:
        block["full_store"] = run.full_store
    if list(map(_IDENTITY, said.parameter_sets)) != list(map(_IDENTITY, run.parameter_sets)):
        dialect = RECENT if "params" in block else PAGE
        files, sets = sets_of_files(run.experiment_name, run.parameter_sets)
        block[dialect.files_key], block[dialect.sets_key] = files, sets
    return block


def is_same_text(one: str | None, other: str | None) -> bool:
    """Check whether texts mean the same in a block, which may have an empty one for none."""
    return (one or None) == (other or None)


def _parameter_sets(*mappings: object) -> tuple[ParameterSet, ...]:
    """Parse the first non-empty mapping from file to (name, hash) pairs."""
    for mapping in mappings:
        if isinstance(mapping, Mapping) and mapping:
            return tuple(chain.from_iterable(starmap(_pairs, mapping.items())))
    return ()


def _pairs(file: object, pairs: object) -> list[ParameterSet]:
    if not isinstance(pairs, (list, tuple)):
        return []
    name = _text(file) or str(file)
    found = []
    for pair in pairs:
        if isinstance(pair, (list, tuple)) and pair:
            digest = _text(pair[1]) if len(pair) > 1 else None
            found.append(ParameterSet(_text(pair[0]) or str(pair[0]), digest or "", None, name))
    return found


def lasting_uid(block: Mapping[str, Any]) -> str:
    """Return a uid derived from a block's contents, so that importing it twice gives the same uid.

    It has the form of a UUIDv7 with the block's time, interpreted as UTC because the text has no
    zone.
    """
    named = [block.get(key) for key in ("reference", "timestamp", "hostname", "cli")]
    digest = hashlib.sha256(json.dumps(named).encode()).digest()
    try:
        began = datetime.strptime(str(block.get("timestamp")), TIMESTAMP_FORMAT)  # noqa: DTZ007 - as above
    except ValueError:
        began = _EPOCH
    ms = max(0, (began - _EPOCH) // timedelta(milliseconds=1))
    raw = bytearray(ms.to_bytes(6, "big") + digest[:10])
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(raw)))


def with_values(
    sets: tuple[ParameterSet, ...], trees: Mapping[str, str]
) -> tuple[ParameterSet, ...]:
    """Fill in the values of sets if a tree is known for the hash."""
    return tuple(
        one._replace(tree=trees[one.hash]) if one.tree is None and one.hash in trees else one
        for one in sets
    )


def _text(value: object) -> str | None:
    """Clean a text for the database: JSON may contain lone surrogates and NULs."""
    if not isinstance(value, str):
        return None
    if value.isascii() and "\0" not in value:
        return value
    return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _number(value: object) -> int | None:
    """Return a run number; 3.0 is valid, True and 10^30 are not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    whole = int(value) if value == value and abs(value) <= _LARGEST_NUMBER else -1  # noqa: PLR0124 - NaN
    return whole if whole >= 0 and whole == value and whole <= _LARGEST_NUMBER else None
