"""Writing of `params` rows after the start of a run; see `storage/indexes/params.py`.

The view reads waiting parameters from the values themselves, which are plain, so that `json_each`
splits them as `model/params/flatten.py` does. It does so through a second view, because DuckDB
puts the parts of a union into parentheses, which SQLite rejects.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

NAME = "waiting_params"

LAST = """coalesce(
    (SELECT CAST(value AS INTEGER) FROM store_state WHERE name = 'last_run_indexed'), 0)"""


def selected(key: str, number: str, text: str, digits: str = "'%.15g'") -> str:
    """Return the columns of the view, from those of a value and the format of its number."""
    return (
        "SELECT run_id, reference, experiment, run_number, file, name AS set_name, hash,"
        f" {key} AS key, {number} AS number, {text} AS text, coalesce({text},"
        f" CASE WHEN {number} IS NOT NULL THEN printf({digits}, {number}) END) AS value"
    )


STORED = ("key", "number", "text")
# With the types of the table's columns: SQLite treats a union of the same types as one table.
IN_JSON = (
    "CAST(key AS TEXT)",
    "CAST(CASE WHEN type <> 'text' THEN value END AS REAL)",
    """CAST(CASE type WHEN 'text' THEN value WHEN 'true' THEN type WHEN 'false' THEN type END
        AS TEXT)""",
)

STATEMENTS = (
    # From now on, every existing row is indexed.
    f"UPDATE params SET indexed = 1 WHERE run_id > {LAST} AND indexed IS NULL",
    """
    UPDATE store_state SET value = (SELECT coalesce(max(id), 0) FROM runs)
    WHERE name = 'last_run_indexed'
    """,
    "DROP VIEW params_flat",
    f"""
    CREATE VIEW param_values_flat AS {selected(*STORED)}
    FROM params JOIN run_params USING (run_id, set_index) JOIN runs_flat USING (run_id)
    WHERE indexed = 1
    UNION ALL {selected(*IN_JSON)}
    FROM run_params s JOIN param_values USING (tree_key) JOIN runs_flat USING (run_id),
        json_each(tree)
    WHERE s.run_id > {LAST} AND NOT EXISTS (
        SELECT 1 FROM params p WHERE p.run_id = s.run_id AND p.set_index = s.set_index)
    """,
    """
    CREATE VIEW params_flat AS SELECT
        run_id, reference, experiment, run_number, file, set_name, hash, key, number, text, value
    FROM param_values_flat
    """,
)
