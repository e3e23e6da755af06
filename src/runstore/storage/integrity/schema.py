"""Checks of a store's schema for foreign objects.

A trigger could change recorded data, and a view in place of a table may never end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import Any

from runstore.errors import StoreCorruptError, visible
from runstore.storage.driver import Connection
from runstore.storage.sqlite.driver import SQLiteDriver

_SHOWN = 3
SCHEMA = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def refuse(driver: SQLiteDriver, found: Sequence[tuple[str, str]]) -> None:
    """Refuse writes if there are foreign triggers, and reads if there are other foreign objects.

    Raises:
        StoreCorruptError: There is a foreign view or virtual table.
    """
    shown = [(kind, visible(str(name))) for kind, name in found[:_SHOWN]]
    are_triggers = all(kind == "trigger" for kind, _ in found)
    error = StoreCorruptError(
        f"{driver.path} contains foreign objects that could do harm:"
        f" {', '.join(f'{kind} {name}' for kind, name in shown)}.",
        kept=f"Nothing was changed{'; reading still works' if are_triggers else ''}.",
        hint="If you trust the rest, run in sqlite3: "
        + " ".join(f'DROP {kind.upper()} "{name}";' for kind, name in shown),
    )
    if not are_triggers:
        raise error
    driver.refuse_writes(error)


def differences_of_schema(connection: Connection) -> list[str]:
    """Return tables, indexes, views and triggers that differ from those of the migrations."""
    wanted = _of_migrations()
    found = _texts(connection.execute(SCHEMA).fetchall())
    return sorted(
        f"{kind} {name}"
        for kind, name in wanted.keys() | found.keys()
        if wanted.get((kind, name)) != found.get((kind, name))
    )


@cache
def _of_migrations() -> Mapping[tuple[str, str], str]:
    import sqlite3

    from runstore.storage.migrations import CREATE_NOTES, known_migrations
    from runstore.storage.sqlite.driver import TYPES

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as model:
        model.execute(CREATE_NOTES.format(**TYPES))
        for step in known_migrations():
            for statement in step.statements:
                model.execute(statement.format(**TYPES))
        return _texts(model.execute(SCHEMA).fetchall())


def _texts(rows: Iterable[Any]) -> dict[tuple[str, str], str]:
    """Return the statement of each object, normalising quotes and whitespace."""
    return {
        (str(kind), str(name)): "".join(str(sql).replace('"', "").split())
        for kind, name, sql in rows
    }
