"""Validation of spool records: the keys of each kind, and the values of each key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runstore.model.artifacts import why_no_name
from runstore.model.status import FINAL
from runstore.model.values import clean_text
from runstore.storage.files.safe_files import read_file
from runstore.storage.rows import is_digest, is_uid

_LARGEST_INTEGER = 2**63 - 1
_LAST_MICROS = 253_402_300_799_999_999  # the end of the year 9999
_PARTS = 4  # uid, time, kind, suffix

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and clean_text(value) == value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value <= _LARGEST_INTEGER


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and abs(value) <= _LAST_MICROS


def _is_end(value: Any) -> bool:
    return value in [status.value for status in FINAL]


def _is_exit_code(value: Any) -> bool:
    return isinstance(value, int) and abs(value) <= _LARGEST_INTEGER


def _is_preview(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_text, value))  # noqa: PLR2004 - media type and body


def _are_tags(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_text(key) and (one is None or _is_text(one)) for key, one in value.items()
    )


def _are_documents(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, (*value.keys(), *value.values())))


def _is_set(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == _SET.keys()
        and all(is_right(value[key]) for key, is_right in _SET.items())
    )


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


# As documented in docs/reference/spool.md.
# Parameters that a run gets after its start.
_PARAMS = {
    "name": _is_text,
    "hash": _is_text,
    "tree": _or_none(_is_text),
    "set_name": _or_none(_is_text),
    "author": _is_text,
}
_SET = {"file": _or_none(_is_text), "name": _is_text, "hash": _is_text, "tree": _or_none(_is_text)}
_KEYS: Mapping[str, Mapping[str, Check]] = {
    "end": {
        "status": _is_end,
        "ended_at": _is_time,
        "error": _or_none(_is_text),
        "traceback": _or_none(_is_text),
        "exit_code": _or_none(_is_exit_code),
    },
    "artifact": {
        "path": lambda value: why_no_name(value) is None,
        "digest": is_digest,
        "size_bytes": _is_number,
        "media_type": _is_text,
        "saved_at": _is_time,
        "objects": _or_none(lambda value: isinstance(value, str)),
        "preview": _or_none(_is_preview),
    },
    "input": {
        "name": _is_text,
        "digest": _or_none(_is_text),
        "size_bytes": _or_none(_is_number),
        "modified_at": _or_none(_is_time),
        "location": _or_none(_is_text),
        "source_uid": _or_none(_is_text),
        "used_at": _is_time,
    },
    "tags": {"changes": _are_tags, "author": _is_text},
    "notes": {"notes": _or_none(_is_text), "author": _is_text},
    "params": _PARAMS,
    "replaced": _PARAMS,
    "sets": {"sets": lambda value: isinstance(value, list) and all(map(_is_set, value))},
    "facts": {"facts": _or_none(_is_text), "documents": _are_documents},
}


def read_record(path: Path, *, at_most: int) -> Mapping[str, Any]:
    """Return the data of a record.

    Raises:
        ValueError: It is not a valid record.
        OSError: It cannot be read, or is not a regular file.
    """
    parts = path.name.split(".")
    keys = _KEYS.get(parts[2]) if len(parts) == _PARTS else None
    if keys is None or not is_uid(parts[0]):
        raise ValueError("its name is not that of a record")
    try:
        body = json.loads(read_file(path, at_most=at_most))
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(body, dict) or body.keys() != keys.keys():
        raise ValueError("it has other keys than a record")
    for key, is_right in keys.items():
        if not is_right(body[key]):
            raise ValueError(f"its {key!r} has an invalid value")
    return body
