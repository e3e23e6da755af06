"""Two records of one run become one, the same whatever the order and the number of exchanges.

Each part of a record has its own rule. Edits are a set of events in order of time: notes, tags,
the name and the trash follow from the last event about each. Points, parameters and files are
joined. What a program recorded only once, such as its end, is that of the later version; versions
are totally ordered. If a run was continued in both stores, the other end becomes an event, and the
earlier one of two files of one name gets an ending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from runstore.model.reference import without_ending
from runstore.model.results.events import DELETED
from runstore.model.status import REPORTED, Status
from runstore.storage.edits import TAG
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.rows import moment_of
from runstore.storage.statements import RunRow
from runstore.storage.transfer.branches import Branch, branches, identity
from runstore.storage.transfer.joined_params import MASK, joined_sets, masked_first
from runstore.storage.transfer.records import Edited, RunRecord, SavedFile, Summary

T = TypeVar("T")
Join = Callable[[Branch, Branch, KeyOf], Summary | None]
# The event of an end that a later one replaced, and that no program reported there.
OTHER_END = "other end"
# Of the row of a run: what its program and its end wrote.
RECORDED = (
    "timestamp", "status", "started_at", "ended_at", "last_seen_at", "parent_uid", "error",
    "traceback", "exit_code", "commit_hash", "workdir_dirty", "cli", "full_store", "reproduce",
    "hostname", "boot_id", "pid", "process_started", "facts", "block",
)  # fmt: skip
PLACE = ("experiment", "run_number", "reference")
_DIGITS_OF_DIGEST = 8


def merged(mine: RunRecord, theirs: RunRecord, join: Join) -> RunRecord:
    """Return my record of a run with all that another store knows about it; itself if unchanged.

    Both are sound; `join` joins a series that they have different points of.
    """
    if mine == theirs._replace(row=theirs.row._replace(id=mine.row.id)):
        return mine
    here, there = branches(mine, theirs)
    last, first = sorted((here, there), key=lambda one: _version(one.record), reverse=True)
    newer, older = last.record, first.record
    events = _events(mine, theirs, _other_end(last, first))
    last_notes = _last(events, "notes")
    placed = _with_last(mine, theirs, "reference")
    documents = {**older.documents, **newer.documents}
    row = mine.row._replace(
        **{name: getattr(newer.row, name) for name in RECORDED},
        **{name: getattr(placed.row, name) for name in PLACE},
        notes=newer.row.notes if last_notes is None else last_notes.new,
        deleted_at=_deleted_at(events, newer),
    )
    record = mine._replace(
        row=row,
        sets=joined_sets(mine, theirs),
        tags=_tags(events, {**older.tags, **newer.tags}),
        documents=documents,
        events=events,
        aliases=_aliases(mine, theirs, row.reference),
        artifacts=_apart(_artifacts(here, there)),
        inputs=_joined(mine.inputs, theirs.inputs, lambda one: (one.used_at, masked_first(one))),
        # Each process prints to a file of its own, which only scrubbing changes: the other store
        # may have the secret.
        outputs={**theirs.outputs, **mine.outputs},
        series=_series(here, there, join),
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
        max((one.at for one in record.events if one.field == "status"), default=0),
        status in REPORTED,
        status.is_final,
        row.ended_at or 0,
        row.last_seen_at or 0,
        (recorded + others).count(MASK),
        len(row.facts or ""),
        recorded,
        others,
    )


# Edits


def order(event: Edited) -> tuple[Any, ...]:
    """Return the sort key of an event, the same in every store."""
    return (event.at, *(one or "" for one in (event.operation, *event[1:5], event.undoes)))


def _events(
    mine: RunRecord, theirs: RunRecord, other_end: tuple[Edited, ...]
) -> tuple[Edited, ...]:
    known = {identity(one): one for one in mine.events}
    added = (*theirs.events, *other_end)
    new = [one for one in added if one != known.get(identity(one))]
    if not new:
        return mine.events
    for one in new:
        known[identity(one)] = max(known.get(identity(one), one), one, key=masked_first)
    return tuple(sorted(known.values(), key=order))


def _other_end(last: Branch, first: Branch) -> tuple[Edited, ...]:
    """Return the event of the end that is replaced, if the run was continued in both stores."""
    row = first.record.row
    is_other = row.ended_at != last.record.row.ended_at
    if not (
        is_other and Status(row.status).is_final and first.was_continued and last.was_continued
    ):
        return ()
    at = row.ended_at or row.last_seen_at or row.started_at
    said = f"{row.status}: {row.error}" if row.error else row.status
    return (Edited(at, "runstore", OTHER_END, None, said, None, None),)


def _last(events: tuple[Edited, ...], field: str) -> Edited | None:
    return next((one for one in reversed(events) if one.field == field), None)


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
    uid = mine.row.uid
    return {one: place for one, place in found.items() if without_ending(one, uid) != reference}


# Data


def _joined(mine: Mapping[str, T], theirs: Mapping[str, T], version: Any) -> dict[str, T]:
    joined = dict(mine)
    for name, one in theirs.items():
        joined[name] = max(joined.get(name, one), one, key=version)
    return joined


def _artifacts(mine: Branch, theirs: Branch) -> dict[str, SavedFile]:
    """Return the files of both: of two with one name, that which was saved last.

    If both were saved after the copies parted, the other one is kept with an ending. Of two files
    that were saved at one time, one was scrubbed: mine is kept.
    """
    joined = dict(mine.record.artifacts)
    for path, one in theirs.record.artifacts.items():
        known = joined.setdefault(path, one)
        last, first = (one, known) if one.saved_at > known.saved_at else (known, one)
        joined[path] = last
        is_lost = mine.saved(path, known.saved_at) and theirs.saved(path, one.saved_at)
        if is_lost and first.digest != last.digest and first.saved_at != last.saved_at:
            joined[_with_digits(path, first)] = first
    return joined


def _with_digits(path: str, saved: SavedFile) -> str:
    return f"{path}~{saved.digest[:_DIGITS_OF_DIGEST]}"


def _apart(artifacts: dict[str, SavedFile]) -> dict[str, SavedFile]:
    """Rename each file whose name is a folder of another file: both cannot be on one disk."""
    folders = {path[:at] for path in artifacts for at, one in enumerate(path) if one == "/"}
    return {
        _with_digits(path, saved) if path in folders else path: saved
        for path, saved in artifacts.items()
    }


def _series(mine: Branch, theirs: Branch, join: Join) -> dict[KeyOf, Summary]:
    known, others = mine.record.series, theirs.record.series
    joined: dict[KeyOf, Summary] = {}
    for key in (*known, *(others.keys() - known)):
        one, other = known.get(key), others.get(key)
        # Points that were logged anew may have the summary of the removed points.
        may_lose = (one and mine.removals) or (other and theirs.removals)
        is_known = not may_lose and (one == other or one is None or other is None)
        summary = (one or other) if is_known else join(mine, theirs, key)
        if summary is not None:
            joined[key] = summary
    return joined


def row_of(row: RunRow, names: tuple[str, ...]) -> dict[str, Any]:
    """Return cells of a row by name."""
    return {name: getattr(row, name) for name in names}
