"""The tables and views of a store, told from what somebody else put into its database.

A trigger would change what is recorded, and a view in the place of a table may never end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from runstore.errors import StoreCorruptError, visible
from runstore.storage.driver import Connection
from runstore.storage.sqlite.driver import SQLiteDriver

_SHOWN = 3
SCHEMA = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def refuse(driver: SQLiteDriver, found: Sequence[tuple[str, str]]) -> None:
    """Refuse to write where there are triggers, and to read what stands in our tables' place.

    Args:
        driver: The database.
        found: What `FOREIGN` found; at least one.

    Raises:
        StoreCorruptError: There is a view or a virtual table that runstore did not make.
    """
    shown = [(kind, visible(str(name))) for kind, name in found[:_SHOWN]]
    are_triggers = all(kind == "trigger" for kind, _ in found)
    error = StoreCorruptError(
        f"{driver.path} holds what runstore did not make and what could do harm:"
        f" {', '.join(f'{kind} {name}' for kind, name in shown)}.",
        kept=f"Nothing was changed{'; reading still works' if are_triggers else ''}.",
        hint="If you trust the rest, run in sqlite3: "
        + " ".join(f'DROP {kind.upper()} "{name}";' for kind, name in shown),
    )
    if not are_triggers:
        raise error
    driver.refuse_writes(error)


def differences_of_schema(connection: Connection) -> list[str]:
    """Return the tables, indexes, views and triggers that are not as migrations make them."""
    import sqlite3

    from runstore.storage.migrations import CREATE_NOTES, known_migrations
    from runstore.storage.sqlite.driver import TYPES

    model = sqlite3.connect(":memory:", isolation_level=None)
    try:
        model.execute(CREATE_NOTES.format(**TYPES))
        for step in known_migrations():
            for statement in step.statements:
                model.execute(statement.format(**TYPES))
        wanted = _texts(model.execute(SCHEMA).fetchall())
    finally:
        model.close()
    found = _texts(connection.execute(SCHEMA).fetchall())
    return sorted(
        f"{kind} {name}"
        for kind, name in wanted.keys() | found.keys()
        if wanted.get((kind, name)) != found.get((kind, name))
    )


def _texts(rows: Iterable[Any]) -> dict[tuple[str, str], str]:
    """Return the statement of each object, however its words are quoted and spaced."""
    return {
        (str(kind), str(name)): "".join(str(sql).replace('"', "").split())
        for kind, name, sql in rows
    }
