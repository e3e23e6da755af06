"""The tables of a store in a file: their columns and keys, and all of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runstore.storage.driver import Connection, Parameters, StoredTable

_TABLES = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    ORDER BY rowid
"""
_KINDS = {"TEXT": "text", "BLOB": "bytes"}
_ADOPT = """
    UPDATE store_state SET value = (SELECT coalesce(max(id), 0) FROM runs)
    WHERE name = 'last_run_indexed'
"""


def tables(connection: Connection) -> list[StoredTable]:
    """Return all tables, in the order of their creation."""
    return [_table(connection, name) for (name,) in connection.execute(_TABLES).fetchall()]


def _table(connection: Connection, name: str) -> StoredTable:
    info = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
    columns = {row[1]: _KINDS.get(row[2].upper(), row[2].lower()) for row in info}
    key = tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5])
    return StoredTable(name, columns, key or ("rowid",))


def streamed(connection: Connection, sql: str, parameters: Parameters) -> Iterator[Sequence[Any]]:
    """Yield the rows of a statement as they are read."""
    yield from connection.execute(sql, parameters)


def adopt_rows(connection: Connection) -> None:
    """Prepare for further runs after all rows were copied from another store."""
    connection.execute(_ADOPT)
