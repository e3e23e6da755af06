"""The index of parameters covers all columns that a search reads, including `indexed`.

Without that column, SQLite looks up the table row of each entry to check that it is indexed: that
took fifty times as long as scanning the entries.
"""

from __future__ import annotations

NAME = "covering_params"

STATEMENTS = (
    "DROP INDEX params_by_key",
    """
    CREATE INDEX params_by_key ON params (key, number, text, run_id, set_index, indexed)
        WHERE indexed = 1
    """,
)
