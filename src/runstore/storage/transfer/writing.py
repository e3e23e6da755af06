"""Writing of merged records of runs."""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runstore.errors import StoreCorruptError
from runstore.model.params.parameter_set import lowest_hash
from runstore.model.reference import without_ending
from runstore.model.values import sha256
from runstore.storage import statements as sql
from runstore.storage.artifacts import (
    PREVIEW,
    PUT_ARTIFACT,
    PUT_INPUT,
    PUT_OUTPUT,
    PUT_PREVIEW,
)
from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.edits import REMOVE_TAG
from runstore.storage.indexes.facts import index_facts, release_facts
from runstore.storage.integrity.history import write_history
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.moves import MOVE_RUN, REMOVE_ALIAS, tell_apart
from runstore.storage.new_runs import RunCells
from runstore.storage.rows import facts_from_text, now_micros
from runstore.storage.transfer.joining import Joined, columns_of
from runstore.storage.transfer.merging import PLACE, RECORDED, row_of
from runstore.storage.transfer.points import PointRows, SeriesCopy, drop_series, write_points
from runstore.storage.transfer.records import RunRecord
from runstore.storage.trash import forget_last_edits, set_deleted

CHANGE_RECORD = f"""
    UPDATE runs SET {", ".join(f"{name} = :{name}" for name in RECORDED)}, notes = :notes,
        params_hash = :params_hash, facts_filed = NULL, changed = {sql.NEXT_CHANGE}
    WHERE id = :id
"""
COMPLETE_RUN = f"""
    UPDATE runs SET {", ".join(f"{name} = :{name}" for name in RunCells._fields)},
        deleted_at = NULL, purged_at = NULL, changed = {sql.NEXT_CHANGE}
    WHERE id = :id
"""
_UNFINISHED = """
    DELETE FROM {table} WHERE run_id = :id AND NOT EXISTS (
        SELECT 1 FROM metric_summaries s WHERE s.run_id = {table}.run_id
            AND s.set_index = {table}.set_index AND s.key_id = {table}.key_id
    )
"""
REMOVE_UNFINISHED_CHUNKS = _UNFINISHED.format(table="metric_chunks")
REMOVE_UNFINISHED_LEVELS = _UNFINISHED.format(table="metric_levels")
PUT_ALIAS = """
    INSERT INTO reference_aliases (reference, run_id, experiment_id, run_number)
    VALUES (:reference, :run_id, (SELECT id FROM experiments WHERE name = :experiment), :number)
    ON CONFLICT (reference, run_id) DO UPDATE
        SET experiment_id = excluded.experiment_id, run_number = excluded.run_number
"""
RAISE_COUNTER = """
    UPDATE experiments SET last_run_number = :number
    WHERE name = :name AND last_run_number < :number
"""
SHARING_PLACE = """
    SELECT r.id, r.uid, r.duplicate FROM runs r
    WHERE r.experiment_id = :experiment_id AND r.run_number = :run_number ORDER BY r.uid
"""
SET_DUPLICATE = "UPDATE runs SET duplicate = :duplicate WHERE id = :id"
DOCUMENT = "SELECT body FROM documents WHERE hash = :hash"
REMOVE_ALIASES = "DELETE FROM reference_aliases WHERE run_id = :id"
REMOVE_ARTIFACT = "DELETE FROM artifacts WHERE run_id = :run_id AND path = :path"


class Writer:
    """Writes runs of another store, from one snapshot, within a transaction of each."""

    def __init__(self, database: Database, source: Connection, target: Connection) -> None:
        self._database = database
        self._source = source
        self._target = target
        self._rows = PointRows(target)

    def raise_counter(self, experiment_name: str, number: int) -> None:
        """Let new runs of an experiment begin after a number."""
        self._target.execute(RAISE_COUNTER, {"name": experiment_name, "number": number})

    def add(self, record: RunRecord, staged: RunRecord | None = None) -> None:
        """Write a run that is not in this store, except for long series that were written before.

        Raises:
            StoreCorruptError: A part of it is damaged in the other store.
        """
        row = record.row
        place = {"experiment_id": self._experiment(row), "run_number": row.run_number}
        found = self._target.execute(SHARING_PLACE, place).fetchall()
        others = [one for one in found if one[1] != row.uid]
        cells = {name: getattr(row, name) for name in RunCells._fields if hasattr(row, name)}
        duplicate = max((one[2] for one in others), default=-1) + 1
        hashed = lowest_hash(record.sets)
        cells = {**cells, **place, "params_hash": hashed, "duplicate": duplicate}
        if staged is None:
            run_id = self._database.insert_row(self._target, RunCells(**cells), record.sets)
        else:
            run_id = staged.row.id
            self._target.execute(COMPLETE_RUN, {**cells, "id": run_id})
            for statement in (REMOVE_UNFINISHED_CHUNKS, REMOVE_UNFINISHED_LEVELS):
                self._target.execute(statement, {"id": run_id})
            self._database.insert_sets(self._target, run_id, record.sets)
        if others:
            self._order_duplicates(place)
        self._index_facts(run_id, row)
        if row.deleted_at is not None:
            set_deleted(self._target, run_id, row.deleted_at)
        series = {} if staged is None else staged.series
        before = RunRecord(row._replace(id=run_id), None, series=series)
        self._write_parts(before, record._replace(row=before.row), record, {})
        for name in names_of(record):
            tell_apart(self._target, name, added_id=run_id)

    def restore(self, removed: RunRecord, record: RunRecord) -> None:
        """Write a run that was permanently removed from this store.

        Raises:
            StoreCorruptError: A part of it is damaged in the other store.
        """
        row = removed.row
        self._target.execute(REMOVE_ALIASES, {"id": row.id})
        self._target.execute(sql.REMOVE_RUN, {"id": row.id})
        forget_last_edits(self._target, row.uid, row.reference)
        place = {"experiment_id": self._experiment(row), "run_number": row.run_number}
        self._order_duplicates(place)
        self.add(record)
        # After that, so that other runs do not get another name in between.
        for name in names_of(removed) - names_of(record):
            tell_apart(self._target, name)

    def change(
        self,
        mine: RunRecord,
        record: RunRecord,
        theirs: RunRecord,
        joined: Mapping[KeyOf, Joined | None],
    ) -> None:
        """Write the merged record of a run, with the series that were joined.

        Raises:
            StoreCorruptError: A part of it is damaged in the other store.
        """
        before, row = mine.row, record.row
        if row_of(before, PLACE) != row_of(row, PLACE):
            self._move(row)
        recorded = row_of(row, RECORDED)
        if before.facts != row.facts:
            release_facts(self._target, row.id)
        hashed = lowest_hash(record.sets)
        self._target.execute(
            CHANGE_RECORD, {**recorded, "notes": row.notes, "params_hash": hashed, "id": row.id}
        )
        self._index_facts(row.id, row)
        if before.deleted_at != row.deleted_at:
            set_deleted(self._target, row.id, row.deleted_at)
        if mine.sets != record.sets:
            self._database.replace_sets(self._target, row.id, record.sets)
        self._write_parts(mine, record, theirs, joined)
        if row_of(before, PLACE) != row_of(row, PLACE) or mine.aliases != record.aliases:
            for name in names_of(record) | names_of(mine):
                tell_apart(self._target, name)

    def _write_parts(
        self,
        mine: RunRecord,
        record: RunRecord,
        theirs: RunRecord,
        joined: Mapping[KeyOf, Joined | None],
    ) -> None:
        self._write_tags(mine, record)
        self._write_documents(mine, record)
        self._write_aliases(mine, record)
        if mine.events != record.events:
            events = [one._asdict() for one in record.events]
            write_history(self._target, record.row.id, record.row.uid, events)
        self._write_files(mine, record)
        self._write_series(mine, record, theirs, joined)

    # Names

    def _experiment(self, row: sql.RunRow) -> int:
        made = {"name": row.experiment, "number": row.run_number, "now": now_micros()}
        return int(self._target.execute(sql.EXPERIMENT_ID, made).fetchone()[0])

    def _move(self, row: sql.RunRow) -> None:
        place = {"experiment_id": self._experiment(row), "run_number": row.run_number}
        self._target.execute(MOVE_RUN, {"id": row.id, "reference": row.reference, **place})
        self._order_duplicates(place)

    def _order_duplicates(self, place: Mapping[str, Any]) -> None:
        """Order the runs with one number by uid, as in every store that has these runs."""
        found = self._target.execute(SHARING_PLACE, place).fetchall()
        if [one[2] for one in found] == [*range(len(found))]:
            return
        free = 1 + max(one[2] for one in found)
        for begin in (free, 0):  # no two have the same index at any time
            for index, (run_id, _, _) in enumerate(found, begin):
                self._target.execute(SET_DUPLICATE, {"id": run_id, "duplicate": index})

    def _write_aliases(self, mine: RunRecord, record: RunRecord) -> None:
        run_id = record.row.id
        for reference in mine.aliases.keys() - record.aliases.keys():
            self._target.execute(REMOVE_ALIAS, {"reference": reference, "run_id": run_id})
        for reference, (experiment, number) in record.aliases.items():
            if mine.aliases.get(reference) == (experiment, number):
                continue
            if experiment is not None:
                made = {"name": experiment, "number": number or 0, "now": now_micros()}
                self._target.execute(sql.EXPERIMENT_ID, made).fetchone()
            alias = {"reference": reference, "experiment": experiment, "number": number}
            self._target.execute(PUT_ALIAS, {"run_id": run_id, **alias})

    # Facts, tags and texts

    def _index_facts(self, run_id: int, row: sql.RunRow) -> None:
        if row.facts is None:
            return
        index_facts(self._target, run_id, facts_from_text(row.facts).values, {})
        self._target.execute(sql.SET_FACTS, {"id": run_id, "facts": row.facts})

    def _write_tags(self, mine: RunRecord, record: RunRecord) -> None:
        run_id = record.row.id
        for key in mine.tags.keys() - record.tags.keys():
            self._target.execute(REMOVE_TAG, {"run_id": run_id, "key": key})
        changed = [
            {"run_id": run_id, "key": key, "value": value}
            for key, value in record.tags.items()
            if mine.tags.get(key) != value
        ]
        if changed:
            self._target.executemany(sql.PUT_TAG, changed)

    def _write_documents(self, mine: RunRecord, record: RunRecord) -> None:
        for name, digest in record.documents.items():
            if mine.documents.get(name) == digest:
                continue
            if self._target.execute(DOCUMENT, {"hash": digest}).fetchone() is None:
                found = self._source.execute(DOCUMENT, {"hash": digest}).fetchone()
                body = found and found[0]
                if type(body) is not str or sha256(body.encode()).hexdigest() != digest:
                    raise StoreCorruptError(f"The captured text {name!r} is damaged.")
                self._target.execute(sql.ADD_DOCUMENT, {"hash": digest, "body": body})
            link = {"run_id": record.row.id, "name": name, "hash": digest}
            self._target.execute(sql.LINK_DOCUMENT, link)

    # Files and points

    def _write_files(self, mine: RunRecord, record: RunRecord) -> None:
        run_id = record.row.id
        for path in mine.artifacts.keys() - record.artifacts.keys():
            self._target.execute(REMOVE_ARTIFACT, {"run_id": run_id, "path": path})
        for path, saved in record.artifacts.items():
            if mine.artifacts.get(path) != saved:
                row = {"run_id": run_id, "path": path, **saved._asdict()}
                self._target.execute(PUT_ARTIFACT, row)
                self._copy_preview(saved.digest)
        for name, used in record.inputs.items():
            if mine.inputs.get(name) != used:
                row = {"run_id": run_id, "name": name, **used._asdict()}
                self._target.execute(PUT_INPUT, row)
        for part, printed in record.outputs.items():
            if mine.outputs.get(part) != printed:
                row = {"run_id": run_id, "part": part, **printed._asdict()}
                self._target.execute(PUT_OUTPUT, row)

    def _copy_preview(self, digest: str) -> None:
        found = self._source.execute(PREVIEW, {"digest": digest}).fetchone()
        if found is not None and is_preview(*found):
            preview = {"digest": digest, "media_type": found[0], "body": found[1]}
            self._target.execute(PUT_PREVIEW, preview)

    def _write_series(
        self,
        mine: RunRecord,
        record: RunRecord,
        theirs: RunRecord,
        joined: Mapping[KeyOf, Joined | None],
    ) -> None:
        for key in mine.series.keys() - record.series.keys():
            drop_series(self._target, record.row.id, key)
        for key, summary in record.series.items():
            if key not in joined and mine.series.get(key) == summary:
                continue
            one = joined.get(key)
            if one is None:
                ids = (theirs.row.id, record.row.id)
                copy = SeriesCopy(ids, key, summary, is_new=key not in mine.series)
                copy.write(self._source, self._target, self._rows)
            else:
                points = columns_of(one.rest)
                write_points(self._target, record.row.id, key, one.kept, points, summary)
        self._rows.write()


def names_of(record: RunRecord) -> set[str]:
    """Return the present and former references of a run, without digits of its uid."""
    uid = record.row.uid
    return {without_ending(one, uid) for one in (record.row.reference, *record.aliases)}


_PREVIEWS = ("image/", "text/plain", "application/json")
_LARGEST_PREVIEW = 1 << 16


def is_preview(media_type: Any, body: Any) -> bool:
    """Check whether a preview of another store can be shown like our own."""
    is_known = type(media_type) is str and media_type.startswith(_PREVIEWS)
    return is_known and type(body) is bytes and len(body) <= _LARGEST_PREVIEW
