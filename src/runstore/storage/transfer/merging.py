"""Two records of one run become one, the same whatever the order and the number of exchanges.

Each part of a record has its own rule. Edits are a set of events in order of time: notes, tags,
the name and the trash follow from the last event about each. Files are joined by name. What a
program recorded (its end, its parameters, each series) is that of the later version. All versions
are totally ordered, so that merging is commutative, associative and idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from runstore.model.params.parameter_set import ParameterSet
from runstore.model.results.events import DELETED
from runstore.model.status import REPORTED, Status
from runstore.storage.edits import TAG
from runstore.storage.late_params import FIELD as PARAMS
from runstore.storage.metrics.point_files import KeyOf
from runstore.storage.rows import moment_of
from runstore.storage.statements import RunRow
from runstore.storage.transfer.records import Edited, RunRecord, SavedFile, Summary

T = TypeVar("T")
# Of the row of a run: what its program and its end wrote.
RECORDED = (
    "timestamp", "status", "started_at", "ended_at", "last_seen_at", "parent_uid", "error",
    "traceback", "exit_code", "commit_hash", "workdir_dirty", "cli", "full_store", "reproduce",
    "hostname", "boot_id", "pid", "process_started", "facts", "block",
)  # fmt: skip
PLACE = ("experiment", "run_number", "reference")
_DIGITS_OF_DIGEST = 8
_MASK = "***"  # in place of a secret


def merged(mine: RunRecord, theirs: RunRecord) -> RunRecord:
    """Return my record of a run with all that another store knows about it.

    Both are sound. If nothing is new, the result equals `mine`.
    """
    if mine == theirs._replace(row=theirs.row._replace(id=mine.row.id)):
        return mine
    newer, older = sorted((mine, theirs), key=_version, reverse=True)
    events = _events(mine, theirs)
    placed = _with_last(mine, theirs, "reference")
    documents = {**older.documents, **newer.documents}
    row = mine.row._replace(
        **{name: getattr(newer.row, name) for name in RECORDED},
        **{name: getattr(placed.row, name) for name in PLACE},
        notes=_last_new(events, "notes", newer.row.notes),
        deleted_at=_deleted_at(events, newer),
    )
    record = mine._replace(
        row=row,
        sets=_sets(mine, theirs),
        tags=_tags(events, {**older.tags, **newer.tags}),
        documents=documents,
        events=events,
        aliases=_aliases(mine, theirs, row.reference),
        artifacts=_apart(_joined(mine.artifacts, theirs.artifacts, _saved_last)),
        inputs=_joined(mine.inputs, theirs.inputs, lambda one: (one.used_at, _masked_first(one))),
        # Only scrubbing changes printed output: the other store may have the secret.
        outputs={**theirs.outputs, **mine.outputs},
        series=_series(mine, theirs),
    )
    return mine if record == mine else record


def _version(record: RunRecord) -> tuple[Any, ...]:
    """Return the sort key of what a program recorded.

    A continuation of the run, which is an event, counts more than earlier data; then a reported
    end more than a presumed one, and that more than none; then a later end. If two versions
    differ only in secrets that `runstore scrub` removed, the masked version counts more.
    """
    row = record.row
    status = Status(row.status)
    recorded = repr([getattr(row, name) for name in RECORDED])
    # Notes and tags that no event changed.
    others = repr((row.notes, sorted(record.tags.items()), sorted(record.documents.items())))
    return (
        _at_of_last(record, "status"),
        status in REPORTED,
        status.is_final,
        row.ended_at or 0,
        row.last_seen_at or 0,
        (recorded + others).count(_MASK),
        len(row.facts or ""),
        recorded,
        others,
    )


# Edits


def order(event: Edited) -> tuple[Any, ...]:
    """Return the sort key of an event, the same in every store."""
    return (event.at, *(one or "" for one in (event.operation, *event[1:5], event.undoes)))


def _events(mine: RunRecord, theirs: RunRecord) -> tuple[Edited, ...]:
    known = {_identity(one): one for one in mine.events}
    new = [one for one in theirs.events if one != known.get(_identity(one))]
    if not new:
        return mine.events
    for one in new:
        known[_identity(one)] = max(known.get(_identity(one), one), one, key=_masked_first)
    return tuple(sorted(known.values(), key=order))


def _identity(event: Edited) -> tuple[Any, ...]:
    """Return what stays the same of an event if a secret in its texts is masked."""
    return event.at, event.field, event.operation, event.undoes


def _masked_first(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a sort key by which masked values are later than others."""
    shown = repr(value)
    return shown.count(_MASK), shown


def _at_of_last(record: RunRecord, field: str) -> int:
    return max((one.at for one in record.events if one.field == field), default=0)


def _last(events: tuple[Edited, ...], field: str) -> Edited | None:
    return next((one for one in reversed(events) if one.field == field), None)


def _last_new(events: tuple[Edited, ...], field: str, otherwise: str | None) -> str | None:
    last = _last(events, field)
    return otherwise if last is None else last.new


def _with_last(mine: RunRecord, theirs: RunRecord, field: str) -> RunRecord:
    """Return the record with the last event about a field."""
    here, there = _last(mine.events, field), _last(theirs.events, field)
    if here == there:
        return max((mine, theirs), key=lambda one: repr(row_of(one.row, PLACE)))
    return theirs if here is None or (there is not None and order(there) > order(here)) else mine


def _deleted_at(events: tuple[Edited, ...], newer: RunRecord) -> int | None:
    last = _last(events, DELETED)
    if last is None:
        return newer.row.deleted_at
    return None if last.new is None else moment_of(last.new)


def _tags(events: tuple[Edited, ...], tags: Mapping[str, str]) -> dict[str, str]:
    now: dict[str, str | None] = dict(tags)
    for event in events:
        if event.field.startswith(TAG):
            now[event.field.removeprefix(TAG)] = event.new
    return {key: value for key, value in now.items() if value is not None}


def _aliases(
    mine: RunRecord, theirs: RunRecord, reference: str
) -> dict[str, tuple[str | None, int | None]]:
    """Return the former references; a place that only one store knows is kept."""
    found = _joined(mine.aliases, theirs.aliases, lambda place: (place[0] or "", place[1] or 0))
    for one in (mine, theirs):
        found.setdefault(one.row.reference, (one.row.experiment, one.row.run_number))
    found.pop(reference)
    return found


# Data


def _sets(mine: RunRecord, theirs: RunRecord) -> tuple[ParameterSet, ...]:
    def version(record: RunRecord) -> tuple[Any, ...]:
        known = sum(one.tree is not None for one in record.sets)
        return _at_of_last(record, PARAMS), known, _masked_first(record.sets)

    return max((mine, theirs), key=version).sets


def _joined(mine: Mapping[str, T], theirs: Mapping[str, T], version: Any) -> dict[str, T]:
    joined = dict(mine)
    for name, one in theirs.items():
        joined[name] = max(joined.get(name, one), one, key=version)
    return joined


def _saved_last(saved: SavedFile) -> int:
    # Of two files that were saved at one time, one was scrubbed: mine is kept.
    return saved.saved_at


def _apart(artifacts: dict[str, SavedFile]) -> dict[str, SavedFile]:
    """Rename each file whose name is a folder of another file: both cannot be on one disk."""
    folders = {path[:at] for path in artifacts for at, one in enumerate(path) if one == "/"}
    return {
        f"{path}~{saved.digest[:_DIGITS_OF_DIGEST]}" if path in folders else path: saved
        for path, saved in artifacts.items()
    }


def _series(mine: RunRecord, theirs: RunRecord) -> dict[KeyOf, Summary]:
    joined = dict(mine.series)
    for key, one in theirs.series.items():
        known = joined.get(key)
        if known is None:
            if one.last_at > _removed_at(mine, theirs):
                joined[key] = one
        else:
            joined[key] = max(known, one, key=_logged_last)
    removed_at = _removed_at(theirs, mine)
    return {
        key: one for key, one in joined.items() if key in theirs.series or one.last_at > removed_at
    }


def _logged_last(one: Summary) -> tuple[Any, ...]:
    return one.last_at, one.points, repr(one)


def _removed_at(record: RunRecord, other: RunRecord) -> int:
    """Return the time of the last removal of points that only this record knows; 0 without."""
    unknown = {one for one in record.events if one.field == "metrics" and one.new == "removed"}
    return max((one.at for one in unknown - set(other.events)), default=-(2**63))


def row_of(row: RunRow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return cells of a row by name."""
    return {name: getattr(row, name) for name in names}
