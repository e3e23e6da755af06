"""The index of parameters holds all that a search asks of it, `indexed` included.

Without that column, SQLite looks into the table for each entry, to be sure that it is indexed:
that took fifty times as long as going through the entries.
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
