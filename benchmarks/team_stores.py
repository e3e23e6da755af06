"""Fills stores on a server quickly: the runs of `runs_to_find.py`, copied table by table."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier
from runs_to_find import MINUTE
from runs_to_find import fill as fill_folder

from runstore import Store
from runstore.storage.sqlite.paths import DATABASE

# More runs are copies of these, made on the server.
AT_ONCE = 100_000
NEXT_ID = SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), (SELECT max(id) FROM {}))")
_COLUMNS = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = %s AND is_generated = 'NEVER'
    ORDER BY ordinal_position
"""
_TABLES = (
    *("experiments", "runs", "param_values", "run_params", "params", "documents"),
    *("run_documents", "metric_keys", "metric_summaries", "artifacts", "inputs", "tags"),
    *("fact_values", "run_facts"),
)
# Columns of copies that differ from those of the first runs: `{at}` is the id of the run before.
_OWN = {
    "id": "id + {at}",
    "run_id": "run_id + {at}",
    "uid": "lpad(to_hex(id + {at}), 32, '0')",
    "run_number": "run_number + {at}",
    "reference": "split_part(reference, '_', 1) || '_' || split_part(reference, '_', 2) || '_'"
    " || (run_number + {at})",
    "started_at": f"started_at + {{at}}::bigint * {MINUTE}",
    "ended_at": f"ended_at + {{at}}::bigint * {MINUTE}",
    "last_seen_at": f"last_seen_at + {{at}}::bigint * {MINUTE}",
    "changed": "changed + {at}",
    "tree_key": "(tree_key::bigint + {at})::text",
    "digest": "digest || '.{at}'",
    "hash": "hash || '.{at}'",
}
# Searches read indexes alone if the pages of the rows are marked, which VACUUM does not do while a
# transaction is open, such as that of autovacuum.
_IS_MARKED = """
    SELECT sum(relallvisible) > 0.95 * sum(relpages) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
"""
_VACUUMS = 10
_COPIED = ("runs", "param_values", "run_params", "params", "metric_summaries", "artifacts")
_COPIED_AS_THEY_ARE = {"run_documents": {"hash"}, "inputs": {"digest"}, "tags": set[str]()}


def fill(url: str, count: int) -> None:
    """Make a store of this many finished runs in an empty database."""
    Store.open(url).close()
    first = min(count, AT_ONCE)
    with tempfile.TemporaryDirectory() as folder, psycopg.connect(url) as server:
        fill_folder(Path(folder), first)
        kept = sqlite3.connect(Path(folder) / DATABASE)
        for table in _TABLES:
            copy(kept, server, table)
        kept.close()
        for at in range(first, count, first):
            multiply(server, at, min(first, count - at))
        for table in ("experiments", "runs", "metric_keys"):
            server.execute(NEXT_ID.format(table, Identifier(table)))
        server.execute("UPDATE experiments SET last_run_number = %s", (count,))
    with psycopg.connect(url, autocommit=True) as server:
        for _ in range(_VACUUMS):
            server.execute("VACUUM ANALYZE")
            if server.execute(_IS_MARKED).fetchone() == (True,):
                break


def columns_of(server: psycopg.Connection, table: str) -> list[str]:
    """Return the columns of a table."""
    return [row[0] for row in server.execute(_COLUMNS, (table,))]


def copy(kept: sqlite3.Connection, server: psycopg.Connection, table: str) -> None:
    """Copy the rows of a table."""
    there = {row[1] for row in kept.execute(f"PRAGMA table_info({table})")}
    names = [name for name in columns_of(server, table) if name in there]
    statement = SQL("COPY {} ({}) FROM STDIN").format(
        Identifier(table), SQL(", ").join(map(Identifier, names))
    )
    with server.cursor().copy(statement) as rows:
        for row in kept.execute(f"SELECT {', '.join(names)} FROM {table}"):  # noqa: S608 - our own names
            rows.write_row(row)


def multiply(server: psycopg.Connection, at: int, count: int) -> None:
    """Add copies of the first runs behind the first `at` of them."""
    for table in (*_COPIED, *_COPIED_AS_THEY_ARE, "run_facts"):
        names = columns_of(server, table)
        left = _COPIED_AS_THEY_ARE.get(table, set())
        if "id" in names or "run_id" in names:
            last = "id" if "id" in names else "run_id"
        else:
            last = "tree_key::bigint"
        own = [name if name in left else _OWN.get(name, name).format(at=at) for name in names]
        server.execute(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(own)} FROM {table}"  # noqa: S608 - our own names
            f" WHERE {last} <= {count}"
        )
    server.commit()


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]))
