"""Earlier runs with parameters and code similar to those of a run about to start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from runstore.model.artifacts import Input
from runstore.model.params.flatten import FlatValue
from runstore.model.params.parameter_set import ParameterSet
from runstore.storage import rows
from runstore.storage.artifacts import input_from_row
from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.indexes.params import indexed_params
from runstore.storage.stored_runs import for_each
from runstore.value_classes import NamedTuple

# Among runs with the same parameters and commit, only this many of the newest are compared.
_DONE_AT_MOST = 1_000
# A value that more runs share says little about one of them.
_RARE = 100
# Maximum number of values looked up per run.
_VALUES_AT_MOST = 64
# Larger sets are not read to measure their difference.
_TREE_AT_MOST = 1 << 16

_DOCUMENT = """coalesce(
    (SELECT d.hash FROM run_documents d WHERE d.run_id = c.id AND d.name = '{name}'), '')"""
DONE_RUNS = f"""
    SELECT c.id FROM (
        SELECT r.id FROM runs r
        WHERE r.experiment_id = (SELECT e.id FROM experiments e WHERE e.name = :experiment_name)
          AND r.params_hash = :params_hash AND r.commit_hash = :commit
          AND r.status = 'complete' AND r.deleted_at IS NULL
        ORDER BY r.id DESC LIMIT {_DONE_AT_MOST}
    ) c
    WHERE {_DOCUMENT.format(name="patch")} = :patch
      AND {_DOCUMENT.format(name="untracked")} = :untracked
    ORDER BY c.id DESC LIMIT :limit
"""  # noqa: S608 - constants of this file
# The first condition lets the engine use the small index of runs that are not complete; the unary
# plus keeps it from scanning all runs of the experiment.
UNFINISHED_LIKE_IT = """
    SELECT r.id FROM runs r
    WHERE r.status <> 'complete' AND r.status IN ('queued', 'running', 'live')
      AND +r.experiment_id = (SELECT e.id FROM experiments e WHERE e.name = :experiment_name)
      AND r.params_hash = :params_hash AND r.commit_hash = :commit AND r.deleted_at IS NULL
    ORDER BY r.id DESC LIMIT :limit
"""
NEWEST_IDS = """
    SELECT r.id FROM runs r
    WHERE r.experiment_id = (SELECT e.id FROM experiments e WHERE e.name = :experiment_name)
      AND r.deleted_at IS NULL
    ORDER BY r.run_number DESC, r.duplicate DESC LIMIT :limit
"""
HOLDERS = "SELECT p.run_id FROM params p WHERE {cell} AND p.indexed = 1 LIMIT {limit}"
CANDIDATES = """
    SELECT r.id, r.commit_hash, r.status, r.started_at FROM runs r
    WHERE r.deleted_at IS NULL AND r.id IN ({ids})
      AND +r.experiment_id = (SELECT e.id FROM experiments e WHERE e.name = ?)
"""
SETS_OF_CANDIDATES = f"""
    SELECT p.run_id, p.name, p.hash,
        CASE WHEN length(v.tree) <= {_TREE_AT_MOST} THEN v.tree END, p.file
    FROM run_params p LEFT JOIN param_values v ON v.tree_key = p.tree_key
    WHERE p.run_id IN ({{ids}}) ORDER BY p.run_id, p.set_index
"""  # noqa: S608 - constants of this file
INPUTS_INSIDE = """
    WITH RECURSIVE inside (id, uid) AS (
        SELECT r.id, r.uid FROM runs r WHERE r.uid = :uid
        UNION
        SELECT r.id, r.uid FROM inside i CROSS JOIN runs r
        WHERE r.parent_uid = i.uid AND r.deleted_at IS NULL
        LIMIT :limit
    )
    SELECT n.name, n.digest, n.size_bytes, n.modified_at, n.location, n.source_uid, n.used_at
    FROM inside i CROSS JOIN inputs n ON n.run_id = i.id LIMIT :limit
"""
IS_SAVED = """
    SELECT 1 FROM artifacts a JOIN runs r ON r.id = a.run_id
    WHERE a.digest = :digest AND r.uid = :uid AND r.deleted_at IS NULL LIMIT 1
"""


class Sought(NamedTuple):
    """The key to look up similar runs by.

    Attributes:
        experiment_name: Its experiment.
        params_hash: The lowest hash of its parameter sets; empty if it has none.
        commit: Hash of its commit.
        patch: Hash of its uncommitted changes; empty if there are none.
        untracked: Hash of its untracked files; empty if there are none.
    """

    experiment_name: str
    params_hash: str
    commit: str
    patch: str
    untracked: str


class PriorRun(NamedTuple):
    """A run that may be similar to another one, started at this time in microseconds.

    Large parameter sets lack their values.
    """

    id: int
    commit: str | None
    status: str
    started_at: int
    sets: tuple[ParameterSet, ...]


class EarlierRuns:
    """Lookup of earlier runs of one store."""

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def done(self, sought: Sought, limit: int) -> list[int]:
        """Return row ids of complete runs with these parameters and this code, newest first."""
        return self._ids(DONE_RUNS, limit=limit, **sought._asdict())

    def unfinished(self, sought: Sought, limit: int) -> list[int]:
        """Return row ids of unfinished runs with these parameters and commit, newest first."""
        named = ("experiment_name", "params_hash", "commit")
        return self._ids(
            UNFINISHED_LIKE_IT, limit=limit, **{name: getattr(sought, name) for name in named}
        )

    def _ids(self, statement: str, **parameters: Any) -> list[int]:
        return [row[0] for row in self._driver.fetch_all(statement, parameters)]

    def candidates(
        self, experiment_name: str, sets: Sequence[ParameterSet], limit: int
    ) -> list[PriorRun]:
        """Return runs of any status that may be similar to a run with these sets.

        These are the newest runs of the experiment, and the runs with the most values in common
        among values that few runs share. The limit is that of each kind.
        """
        newest = {"experiment_name": experiment_name, "limit": limit}
        with indexed_params(self._driver), self._driver.read() as connection:
            ids = [row[0] for row in connection.execute(NEWEST_IDS, newest).fetchall()]
            ids += self._with_rare_values(connection, sets, limit)
            some = list(dict.fromkeys(ids))
            found = {
                row[0]: row for row in for_each(connection, CANDIDATES, some, experiment_name)
            }
            theirs = self._sets_of(connection, list(found))
        return [
            PriorRun(
                row[0],
                rows.as_optional_text(row[1]),
                rows.as_text(row[2]),
                rows.as_int(row[3]),
                tuple(theirs.get(row[0], ())),
            )
            for row in found.values()
        ]

    def _with_rare_values(
        self, connection: Connection, sets: Sequence[ParameterSet], limit: int
    ) -> list[int]:
        shared: Counter[int] = Counter()
        values = dict.fromkeys(value for one in sets for value in one.flat()[:_VALUES_AT_MOST])
        for value in list(values)[:_VALUES_AT_MOST]:
            cell, parameters = _cell(value)
            holders = HOLDERS.format(cell=cell, limit=_RARE + 1)
            found = connection.execute(holders, parameters).fetchall()
            if len(found) <= _RARE:
                shared.update({row[0] for row in found})
        return sorted(shared, key=lambda row_id: (-shared[row_id], -row_id))[:limit]

    @staticmethod
    def _sets_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[ParameterSet]]:
        sets: dict[int, list[ParameterSet]] = {}
        for row in for_each(connection, SETS_OF_CANDIDATES, ids):
            sets.setdefault(row[0], []).append(rows.set_from_row(row))
        return sets

    def inputs_inside(self, uid: str, limit: int) -> list[Input]:
        """Return the inputs of a run and of its descendants, `limit` at most."""
        found = self._driver.fetch_all(INPUTS_INSIDE, {"uid": uid, "limit": limit})
        return [input_from_row(row) for row in found]

    def is_saved(self, digest: str, uid: str) -> bool:
        """Check whether a run has an artifact with these contents."""
        found = self._driver.fetch_one(IS_SAVED, {"digest": digest, "uid": uid})
        return found is not None


def _cell(value: FlatValue) -> tuple[str, list[Any]]:
    """Return the SQL condition for a parameter with this value, and its parameters."""
    key, *cells = value
    parts: list[str] = ["p.key = ?"]
    parameters: list[Any] = [key]
    for column, cell in zip(("p.number", "p.text"), cells, strict=True):
        parts.append(f"{column} IS NULL" if cell is None else f"{column} = ?")
        parameters += [] if cell is None else [cell]
    return " AND ".join(parts), parameters
