"""Parameters as rows with an index on their values, written without delaying a start.

The parameters of a run are scattered over the index, so that ten of them cost as many pages as
everything else that a start writes. A start therefore writes only its parameter sets; the rows of
some dozens of runs are written together, by the next search or by one of the next starts:
neighbours share their pages.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runstore.errors import StoreError
from runstore.model.params.decode import is_tree
from runstore.model.params.flatten import FlatValue, flatten, is_plain
from runstore.model.params.parameter_set import ParameterSet
from runstore.storage import statements as sql
from runstore.storage.driver import Connection, Driver, Moment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Longer sets, in characters, get their rows at once.
WAITING_AT_MOST = 2_000
# Every this many runs, a start writes the waiting rows, if no search did before.
EVERY_RUNS = 64
_PATIENCE_S = 0.25

_LAST_INDEXED = """
    (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM store_state
     WHERE name = 'last_run_indexed')
"""
IS_ANY_WAITING = f"SELECT 1 FROM runs WHERE id > {_LAST_INDEXED} LIMIT 1"
# As bytes, because another program may have written an invalid text.
_WAITING = f"""
    SELECT s.run_id, s.set_index, CAST(v.tree AS BLOB)
    FROM run_params s JOIN param_values v ON v.tree_key = s.tree_key
    WHERE s.run_id > {_LAST_INDEXED} AND NOT EXISTS (
        SELECT 1 FROM params p WHERE p.run_id = s.run_id AND p.set_index = s.set_index
    )
"""
_NOTE = """
    INSERT INTO store_state (name, value)
    SELECT 'last_run_indexed', max(id) FROM runs WHERE (1 = 1)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
# A run whose start was undone frees its row id.
TAKE_BACK = f"""
    UPDATE store_state SET value = (SELECT coalesce(max(id), 0) FROM runs)
    WHERE name = 'last_run_indexed'
        AND {_LAST_INDEXED} > (SELECT coalesce(max(id), 0) FROM runs)
"""
# If rows cannot be written now, they are found in a temporary table beside the stored ones.
_SHADOW = (
    """
    CREATE TEMP TABLE waiting_params (
        run_id, set_index, key, number, text, PRIMARY KEY (run_id, set_index, key)
    ) WITHOUT ROWID
    """,
    """
    CREATE TEMP VIEW params AS
    SELECT run_id, set_index, key, number, text, indexed FROM main.params WHERE indexed = 1
    UNION ALL SELECT run_id, set_index, key, number, text, 1 FROM temp.waiting_params
    """,
)
_INSERT_SHADOW = "INSERT INTO temp.waiting_params VALUES (?, ?, ?, ?, ?)"
NOT_INDEXED = f"""
    SELECT DISTINCT r.reference FROM params p JOIN runs r ON r.id = p.run_id
    WHERE p.indexed IS NULL
    UNION SELECT r.reference FROM run_params s
    JOIN runs r ON r.id = s.run_id JOIN param_values v ON v.tree_key = s.tree_key
    WHERE s.run_id <= {_LAST_INDEXED} AND v.tree <> '{{}}' AND NOT EXISTS (
        SELECT 1 FROM params p WHERE p.run_id = s.run_id AND p.set_index = s.set_index
    )
"""


def can_wait(sets: Sequence[ParameterSet]) -> bool:
    """Check whether the rows of a new run can be written later.

    Until then, `params_flat` takes them from the values, which must be plain for that.
    """
    size = 0
    for one in sets:
        if one.tree is not None:
            size += len(one.tree)
            if size > WAITING_AT_MOST or not is_plain(one.tree):
                return False
    return True


def index_params(connection: Connection) -> None:
    """Write the waiting rows and index them, within the caller's transaction."""
    connection.executemany(sql.INSERT_PARAM, waiting_rows(connection))
    connection.execute(_NOTE)


def waiting_rows(connection: Any) -> list[tuple[Any, ...]]:
    """Return the rows that are not written yet."""
    return [
        (run_id, set_index, *entry)
        for run_id, set_index, tree in connection.execute(_WAITING).fetchall()
        for entry in _entries(tree)
    ]


def _entries(tree: bytes) -> tuple[FlatValue, ...]:
    """Return the rows of a set; none if its values are unreadable, which `doctor` reports."""
    try:
        text = tree.decode()
    except UnicodeDecodeError:
        return ()
    return flatten(text) if is_tree(text) else ()


@contextmanager
def indexed_params(driver: Driver) -> Iterator[None]:
    """Let statements with `params.indexed = 1` find every parameter inside the block."""
    if not driver.indexes_later:
        yield
        return
    is_any = driver.fetch_one(IS_ANY_WAITING) is not None
    if is_any:
        _is_indexed_now(driver)
    moment = Moment()
    try:
        with driver.read() as connection:
            _begin(connection, moment)
        yield  # uses the same connection, which is free again
    finally:
        moment.is_over = True  # before any call, within which a signal handler may raise
        with driver.read():
            pass  # ends it


def _begin(connection: Any, moment: Moment) -> None:
    """Begin a snapshot for this check and the search, unless a search was interrupted.

    A run that starts in between would be found without its parameters.
    """
    if connection.in_transaction:
        return
    connection.begin(moment)
    if connection.execute(IS_ANY_WAITING).fetchone() is not None:
        rows = waiting_rows(connection)
        for statement in _SHADOW:
            connection.execute(statement)
        connection.executemany(_INSERT_SHADOW, rows)


def _is_indexed_now(driver: Driver) -> bool:
    if driver.refusal is not None or driver.is_writing:
        return False
    try:
        with driver.hurried(_PATIENCE_S), driver.write() as connection:
            index_params(connection)
    except StoreError:
        return False
    return True
