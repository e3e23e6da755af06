"""Checks of the rows of a store for dangling references and damage."""
# ruff: noqa: S608 - nothing but constants of this room is put into a text

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from runstore.storage.database import Database
from runstore.storage.indexes.params import NOT_INDEXED
from runstore.storage.rows import as_text
from runstore.storage.statements import EVERY
from runstore.storage.trash import TABLES_OF_RUNS
from runstore.value_classes import NamedTuple

ROWS_TOLD = 100

_NAME = "(SELECT r.reference FROM runs r WHERE r.id = {table}.run_id)"
# A description of the problem, and a statement that selects the names of affected rows.
CHECKS: tuple[tuple[str, str], ...] = (
    *(
        (
            f"rows of {table} belong to no run",
            f"""
            SELECT DISTINCT 'run ' || run_id FROM {table}
            WHERE run_id NOT IN (SELECT id FROM runs)
            """,
        )
        for table in (*TABLES_OF_RUNS, "run_facts", "reference_aliases")
        if table != "params"  # the most rows by far; compared with their sets below
    ),
    *(
        (
            f"rows of {table} are left of a permanently deleted run",
            f"""
            SELECT DISTINCT {_NAME.format(table=table)} FROM {table}
            WHERE run_id IN (
                SELECT id FROM runs WHERE purged_at IS NOT NULL AND block IS NULL
            ) -- a block marks a run that a transfer is writing
            """,
        )
        for table in (*TABLES_OF_RUNS, "run_facts")
    ),
    (
        "runs belong to no experiment",
        "SELECT reference FROM runs WHERE experiment_id NOT IN (SELECT id FROM experiments)",
    ),
    (
        "a run number is higher than the counter of its experiment",
        """
        SELECT r.reference FROM runs r JOIN experiments e ON e.id = r.experiment_id
        WHERE r.run_number > e.last_run_number
        """,
    ),
    (
        "the values of a parameter set are missing",
        f"""
        SELECT {_NAME.format(table="run_params")} FROM run_params
        WHERE tree_key IS NOT NULL AND tree_key NOT IN (SELECT tree_key FROM param_values)
        """,
    ),
    (
        "parameters belong to no parameter set",
        f"""
        SELECT DISTINCT {_NAME.format(table="params")} FROM params WHERE NOT EXISTS (
            SELECT 1 FROM run_params s
            WHERE s.run_id = params.run_id AND s.set_index = params.set_index
        )
        """,
    ),
    ("parameters are missing from the search index", NOT_INDEXED),
    (
        "a captured text is missing",
        f"""
        SELECT {_NAME.format(table="run_documents")} || ': ' || name FROM run_documents
        WHERE hash NOT IN (SELECT hash FROM documents)
        """,
    ),
    (
        "the summary of a metric does not match its points",
        """
        SELECT coalesce(r.reference, 'run ' || s.run_id)
            || ': ' || coalesce(k.key, CAST(s.key_id AS TEXT))
        FROM metric_summaries s
        LEFT JOIN runs r ON r.id = s.run_id LEFT JOIN metric_keys k ON k.id = s.key_id
        WHERE k.key IS NULL OR s.count <> (
            SELECT coalesce(sum(c.count), 0) FROM metric_chunks c
            WHERE c.run_id = s.run_id AND c.set_index = s.set_index AND c.key_id = s.key_id
        )
        """,
    ),
    (
        "points belong to no metric",
        """
        SELECT DISTINCT coalesce(r.reference, 'run ' || c.run_id)
        FROM metric_chunks c LEFT JOIN runs r ON r.id = c.run_id
        WHERE NOT EXISTS (
            SELECT 1 FROM metric_summaries s
            WHERE s.run_id = c.run_id AND s.set_index = c.set_index AND s.key_id = c.key_id
        ) AND (r.purged_at IS NULL OR r.block IS NULL)
        """,
    ),
    (
        "levels of detail belong to missing points",
        """
        SELECT DISTINCT coalesce(r.reference, 'run ' || l.run_id)
        FROM metric_levels l LEFT JOIN runs r ON r.id = l.run_id
        WHERE NOT EXISTS (
            SELECT 1 FROM metric_chunks c
            WHERE c.run_id = l.run_id AND c.set_index = l.set_index AND c.key_id = l.key_id
                AND c.chunk_index = (l.place + 1) * (4 << (2 * l.level)) - 1
        )
        """,
    ),
    (
        "the run that saved an input is unknown",
        f"""
        SELECT {_NAME.format(table="inputs")} || ': ' || name FROM inputs
        WHERE source_uid IS NOT NULL AND source_uid NOT IN (SELECT uid FROM runs)
        """,
    ),
)
# A parent may be in another store, so that it is not checked.

FULL_STORES = """
    SELECT uid, reference FROM runs
    WHERE full_store = 1 AND purged_at IS NULL AND status NOT IN ('queued', 'running', 'live')
"""
UIDS = "SELECT uid FROM runs"


TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
EVERY_RUN = "SELECT id FROM runs WHERE purged_at IS NULL AND id > :after ORDER BY id LIMIT :limit"
_AT_ONCE = 500
# Types allowed in a column of each type that migrations use.
_KINDS = {
    "TEXT": "'text'",
    "INTEGER": "'integer'",
    "REAL": "'real', 'integer'",
    "BLOB": "'blob'",
}


class Wrong(NamedTuple):
    """A problem in the rows, as part of a sentence, and the names of at most 100 affected rows."""

    what: str
    names: tuple[str, ...]


def _odd_cells_of(table: str, columns: Sequence[Any]) -> list[str]:
    """Return statements that find values of another type than their columns.

    The first one reads the table once, and finds a row if any of the others does, one per column.
    """
    named = {str(column[1]) for column in columns}
    row = "coalesce((SELECT r.reference FROM runs r WHERE r.id = t.run_id), 'run ' || t.run_id)"
    name = "t.reference" if table == "runs" else row if "run_id" in named else "'the store'"
    is_odd = {}
    for _, column, kind, is_required, _, _ in columns:
        if kind in _KINDS:
            known = _KINDS[kind] if is_required else f"{_KINDS[kind]}, 'null'"
            is_odd[column] = f'typeof(t."{column}") NOT IN ({known})'
    if not is_odd:
        return []
    return [
        f'SELECT 1 FROM "{table}" t WHERE {" OR ".join(is_odd.values())} LIMIT 1',
        *(
            f"SELECT {name} || ': {table}.{column}' FROM \"{table}\" t WHERE {odd} LIMIT :limit"
            for column, odd in is_odd.items()
        ),
    ]


class Checks:
    """Checks the rows of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._driver = database.driver

    def wrong(self) -> Iterator[Wrong]:
        """Yield problems in the rows."""
        for what, statement in CHECKS:
            found = self._driver.fetch_all(f"{statement} LIMIT {ROWS_TOLD}")
            if found:
                yield Wrong(what, tuple(str(row[0]) for row in found))

    def damaged(self) -> Iterator[Wrong]:
        """Yield runs and rows with unreadable values, with the names of their fields."""
        names = list(islice(self._damaged_runs(), ROWS_TOLD))
        if names:
            yield Wrong("part of a run cannot be read", tuple(names))
        names = list(islice(self._odd_cells(), ROWS_TOLD))
        if names:
            yield Wrong("a value has another type than its column", tuple(names))

    def _damaged_runs(self) -> Iterator[str]:
        after, some = -(2**63), [0]
        while some:
            page = {"after": after, "limit": _AT_ONCE}
            some = [row[0] for row in self._driver.fetch_all(EVERY_RUN, page)]
            for run in self._database.runs_by_id(some, among=EVERY).values():
                yield from (f"{run.reference}: {name}" for name in run.damaged)
            after = some[-1] if some else after

    def _odd_cells(self) -> Iterator[str]:
        if self._driver.checks_types:
            return
        with self._driver.read() as connection:
            of_tables = [
                _odd_cells_of(
                    str(table), connection.execute(f'PRAGMA table_info("{table}")').fetchall()
                )
                for (table,) in connection.execute(TABLES).fetchall()
            ]
        for any_cell, *statements in filter(None, of_tables):
            is_any = self._driver.fetch_one(any_cell)
            for statement in statements if is_any else ():
                found = self._driver.fetch_all(statement, {"limit": ROWS_TOLD})
                yield from (str(row[0]) for row in found)

    def schema(self) -> list[str]:
        """Return tables, indexes, views and triggers that differ from those of the migrations."""
        return self._database.differences_of_schema()

    def full_stores(self) -> list[tuple[str, str]]:
        """Return uid and reference of the runs with a folder of plain files."""
        found = self._driver.fetch_all(FULL_STORES)
        return [(as_text(uid), as_text(reference)) for uid, reference in found]

    def uids(self) -> set[str]:
        """Return the uid of every run, including deleted ones."""
        return {as_text(row[0]) for row in self._driver.fetch_all(UIDS)}
