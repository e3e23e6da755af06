"""The view of parameters, such that DuckDB reads the newest ones as SQLite does.

DuckDB executes a view itself if it knows all of its functions, and its `json_each` reports types
differently. `likely`, which changes nothing, exists only in SQLite: so SQLite reads the view of
waiting parameters. All of its columns are texts for DuckDB then, whose `REAL` has four bytes. Both
parts of the union have columns and expressions of one type, because SQLite would not use an index
otherwise.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from runstore.storage.migrations.m0011_waiting_params import IN_JSON, LAST, STORED, selected

NAME = "params_view"


def params_views(in_json: str, stored: str, number: str) -> tuple[str, str]:
    """Return the statements for both views.

    Args:
        in_json: The columns of waiting values.
        stored: The columns of stored values.
        number: The number of a waiting value, from its columns.
    """
    return (
        f"""
    CREATE VIEW waiting_params_flat AS {in_json}
    FROM run_params s JOIN param_values USING (tree_key) JOIN runs_flat USING (run_id),
        json_each(tree)
    WHERE likely(s.run_id > {LAST}) AND NOT EXISTS (
        SELECT 1 FROM params p WHERE p.run_id = s.run_id AND p.set_index = s.set_index)
    """,
        f"""
    CREATE VIEW params_flat AS {stored}
    FROM params JOIN run_params USING (run_id, set_index) JOIN runs_flat USING (run_id)
    WHERE indexed = 1
    UNION ALL SELECT CAST(run_id AS BIGINT), reference, experiment, run_number, file, set_name,
        hash, key, CAST({number} AS DOUBLE), text, coalesce(value, NULL)
    FROM waiting_params_flat
    """,
    )


STATEMENTS = (
    "DROP VIEW params_flat",
    "DROP VIEW param_values_flat",
    *params_views(selected(*IN_JSON), selected(*STORED), "number"),
)
