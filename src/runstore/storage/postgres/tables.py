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
_OWNED = """
    SELECT c.relname, pg_has_role(c.relowner, 'USAGE') FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' ORDER BY c.oid
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
    statement = translated(sql)
    declared = f"DECLARE streamed NO SCROLL CURSOR FOR {statement.text}"
    connection.raw.execute(declared, statement.values(parameters))
    while rows := connection.execute(f"FETCH {_ROWS_AT_ONCE} FROM streamed").fetchall():
        yield from rows
    connection.raw.execute("CLOSE streamed")


def adopt_rows(connection: Any) -> None:
    """Prepare for further runs after all rows were copied from another store."""
    for statement in (*_ADOPT, RAISE_BASE):
        connection.raw.execute(statement)


def wipe(connection: Any) -> list[str]:
    """Rewrite all tables without old rows, and return those of other roles."""
    found = connection.raw.execute(_OWNED).fetchall()
    for name, is_ours in found:
        if is_ours:
            connection.raw.execute(f'VACUUM (FULL) "{name}"')
    return [name for name, is_ours in found if not is_ours]
