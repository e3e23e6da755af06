"""Earlier runs that are like one that is about to start: by their parameters and their code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from runstore.model.artifacts import Input
from runstore.model.params.flatten import FlatValue
from runstore.model.params.parameter_set import ParameterSet
from runstore.storage import rows
from runstore.storage.artifacts import input_from_row
from runstore.storage.database import Database
from runstore.storage.driver import Connection
from runstore.storage.indexes.params import indexed_params

_AT_ONCE = 500
# Of runs with the same parameters and commit so many of the newest are looked at.
_DONE_AT_MOST = 1_000
# A value that more runs have says nothing of one of them.
_RARE = 100
# So many values of a run are asked for.
_VALUES_AT_MOST = 64
# Values of larger sets are not read to see how much of them differs.
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
# The first condition lets the engine use the short list of what is not complete; the sign keeps it
# from all runs of the experiment.
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
SETS_OF_CANDIDATES = """
    SELECT p.run_id, p.name, p.hash, CASE WHEN length(v.tree) <= {size} THEN v.tree END, p.file
    FROM run_params p LEFT JOIN param_values v ON v.tree_key = p.tree_key
    WHERE p.run_id IN ({ids}) ORDER BY p.run_id, p.set_index
"""
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
    """What a run is looked up by.

    Attributes:
        experiment_name: Its experiment.
        params_hash: The lowest hash of its parameter sets; empty without any.
        commit: Hash of its commit.
        patch: Hash of its changes; empty without any.
        untracked: Hash of its new files; empty without any.
    """

    experiment_name: str
    params_hash: str
    commit: str
    patch: str
    untracked: str


class PriorRun(NamedTuple):
    """A run that may be near another one.

    Attributes:
        id: Its row.
        commit: Hash of its commit; None where it is unknown.
        status: As it is kept.
        started_at: Microseconds since 1970 (UTC).
        sets: Its parameter sets; those of much data without their values.
    """

    id: int
    commit: str | None
    status: str
    started_at: int
    sets: tuple[ParameterSet, ...]


class EarlierRuns:
    """Looks up earlier runs of one store.

    Args:
        database: The open database.
    """

    def __init__(self, database: Database) -> None:
        self._driver = database.driver

    def done(self, sought: Sought, limit: int) -> list[int]:
        """Return rows of complete runs with these parameters and this code, newest first."""
        return self._ids(DONE_RUNS, limit=limit, **sought._asdict())

    def unfinished(self, sought: Sought, limit: int) -> list[int]:
        """Return rows of runs with these parameters and commit that have no end, newest first."""
        named = ("experiment_name", "params_hash", "commit")
        return self._ids(
            UNFINISHED_LIKE_IT, limit=limit, **{name: getattr(sought, name) for name in named}
        )

    def _ids(self, statement: str, **parameters: Any) -> list[int]:
        with self._driver.read() as connection:
            return [row[0] for row in connection.execute(statement, parameters).fetchall()]

    def candidates(
        self, experiment_name: str, sets: Sequence[ParameterSet], limit: int
    ) -> list[PriorRun]:
        """Return runs that may be near one with these sets, of any status.

        These are the newest of the experiment, and those that share values which few runs have:
        who shares most of them first.

        Args:
            experiment_name: The experiment.
            sets: The parameter sets.
            limit: At most so many of each kind.
        """
        newest = {"experiment_name": experiment_name, "limit": limit}
        with indexed_params(self._driver), self._driver.read() as connection:
            ids = [row[0] for row in connection.execute(NEWEST_IDS, newest).fetchall()]
            ids += self._with_rare_values(connection, sets, limit)
            found = {}
            for some in _parts(list(dict.fromkeys(ids))):
                statement = CANDIDATES.format(ids=_marks(some))
                for row in connection.execute(statement, [*some, experiment_name]).fetchall():
                    found[row[0]] = row
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
        for some in _parts(ids):
            statement = SETS_OF_CANDIDATES.format(size=_TREE_AT_MOST, ids=_marks(some))
            for row in connection.execute(statement, some).fetchall():
                sets.setdefault(row[0], []).append(rows.set_from_row(row))
        return sets

    def inputs_inside(self, uid: str, limit: int) -> list[Input]:
        """Return what a run read, and what the runs inside of it read; `limit` of it at most."""
        with self._driver.read() as connection:
            found = connection.execute(INPUTS_INSIDE, {"uid": uid, "limit": limit}).fetchall()
        return [input_from_row(row) for row in found]

    def is_saved(self, digest: str, uid: str) -> bool:
        """Tell whether a run has an artifact of these contents."""
        with self._driver.read() as connection:
            found = connection.execute(IS_SAVED, {"digest": digest, "uid": uid}).fetchone()
        return found is not None


def _cell(value: FlatValue) -> tuple[str, list[Any]]:
    """Return the condition that a parameter has this value, and its parameters."""
    key, *cells = value
    parts: list[str] = ["p.key = ?"]
    parameters: list[Any] = [key]
    for column, cell in zip(("p.number", "p.text"), cells, strict=True):
        parts.append(f"{column} IS NULL" if cell is None else f"{column} = ?")
        parameters += [] if cell is None else [cell]
    return " AND ".join(parts), parameters


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), _AT_ONCE):
        yield ids[begin : begin + _AT_ONCE]


def _marks(ids: Sequence[int]) -> str:
    return ", ".join("?" * len(ids))
