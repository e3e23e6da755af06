"""Indexing of parameters after the start of a run; see `storage/indexes/params.py`."""

NAME = "param_index"

STATEMENTS = (
    # 1 for indexed rows; all rows that exist at this step are indexed.
    "ALTER TABLE params ADD COLUMN indexed {integer} DEFAULT 1",
    "DROP INDEX params_by_key",
    """
    CREATE INDEX params_by_key ON params (key, number, text, run_id, set_index)
        WHERE indexed = 1
    """,
    """
    INSERT INTO store_state (name, value)
    SELECT 'last_run_indexed', coalesce(max(id), 0) FROM runs
    """,
)
