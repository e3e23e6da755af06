"""A new database is created as the migrations would leave it, without their detours."""

import sqlite3
from contextlib import closing

import pytest

from runstore.storage.integrity.schema import differences_of_schema
from runstore.storage.migrations import CREATE_NOTES, combined, known_migrations
from runstore.storage.sqlite.driver import TYPES
from runstore.storage.statements import SCHEMA_VERSION

OBJECTS = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"


@pytest.fixture
def database():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        yield opened


def test_no_object_differs_from_that_of_the_migrations(database):
    for statement in (CREATE_NOTES, *combined(known_migrations())):
        database.execute(statement.format(**TYPES))

    assert differences_of_schema(database) == []


@pytest.mark.parametrize("version", [5, SCHEMA_VERSION])
def test_columns_and_rows_are_those_of_the_migrations(version):
    steps = known_migrations()[:version]
    one_by_one = [statement for step in steps for statement in step.statements]

    assert contents(combined(steps)) == contents(one_by_one)


def test_nothing_is_created_to_be_changed():
    statements = combined(known_migrations())

    assert [one for one in statements if one.split()[0] in {"ALTER", "DROP"}] == []


def contents(statements):
    """Return the columns and the rows that these statements leave."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement.format(**TYPES))
        names = [name for (name,) in database.execute(OBJECTS)]
        return {
            name: (
                database.execute(f"PRAGMA table_xinfo({name})").fetchall(),
                database.execute(f"SELECT * FROM {name}").fetchall(),  # noqa: S608 - of our own
            )
            for name in names
        }
