"""The tables of a store in a file, with their columns and keys."""

from __future__ import annotations

from runstore.storage.driver import Connection, StoredTable

_TABLES = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    ORDER BY rowid
"""
_KINDS = {"TEXT": "text", "BLOB": "bytes"}


def tables(connection: Connection) -> list[StoredTable]:
    """Return all tables, in the order of their creation."""
    return [_table(connection, name) for (name,) in connection.execute(_TABLES).fetchall()]


def _table(connection: Connection, name: str) -> StoredTable:
    info = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
    columns = {row[1]: _KINDS.get(row[2].upper(), row[2].lower()) for row in info}
    key = tuple(row[1] for row in sorted(info, key=lambda row: row[5]) if row[5])
    return StoredTable(name, columns, key or ("rowid",))
