"""Parts of the tables on a server that are missing, and their restoration if they hold no data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from runstore.errors import StoreCorruptError, StoreError, StoreReadOnlyError
from runstore.storage.driver import Connection
from runstore.storage.migrations import known_migrations
from runstore.storage.postgres import schema
from runstore.storage.postgres.functions import COLUMN_FUNCTIONS, FUNCTIONS
from runstore.storage.postgres.views import VIEWS

if TYPE_CHECKING:
    from runstore.storage.postgres.driver import PostgresDriver

# Kind and name.
Part = tuple[str, str]

_MADE = re.compile(r"CREATE (TABLE|INDEX|STATISTICS|VIEW|FUNCTION) (\w+)")
_COLUMN = re.compile(r"^ {8}([a-z]\w*) ", re.MULTILINE)
_KEY = re.compile(
    r"^ {8}(?:([a-z]\w*) .*)?\b(PRIMARY KEY|UNIQUE)(?: \(([^)]+)\))?(?: INCLUDE \((\w+)\))?",
    re.MULTILINE,
)
_FOUND = """
    SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'r' THEN 'table' WHEN 'p' THEN 'table'
        ELSE 'index' END, c.relname, ''
    FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
        AND c.relkind IN ('v', 'r', 'p', 'i', 'I')
    UNION ALL
    SELECT 'column', c.relname || '.' || a.attname, ''
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT 'statistics', s.stxname, '' FROM pg_statistic_ext s
    WHERE s.stxnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'function', p.proname, p.prosrc FROM pg_proc p
    WHERE p.pronamespace = current_schema()::regnamespace
"""


def missing(connection: Connection) -> list[Part]:
    """Return parts that are missing, and functions of another version."""
    rows = connection.execute(_FOUND).fetchall()
    found = {(kind, name): body for kind, name, body in rows}
    # The body of a function is a part of its statement; other parts have none.
    lacking = [
        part
        for part, statement in _parts().items()
        if part not in found or found[part] not in statement
    ]
    tables = {name for kind, name in lacking if kind == "table"}
    return [
        part for part in lacking if part[0] != "column" or part[1].partition(".")[0] not in tables
    ]


def restore(driver: PostgresDriver, tell: Callable[[str], None]) -> None:
    """Create missing parts again, except for tables and columns of data; tell users which.

    Raises:
        StoreReadOnlyError: The role may not change the tables.
        StoreCorruptError: Other parts are missing.
    """
    with driver.read() as connection:
        before = missing(connection)
    statements = _parts()
    for part in before:
        if statement := statements[part]:
            _create(driver, statement.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    with driver.read() as connection:
        after = missing(connection) if before else []
    if restored := [" ".join(part) for part in before if part not in after]:
        tell(f"Missing parts of {driver.path} were restored: {', '.join(restored)}.")
    # Other parts can be restored together with these.
    lost = [part for part in after if not statements[part]] or after
    if lost:
        raise StoreCorruptError(
            f"{driver.path} lacks a part of its tables: {', '.join(map(' '.join, lost))}.",
            kept="Nothing was removed.",
            hint="Restore the database from a backup.",
        )


def _create(driver: PostgresDriver, statement: str) -> None:
    try:
        with driver.write() as connection:
            connection.raw.execute(statement)
    except StoreReadOnlyError:
        raise
    except StoreError:  # a part that it needs is missing, or a key is not unique any more
        pass


def _parts() -> dict[Part, str]:
    """Return the statement of each part, in an order in which they can be created.

    The statement is empty if the part held data.
    """
    parts: dict[Part, str] = {}
    tables = schema.table_statements()
    parts.update(_made(COLUMN_FUNCTIONS))
    parts.update(dict.fromkeys(_made([*tables, *schema.partitions(), *_later()]), ""))
    for statement in tables:
        parts.update(_columns(statement))
    parts.update(_made(FUNCTIONS))
    for statement in tables:
        parts.update(_keys(statement))
    parts.update(_made([*schema.INDEXES, *VIEWS]))
    return parts


def _later() -> list[str]:
    later = known_migrations()[schema.FIRST_VERSION :]
    return [statement for step in later for statement in step.on_server]


def _made(statements: Iterable[str]) -> dict[Part, str]:
    return {
        (kind.lower(), name): statement
        for statement in statements
        for kind, name in _MADE.findall(statement)
    }


def _columns(statement: str) -> dict[Part, str]:
    ((_, table),) = _MADE.findall(statement)
    made = {}
    for column in _COLUMN.findall(statement):
        computed = schema.GENERATED.get(column)
        add = f"ALTER TABLE {table} ADD COLUMN {computed}" if computed else ""
        made["column", f"{table}.{column}"] = add
    return made


def _keys(statement: str) -> dict[Part, str]:
    """Return the indexes of the keys of a table, under the names that the server gives them."""
    ((_, table),) = _MADE.findall(statement)
    made = {}
    for column, kind, columns, also in _KEY.findall(statement):
        of = (columns or column) + (f", {also}" if also else "")
        name = "pkey" if kind == "PRIMARY KEY" else f"{of.replace(', ', '_')}_key"
        key = f"({columns or column})" + (f" INCLUDE ({also})" if also else "")
        made["index", f"{table}_{name}"] = f"ALTER TABLE {table} ADD {kind} {key}"
    return made
