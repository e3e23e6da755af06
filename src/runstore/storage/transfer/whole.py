"""A copy of all rows of a store, as they are at one moment, in the empty tables of another one."""
# ruff: noqa: S608 - the names of tables and columns come from the schema, in quotes

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from runstore.errors import ConflictError, SchemaTooNewError
from runstore.storage import statements as sql
from runstore.storage.driver import Connection, Driver, StoredTable
from runstore.storage.indexes.params import waiting_rows
from runstore.storage.stored_runs import batches

# Contents are copied by `Objects`, because each store keeps them in its own place; the index of a
# server with pg_trgm is derived from them, and only some stores have one.
_NOT_COPIED = frozenset({"objects", "object_parts", "search_texts"})
# Values that depend on the engine, or on the place of contents.
_OWN_STATE = "('last_run_indexed', 'objects', 'change_base')"
_ROWS_AT_ONCE = 500
IS_USED = "SELECT count(*) FROM (SELECT id FROM experiments LIMIT 1) used"
CONTENTS = "SELECT digest, size_bytes FROM artifacts UNION SELECT digest, size_bytes FROM outputs"


def contents_in(connection: Connection) -> dict[str, int]:
    """Return the contents of all files and outputs: size in bytes by digest."""
    return dict(connection.execute(CONTENTS).fetchall())


def check_is_empty(target: Driver, place: str) -> None:
    """Raise an error for a store that has runs, or had some.

    Raises:
        ConflictError: It has runs.
    """
    if target.fetch_one(IS_USED)[0]:
        raise ConflictError(
            f"{place} already has runs.",
            kept="Nothing was copied.",
            hint="Choose an empty database, or add the runs with: runstore push",
        )


def copy_rows(
    source: Driver,
    connection: Connection,
    target: Driver,
    place: str,
    finish: Callable[[], None],
) -> None:
    """Copy all rows into an empty store, in one transaction.

    Args:
        source: The copied store.
        connection: Its connection, in a transaction that sees one moment.
        target: The empty store.
        place: The name of the empty store, for errors.
        finish: Called at the end of the transaction.

    Raises:
        ConflictError: It has runs.
        SchemaTooNewError: Tables or columns of the copied store are unknown.
    """
    if isinstance(source.refusal, SchemaTooNewError):
        raise source.refusal
    check_is_empty(target, place)
    with target.write() as there:
        for table in target.tables(there):
            if table.name not in _NOT_COPIED:
                text = f'SELECT {_columns(table)} FROM "{table.name}"{_condition(table)}'
                _copy_table(source.streamed(connection, text), there, table)
        if not target.indexes_later:
            there.executemany(sql.INSERT_PARAM, waiting_rows(connection))
        target.adopt_rows(there)
        finish()


def _condition(table: StoredTable) -> str:
    return f" WHERE name NOT IN {_OWN_STATE}" if table.name == "store_state" else ""


def _columns(table: StoredTable) -> str:
    return ", ".join(f'"{name}"' for name in table.columns)


def _copy_table(rows: Iterator[Sequence[Any]], there: Connection, table: StoredTable) -> None:
    marks = ", ".join("?" * len(table.columns))
    insertion = f'INSERT INTO "{table.name}" ({_columns(table)}) VALUES ({marks})'
    there.execute(f'DELETE FROM "{table.name}"{_condition(table)}')  # those of a new store
    for some in batches(rows, _ROWS_AT_ONCE):
        there.executemany(insertion, some)
