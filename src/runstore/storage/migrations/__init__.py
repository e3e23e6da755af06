"""Forward-only schema migrations, and how a database applies them.

Each step is one module, `m0001_runs.py` and so on, with `NAME` and `STATEMENTS`. A step after
those that `storage/postgres/schema.py` begins with has `ON_SERVER` as well, if its statements
differ in PostgreSQL. A step runs in one transaction together with the note that it ran; a new
database takes all steps in one, without creating anything that a later step changes. Words in
braces (`{identity}`, `{text}`) are column types whose names depend on the engine; the driver fills
them in.
"""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain

from runstore.storage.driver import Connection, Driver
from runstore.storage.statements import CURRENT_VERSION
from runstore.value_classes import NamedTuple

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
    "m0016_exact_views",
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
# Before the first condition of a whole table, or else the last parenthesis.
_END_OF_COLUMNS = re.compile(r",\s*(?=PRIMARY KEY \(|UNIQUE \()|\s*\)[^)]*$")


class Migration(NamedTuple):
    """One step: its number, its name, and its statements, for SQLite and for PostgreSQL."""

    version: int
    name: str
    statements: tuple[str, ...]
    on_server: tuple[str, ...] = ()


@cache
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
            _execute(combined(tuple(steps)), driver, connection)
            for step in steps:
                note(step, connection)
            return len(steps)
    if found < len(steps):
        driver.copy_aside(f"before-schema-{found + 1:04d}")
    for step in steps:
        with driver.write() as connection:
            if current_version(connection) < step.version:
                _execute(step.statements, driver, connection)
                note(step, connection)
    return len(steps)


@cache
def combined(steps: tuple[Migration, ...]) -> tuple[str, ...]:
    """Return statements for a new database that have the same result, in half the time.

    Added columns are part of their tables, and what a later step drops is not created.
    """
    made: dict[str, str] = {}
    of_rows = []
    for statement in chain.from_iterable(step.statements for step in steps):
        verb, _, name, rest = [*statement.split(maxsplit=3), ""][:4]
        if verb == "CREATE":
            made[name] = statement
        elif verb == "DROP":
            del made[name]
        elif verb == "ALTER":
            column = rest.removeprefix("ADD COLUMN ")
            made[name] = _END_OF_COLUMNS.sub(rf", {column}\g<0>", made[name], count=1)
        else:
            of_rows.append(statement)
    return (*made.values(), *of_rows)


def _execute(statements: Iterable[str], driver: Driver, connection: Connection) -> None:
    for statement in statements:
        connection.execute(statement.format(**driver.types))


def note(step: Migration, connection: Connection) -> None:
    """Note that a migration was applied."""
    row = {"version": step.version, "name": step.name, "applied_at": time.time_ns() // 1000}
    connection.execute(ADD_NOTE, row)


def stand_ins(version: int, types: Mapping[str, str]) -> list[str]:
    """Return statements that create the missing tables of an older database as temporary ones.

    Its version is `OLDEST_READ` or later.
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
