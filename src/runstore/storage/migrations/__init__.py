"""Forward-only schema migrations, and how a database applies them.

Each step is one module, `m0001_runs.py` and so on, with `NAME` and `STATEMENTS`. A step after
those that `storage/postgres/schema.py` begins with has `ON_SERVER` as well, if its statements
differ in PostgreSQL. A step runs in
one transaction together with the note that it ran; a new database takes all steps in one. Words
in braces (`{identity}`, `{text}`) are column types whose names depend on the engine; the driver
fills them in.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from runstore.storage.driver import Connection, Driver

SCHEMA_VERSION = 15
_MODULES = (
    "m0001_runs",
    "m0002_metrics",
    "m0003_products",
    "m0004_finding",
    "m0005_trash",
    "m0006_already_ran",
    "m0007_views",
    "m0008_filters",
    "m0009_hashes",
    "m0010_param_index",
    "m0011_waiting_params",
    "m0012_levels",
    "m0013_params_view",
    "m0014_covering_params",
    "m0015_edits_by_time",
)

# Later steps add tables, indexes, and views for other programs: if they cannot be applied because
# the database is read-only, an older database is read as if these tables were empty.
OLDEST_READ = 11

CREATE_NOTES = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version {integer} PRIMARY KEY,
        name {text} NOT NULL,
        applied_at {integer} NOT NULL
    )
"""
ADD_NOTE = """
    INSERT INTO schema_migrations (version, name, applied_at) VALUES (:version, :name, :applied_at)
"""
# Objects that no migration creates: the names of its views end with `_flat`.
FOREIGN = """
    SELECT type, name FROM sqlite_schema WHERE type = 'trigger'
        OR (type = 'view' AND name NOT LIKE '%\\_flat' ESCAPE '\\')
        OR (type = 'table' AND sql LIKE 'CREATE VIRTUAL%')
"""
CURRENT_VERSION = "SELECT coalesce(max(version), 0) FROM schema_migrations"


class Migration(NamedTuple):
    """One step: its number, its name, and its statements, for SQLite and for PostgreSQL."""

    version: int
    name: str
    statements: tuple[str, ...]
    on_server: tuple[str, ...] = ()


def known_migrations() -> tuple[Migration, ...]:
    """Return every step known to this library, in order."""
    steps = []
    for version, module_name in enumerate(_MODULES, 1):
        module = importlib.import_module(f"{__name__}.{module_name}")
        on_server = getattr(module, "ON_SERVER", module.STATEMENTS)
        made = Migration(version, module.NAME, tuple(module.STATEMENTS), tuple(on_server))
        steps.append(made)
    return tuple(steps)


def migrate(driver: Driver, migrations: Sequence[Migration] | None = None) -> int:
    """Apply all missing steps, and return the version reached.

    A file with runs is copied aside before its first step. Two processes may do this at the same
    time: the second one finds the notes of the first and does nothing.
    """
    steps = known_migrations() if migrations is None else migrations
    with driver.write() as connection:
        connection.execute(CREATE_NOTES.format(**driver.types))
        found = current_version(connection)
        if found == 0:  # one sync to disk instead of one for each step
            _apply(steps, driver, connection)
            return len(steps)
    if found < len(steps):
        driver.copy_aside(f"before-schema-{found + 1:04d}")
    for step in steps:
        with driver.write() as connection:
            if current_version(connection) < step.version:
                _apply([step], driver, connection)
    return len(steps)


def _apply(steps: Iterable[Migration], driver: Driver, connection: Connection) -> None:
    for step in steps:
        for statement in step.statements:
            connection.execute(statement.format(**driver.types))
        note = {"version": step.version, "name": step.name, "applied_at": time.time_ns() // 1000}
        connection.execute(ADD_NOTE, note)


def stand_ins(version: int, types: Mapping[str, str]) -> list[str]:
    """Return statements that create the missing tables of an older database as temporary ones.

    Args:
        version: `OLDEST_READ` or later.
        types: Column types of the driver.
    """
    return [
        statement.format(**types).replace("CREATE TABLE", "CREATE TEMP TABLE", 1)
        for step in known_migrations()[version:]
        for statement in step.statements
        if statement.lstrip().startswith("CREATE TABLE")  # reading needs no views and no indexes
    ]


def current_version(connection: Connection) -> int:
    """Return the number of the last step applied; 0 for none."""
    return int(connection.execute(CURRENT_VERSION).fetchone()[0])
