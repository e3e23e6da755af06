"""The tables of a store on a server: their columns and keys, and all of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runstore.storage.driver import Parameters, StoredTable
from runstore.storage.postgres.dialect import translated
from runstore.storage.postgres.functions import RAISE_BASE

_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL),
        coalesce(array_position(i.indkey::int2[], a.attnum), -1)
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attgenerated = ''
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relnamespace = current_schema()::regnamespace
        AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ORDER BY c.oid, a.attnum
"""
_KINDS = {"text": "text", "bytea": "bytes"}
_ROWS_AT_ONCE = 500
# Parameters are indexed when they are inserted, see `schema.py`.
_ADOPT = (
    "UPDATE params SET indexed = 1 WHERE indexed IS DISTINCT FROM 1",
    # The next row gets an id above those that were copied.
    *(
        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"  # noqa: S608 - constants
        f" coalesce(max(id), 0) + 1, false) FROM {table}"
        for table in ("experiments", "runs", "events", "metric_keys")
    ),
    RAISE_BASE,
)


def tables(connection: Any) -> list[StoredTable]:
    """Return all tables, each after those that it refers to."""
    found: dict[str, tuple[dict[str, str], dict[int, str]]] = {}
    for table, column, kind, place in connection.raw.execute(_COLUMNS):
        columns, key = found.setdefault(table, ({}, {}))
        columns[column] = _KINDS.get(kind, kind)
        if place >= 0:
            key[place] = column
    return [
        StoredTable(name, columns, tuple(column for _, column in sorted(key.items())) or ("ctid",))
        for name, (columns, key) in found.items()
    ]


def streamed(connection: Any, sql: str, parameters: Parameters) -> Iterator[Sequence[Any]]:
    """Yield the rows of a statement, some hundred at a time, within the open transaction."""
    from psycopg import RawServerCursor

    statement = translated(sql)
    with RawServerCursor(connection.raw, "streamed") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(statement.text, statement.values(parameters))
        yield from cursor


def adopt_rows(connection: Any) -> None:
    """Prepare for further runs after all rows were copied from another store."""
    for statement in _ADOPT:
        connection.raw.execute(statement)
