"""Checks of records from another store, which may contain anything.

A record that passes can be written to any engine, and shown, edited and undone like our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from runstore.errors import InvalidValueError
from runstore.model.artifacts import why_no_name
from runstore.model.logged.values import KEY_LIMIT_BYTES
from runstore.model.reference import check_experiment_name, is_on_one_line, is_reference
from runstore.model.results.events import DELETED
from runstore.model.tags import tag_key
from runstore.model.values import clean_text
from runstore.storage.edits import TAG, UNDONE_FIELDS
from runstore.storage.rows import (
    is_digest,
    is_int,
    is_optional_int,
    is_optional_text,
    is_optional_time,
    is_time,
    is_uid,
    mended_row,
    moment_of,
)
from runstore.storage.transfer.records import Edited, RunRecord, Summary

# Higher ones would leave an experiment without numbers for new runs.
HIGHEST_NUMBER = 2**60
_MEDIA_TYPE = re.compile(r"[\x21-\x7e]+(; ?[\x21-\x7e]+)*")
_LONG_NUMBER = re.compile("[0-9]{19}")
_LONGEST_NAME = 1_000
_LARGEST = 2**63 - 1


def problem_of(record: RunRecord) -> str | None:
    """Return the first reason not to take a record over, as a noun phrase; None if it is sound."""
    if problem := _problem_of_row(record):
        return problem
    return next((what for what, is_sound in _CHECKS.items() if not is_sound(record)), None)


def _problem_of_row(record: RunRecord) -> str | None:
    row = record.row
    mended = mended_row(row)
    damaged = [name for name, cell in mended._asdict().items() if cell != getattr(row, name)]
    if damaged:
        return f"an invalid value of {damaged[0]}"
    if not _are_storable(cell for cell in row if isinstance(cell, str)):
        return "an invalid text"
    problems = {
        "an invalid uid": not is_uid(row.uid),
        "an invalid experiment name": not is_experiment(row.experiment),
        "an invalid reference": not (
            _is_name(row.reference) and is_reference(row.reference, row.experiment)
        ),
        "an invalid parent": not (row.parent_uid is None or is_uid(row.parent_uid)),
        "an invalid run number": not 0 <= row.run_number < HIGHEST_NUMBER,
    }
    return next((name for name, is_so in problems.items() if is_so), None)


def is_experiment(name: Any) -> bool:
    """Check whether a value can be the name of an experiment."""
    try:
        check_experiment_name(name)
    except InvalidValueError:
        return False
    return True


def _has_sound_sets(record: RunRecord) -> bool:
    texts = (text for one in record.sets for text in one if text is not None)
    return record.has_sound_sets and _are_storable(texts)


def _has_sound_tags(record: RunRecord) -> bool:
    return all(map(_is_tag, record.tags)) and _are_storable(record.tags.values())


def _is_tag(key: Any) -> bool:
    try:
        tag_key(key)
    except InvalidValueError:
        return False
    return _are_storable([key])


def _has_sound_documents(record: RunRecord) -> bool:
    return all(
        _is_name(name) and is_on_one_line(name) and is_digest(digest)
        for name, digest in record.documents.items()
    )


def _has_sound_events(record: RunRecord) -> bool:
    return all(map(_is_event, record.events))


def _is_event(event: Edited) -> bool:
    texts = [one for one in event if not isinstance(one, int)]
    if not (
        is_time(event.at)
        and all(map(is_optional_text, texts))
        and _are_storable(one for one in texts if one is not None)
        and None not in {event.author, event.field}
        and (event.undoes is None or event.operation is not None)
    ):
        return False
    if event.field == DELETED:
        return all(one is None or _is_moment(one) for one in (event.old, event.new))
    if event.field.startswith(TAG):
        return _is_tag(event.field.removeprefix(TAG))
    if event.field == "reference":  # undoing the event reads a number from it
        return all(_LONG_NUMBER.search(one or "") is None for one in (event.old, event.new))
    return event.operation is None or event.field in UNDONE_FIELDS


def _is_moment(text: str) -> bool:
    try:
        return is_time(moment_of(text))
    except (ValueError, OverflowError):
        return False


def _has_sound_aliases(record: RunRecord) -> bool:
    return all(
        _is_name(reference)
        and is_on_one_line(reference)
        and (experiment is None or is_experiment(experiment))
        and is_optional_int(number)
        and 0 <= (number or 0) < HIGHEST_NUMBER
        for reference, (experiment, number) in record.aliases.items()
    )


def _has_sound_artifacts(record: RunRecord) -> bool:
    return all(
        why_no_name(path) is None
        and _are_contents(saved.digest, saved.size_bytes)
        and isinstance(saved.media_type, str)
        and _MEDIA_TYPE.fullmatch(saved.media_type) is not None
        and is_time(saved.saved_at)
        for path, saved in record.artifacts.items()
    )


def _has_sound_inputs(record: RunRecord) -> bool:
    return all(
        _are_storable([name])
        and _are_storable(
            one for one in (used.digest, used.location, used.source_uid) if one is not None
        )
        and is_optional_int(used.size_bytes)
        and is_optional_time(used.modified_at)
        and is_time(used.used_at)
        for name, used in record.inputs.items()
    )


def _has_sound_outputs(record: RunRecord) -> bool:
    return all(
        _is_part(part) and _are_contents(*printed) for part, printed in record.outputs.items()
    )


def _has_sound_series(record: RunRecord) -> bool:
    return all(
        is_int(index)
        and -1 <= index < max(1, len(record.sets))
        and isinstance(key, str)
        and 0 < len(key.encode("utf-8", "surrogatepass")) <= KEY_LIMIT_BYTES
        and _are_storable([key])
        and _is_summary(summary)
        for (index, key), summary in record.series.items()
    )


def _is_summary(summary: Summary) -> bool:
    values = summary[2:7]
    return (
        is_int(summary.points)
        and is_int(summary.nan_count)
        and 0 <= summary.nan_count <= summary.points
        and summary.points > 0
        and all(one is None or type(one) in {int, float} for one in values)
        and is_int(summary.last_step)
        and is_time(summary.last_at)
    )


def _are_contents(digest: Any, size_bytes: Any) -> bool:
    return is_digest(digest) and is_int(size_bytes) and 0 <= size_bytes <= _LARGEST


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and _are_storable([name])


def _is_part(name: Any) -> bool:
    """Check whether a value can be the name of a file of printed lines."""
    return _is_name(name) and "/" not in name and why_no_name(name) is None


def _are_storable(texts: Any) -> bool:
    return all(isinstance(one, str) and clean_text(one) == one for one in texts)


_CHECKS: dict[str, Callable[[RunRecord], bool]] = {
    "invalid parameters": _has_sound_sets,
    "an invalid tag": _has_sound_tags,
    "an invalid captured text": _has_sound_documents,
    "an invalid edit": _has_sound_events,
    "an invalid former name": _has_sound_aliases,
    "an invalid artifact": _has_sound_artifacts,
    "an invalid input": _has_sound_inputs,
    "an invalid output": _has_sound_outputs,
    "an invalid metric": _has_sound_series,
}
