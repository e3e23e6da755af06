"""Complete records of runs: everything that a store keeps about a run, without its points."""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runstore.model.params.parameter_set import ParameterSet
from runstore.model.reference import without_ending
from runstore.storage import rows
from runstore.storage import statements as sql
from runstore.storage.driver import Connection
from runstore.storage.metrics.point_records import KeyOf
from runstore.storage.stored_runs import for_each
from runstore.value_classes import NamedTuple

RECORDS = f"""
    SELECT {sql.RUN_COLUMNS}, r.purged_at
    FROM runs r JOIN experiments e ON e.id = r.experiment_id WHERE r.uid IN ({{ids}})
"""
TAGS = "SELECT run_id, key, value FROM tags WHERE run_id IN ({ids})"
DOCUMENTS = "SELECT run_id, name, hash FROM run_documents WHERE run_id IN ({ids})"
EVENTS = """
    SELECT run_id, at, author, field, old, new, operation, undoes FROM events
    WHERE run_id IN ({ids}) ORDER BY run_id, id
"""
ALIASES = """
    SELECT a.run_id, a.reference, e.name, a.run_number
    FROM reference_aliases a LEFT JOIN experiments e ON e.id = a.experiment_id
    WHERE a.run_id IN ({ids})
"""
ARTIFACTS = """
    SELECT run_id, path, digest, size_bytes, media_type, saved_at FROM artifacts
    WHERE run_id IN ({ids})
"""
INPUTS = """
    SELECT run_id, name, digest, size_bytes, modified_at, location, source_uid, used_at
    FROM inputs WHERE run_id IN ({ids})
"""
OUTPUTS = "SELECT run_id, part, digest, size_bytes FROM outputs WHERE run_id IN ({ids})"
SERIES = """
    SELECT s.run_id, s.set_index, k.key, s.count, s.nan_count, s.first, s.last, s.min, s.max,
        s.total, s.last_step, s.last_at
    FROM metric_summaries s JOIN metric_keys k ON k.id = s.key_id WHERE s.run_id IN ({ids})
"""
REFERENCES_OF_RUN = """
    SELECT r.reference FROM runs r WHERE r.uid = :uid
    UNION ALL
    SELECT a.reference FROM runs r JOIN reference_aliases a ON a.run_id = r.id WHERE r.uid = :uid
"""
# Numbers of an experiment, from which the next one follows.
COUNTERS = "SELECT name, last_run_number FROM experiments WHERE name IN ({ids})"


# Mark of a run whose points are being transferred: its row looks permanently removed meanwhile.
STAGED = '{"transfer":"unfinished"}'

_REFERENCE = sql.RunRow._fields.index("reference")


class Edited(NamedTuple):
    """An event of a run; its contents are its identity in every store."""

    at: int
    author: str
    field: str
    old: str | None
    new: str | None
    operation: str | None
    undoes: str | None


class SavedFile(NamedTuple):
    """An artifact of a run; see the table."""

    digest: str
    size_bytes: int
    media_type: str
    saved_at: int


class UsedInput(NamedTuple):
    """An input of a run; see the table."""

    digest: str | None
    size_bytes: int | None
    modified_at: int | None
    location: str | None
    source_uid: str | None
    used_at: int


class PrintedFile(NamedTuple):
    """A file of printed output; see the table."""

    digest: str
    size_bytes: int


class Summary(NamedTuple):
    """The summary of a series; None among the values means NaN."""

    points: int
    nan_count: int
    first: float | None
    last: float | None
    min: float | None
    max: float | None
    total: float | None
    last_step: int
    last_at: int


class RunRecord(NamedTuple):
    """A run as one store keeps it.

    Attributes:
        row: Its row.
        purged_at: Time of its permanent removal; None if it was not removed.
        sets: Its parameter sets.
        tags: Its tags.
        documents: Hashes of its captured texts, by name.
        events: Its edits, oldest first.
        aliases: Its former references: experiment and number of each, None if unknown.
        artifacts: Its artifacts by path.
        inputs: Its inputs by name.
        outputs: Its files of output by name.
        series: The summary of each of its series.
        has_sound_sets: Whether all parameter sets could be read without loss.
    """

    row: sql.RunRow
    purged_at: int | None
    sets: tuple[ParameterSet, ...] = ()
    tags: Mapping[str, str] = {}
    documents: Mapping[str, str] = {}
    events: tuple[Edited, ...] = ()
    aliases: Mapping[str, tuple[str | None, int | None]] = {}
    artifacts: Mapping[str, SavedFile] = {}
    inputs: Mapping[str, UsedInput] = {}
    outputs: Mapping[str, PrintedFile] = {}
    series: Mapping[KeyOf, Summary] = {}
    has_sound_sets: bool = True

    @property
    def is_staged(self) -> bool:
        """Whether the run is not complete here, because a transfer is writing its points."""
        return self.purged_at is not None and self.row.block == STAGED

    @property
    def contents(self) -> dict[str, int]:
        """The contents of its files: size in bytes by digest."""
        kept = {one.digest: one.size_bytes for one in self.artifacts.values()}
        return {**kept, **{one.digest: one.size_bytes for one in self.outputs.values()}}


def read_records(connection: Connection, uids: Sequence[str]) -> dict[str, RunRecord]:
    """Return the records of some hundred runs by uid, without missing runs.

    The cells are as they are in the database, whatever their type; see `checking`.
    """
    found = {row[0]: _plain(row) for row in for_each(connection, RECORDS, uids)}
    ids = list(found)
    sets = rows.grouped(for_each(connection, sql.SETS_OF_RUNS, ids))
    tags, documents, aliases, artifacts, inputs, outputs = (
        rows.grouped(for_each(connection, statement, ids))
        for statement in (TAGS, DOCUMENTS, ALIASES, ARTIFACTS, INPUTS, OUTPUTS)
    )
    events, series = (rows.grouped(for_each(connection, one, ids)) for one in (EVENTS, SERIES))
    width = len(sql.RunRow._fields)
    return {
        row[1]: RunRecord(
            sql.RunRow._make(row[:width]),
            row[width],
            tuple(rows.set_from_row((run_id, *cells)) for cells in sets[run_id]),
            dict(tags[run_id]),
            dict(documents[run_id]),
            tuple(map(Edited._make, events[run_id])),
            {
                one: (name, number)
                for one, name, number in aliases[run_id]
                if not _is_present_name(one, row)
            },
            {path: SavedFile(*cells) for path, *cells in artifacts[run_id]},
            {name: UsedInput(*cells) for name, *cells in inputs[run_id]},
            {part: PrintedFile(*cells) for part, *cells in outputs[run_id]},
            {KeyOf(index, key): Summary(*cells) for index, key, *cells in series[run_id]},
            all(_is_sound((run_id, *cells)) for cells in sets[run_id]),
        )
        for run_id, row in found.items()
    }


def _plain(row: Sequence[Any]) -> Sequence[Any]:
    """Return a row whose reference has no digits of the uid, which only some stores need."""
    uid, reference = row[1], row[_REFERENCE]
    if type(uid) is not str or type(reference) is not str or "~" not in reference:
        return row
    return (*row[:_REFERENCE], without_ending(reference, uid), *row[_REFERENCE + 1 :])


def _is_present_name(alias: Any, row: Sequence[Any]) -> bool:
    """Check whether a former reference is the present one, with or without digits of the uid."""
    if type(alias) is not str or type(row[1]) is not str:
        return bool(alias == row[_REFERENCE])
    return bool(without_ending(alias, row[1]) == row[_REFERENCE])


def _is_sound(row: Sequence[Any]) -> bool:
    return rows.is_sound_set(row, rows.set_from_row(row))


def references_of(connection: Connection, uid: str) -> list[str]:
    """Return the present reference of a run, and its former ones."""
    found = connection.execute(REFERENCES_OF_RUN, {"uid": uid}).fetchall()
    return [row[0] for row in found if type(row[0]) is str]


def counters(connection: Connection, names: Sequence[str]) -> dict[str, Any]:
    """Return the last number that each experiment assigned."""
    return dict(for_each(connection, COUNTERS, names))
