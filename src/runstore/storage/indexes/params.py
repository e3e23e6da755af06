"""The index of parameters by their values, which searches need and a start does not wait for.

Each parameter of a run lies elsewhere in the index, so that ten of them cost as many pages as all
else that a start writes. They wait, at most those of some dozens of runs, and are put into the
index together, by the next search or by one of the next starts: neighbours share their pages.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runstore.errors import StoreError
from runstore.storage.driver import Connection, Driver

# Parameters of larger runs are put into the index at once.
WAITING_AT_MOST = 50
# So often a start puts in what waits, if no search did before.
EVERY_RUNS = 64
_PATIENCE_S = 0.25

_LAST_INDEXED = """
    (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM store_state
     WHERE name = 'last_run_indexed')
"""
IS_ANY_WAITING = f"SELECT 1 FROM runs WHERE id > {_LAST_INDEXED} LIMIT 1"
_INDEX = f"UPDATE params SET indexed = 1 WHERE run_id > {_LAST_INDEXED} AND indexed IS NULL"
_NOTE = """
    INSERT INTO store_state (name, value)
    SELECT 'last_run_indexed', max(id) FROM runs WHERE (1 = 1)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
# A run whose start was undone gives its row id back.
TAKE_BACK = f"""
    UPDATE store_state SET value = (SELECT coalesce(max(id), 0) FROM runs)
    WHERE name = 'last_run_indexed'
        AND {_LAST_INDEXED} > (SELECT coalesce(max(id), 0) FROM runs)
"""
# What cannot be put into the index now is found beside it.
_SHADOW = f"""
    CREATE TEMP VIEW params AS
    SELECT run_id, set_index, key, number, text, indexed FROM main.params WHERE indexed = 1
    UNION ALL
    SELECT run_id, set_index, key, number, text, 1 FROM main.params
    WHERE run_id > {_LAST_INDEXED.replace("store_state", "main.store_state")} AND indexed IS NULL
"""
NOT_INDEXED = f"""
    SELECT DISTINCT r.reference FROM params p JOIN runs r ON r.id = p.run_id
    WHERE p.indexed IS NULL AND p.run_id <= {_LAST_INDEXED}
"""


def index_params(connection: Connection) -> None:
    """Put what waits into the index, within the caller's transaction."""
    connection.execute(_INDEX)
    connection.execute(_NOTE)


@contextmanager
def indexed_params(driver: Driver) -> Iterator[None]:
    """Let statements with `params.indexed = 1` find every parameter within the block."""
    with driver.read() as connection:
        is_any = connection.execute(IS_ANY_WAITING).fetchone() is not None
    if is_any:
        _is_indexed_now(driver)
    with driver.read() as connection:
        began = _began_a_moment(connection)
    try:
        yield  # has the same connection, which is free again
    finally:
        if began:
            with driver.read() as connection:
                _end_the_moment(connection)


def _began_a_moment(connection: Any) -> bool:
    """Let this look and the search see one moment; False if they do already.

    A run that starts in between would be found, its parameters would not.
    """
    if connection.in_transaction:  # whoever was interrupted searches
        return False
    connection.execute("BEGIN")
    try:
        if connection.execute(IS_ANY_WAITING).fetchone() is not None:
            connection.execute(_SHADOW)
    except BaseException:
        _end_the_moment(connection)
        raise
    return True


def _end_the_moment(connection: Any) -> None:
    if connection.in_transaction:  # a fork may have closed the one that began
        connection.execute("ROLLBACK")


def _is_indexed_now(driver: Driver) -> bool:
    if driver.refusal is not None or driver.is_writing:
        return False
    try:
        with driver.hurried(_PATIENCE_S), driver.write() as connection:
            index_params(connection)
    except StoreError:
        return False
    return True
