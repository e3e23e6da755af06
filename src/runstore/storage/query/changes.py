"""Runs that changed since a reader's last look, and counts of runs."""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

from runstore.storage import statements as sql
from runstore.storage.database import Database
from runstore.storage.rows import as_int
from runstore.value_classes import NamedTuple

# Also the last one that a reader sees, which may be later on a server: see `LastChange`.
LATEST = f"SELECT ({sql.NEWEST_CHANGE}), (SELECT coalesce(max(r.changed), 0) FROM runs r)"
COUNTS = f"""
    SELECT ({sql.NEWEST_CHANGE}),
        (SELECT count(*) FROM runs),
        (SELECT count(*) FROM runs r WHERE r.deleted_at IS NOT NULL),
        (SELECT count(*) FROM runs r WHERE r.deleted_at IS NOT NULL AND {sql.PURGED}),
        (SELECT count(*) FROM experiments e WHERE EXISTS (
            SELECT 1 FROM runs r WHERE r.experiment_id = e.id AND {sql.KEPT})),
        ({sql.CURRENT_VERSION})
"""
CHANGED_SINCE = f"""
    SELECT r.id, r.changed, r.deleted_at IS NOT NULL, r.changed <= ({sql.NEWEST_CHANGE})
    FROM runs r
    WHERE r.changed > ? ORDER BY r.changed LIMIT ?
"""


# The index of runs that are not complete is small.
GOING_ON = f"""
    SELECT r.id FROM runs r WHERE {sql.KEPT} AND r.status <> 'complete'
        AND r.status IN ('running', 'live')
    ORDER BY r.id DESC LIMIT ?
"""


class LastChange(NamedTuple):
    """The last change.

    Attributes:
        change: The number of the last change before which all changes are known. On a server,
            transactions end in any order, so that an earlier change may be seen later.
        is_certain: Whether no later change is known yet, so that the runs as they are now
            belong to this number.
    """

    change: int
    is_certain: bool


class Counts(NamedTuple):
    """Counts of a store, the number of its last change, and the version of its tables."""

    changed: int
    kept: int
    trashed: int
    experiments: int
    schema_version: int


class Changed(NamedTuple):
    """A run that changed.

    Attributes:
        row_id: Its row id.
        change: The number of its last change.
        is_deleted: Whether it is in the trash or removed.
        is_certain: Whether all changes before are known, so that a reader can go on from here.
    """

    row_id: int
    change: int
    is_deleted: bool
    is_certain: bool


class Changes:
    """The changes of one store, by change number."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def last(self) -> int:
        """Return the number of the last change that is certain; 0 if the store has no runs."""
        return self.latest().change

    def latest(self) -> LastChange:
        """Return the last change; to keep something until the next one, see `is_certain`."""
        change, newest = self._driver.fetch_one(LATEST)
        return LastChange(as_int(change), change == newest)

    def counts(self) -> Counts:
        """Count runs and experiments with the narrowest indexes."""
        row = self._driver.fetch_one(COUNTS)
        changed, runs, deleted, purged, experiments, version = map(as_int, row)
        return Counts(changed, runs - deleted, deleted - purged, experiments, version)

    def going_on(self, limit: int) -> list[int]:
        """Return the row ids of running runs, newest first."""
        return [row[0] for row in self._driver.fetch_all(GOING_ON, (limit,))]

    def since(self, change: int, limit: int) -> list[Changed]:
        """Return the runs that changed after a change, the oldest change first.

        Those after the first one that is not certain will be returned again.
        """
        found = self._driver.fetch_all(CHANGED_SINCE, (change, limit))
        return [
            Changed(row_id, as_int(at), bool(is_deleted), bool(is_certain))
            for row_id, at, is_deleted, is_certain in found
        ]
