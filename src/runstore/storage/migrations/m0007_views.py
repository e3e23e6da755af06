"""Views of the store for other programs, with readable columns and one row per thing.

They contain no data, so that a later step can drop and recreate one; a step that renames their
columns must do so. SQLite parses them at each opening, hence short texts without needless
prefixes. Values combined from many rows are subqueries, which cost nothing unless their column is
selected.

DuckDB parses these texts and passes its own wording to SQLite, which cannot express `count(*)`.
PostgreSQL has other names for `strftime`, `printf`, `json` and `json_group_object`.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

NAME = "views"


def _utc(column: str) -> str:
    """Return a time as ISO 8601 text; all have one length, so that they sort as times do."""
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column} / 1000000.0, 'unixepoch')"


_RUN = "run_id, reference, experiment, run_number"


def runs_view(last: str) -> str:
    """Return the statement for the view of runs, from the last value of a metric for JSON."""
    return f"""
    CREATE VIEW runs_flat AS SELECT
        r.id AS run_id, reference, e.name AS experiment, run_number, uid, status,
        {_utc("started_at")} AS started_at, {_utc("ended_at")} AS ended_at,
        (ended_at - started_at) / 1000000.0 AS duration_s, exit_code, error, notes, commit_hash,
        workdir_dirty, cli, hostname, parent_uid,
        (SELECT CASE count(name) WHEN 1 THEN max(tree)
            ELSE json_group_object(name, json(tree)) END
        FROM run_params LEFT JOIN param_values USING (tree_key) WHERE run_id = r.id) AS params,
        (SELECT json_group_object(coalesce(name || '/', '') || key, {last})
        FROM metric_summaries JOIN metric_keys ON id = key_id
        LEFT JOIN run_params USING (run_id, set_index) WHERE run_id = r.id) AS metrics,
        (SELECT json_group_object(key, value) FROM tags WHERE run_id = r.id) AS tags,
        facts
    FROM runs r JOIN experiments e ON e.id = experiment_id WHERE deleted_at IS NULL
    """


# JSON has no infinities, whose difference is NaN.
STATEMENTS = (
    runs_view("CASE WHEN last - last = 0 THEN last END"),
    f"""
    CREATE VIEW params_flat AS SELECT
        {_RUN}, file, name AS set_name, hash, key, number, text,
        coalesce(text, printf('%.15g', number)) AS value
    FROM params JOIN run_params USING (run_id, set_index) JOIN runs_flat USING (run_id)
    """,
    f"""
    CREATE VIEW metrics_flat AS SELECT
        {_RUN}, name AS set_name, key, count, nan_count, first, last, min, max,
        total / nullif(count - nan_count, 0) AS mean, last_step, {_utc("last_at")} AS last_at
    FROM metric_summaries JOIN metric_keys ON id = key_id JOIN runs_flat USING (run_id)
    LEFT JOIN run_params USING (run_id, set_index)
    """,
    f"""
    CREATE VIEW tags_flat AS SELECT {_RUN}, key, value
    FROM tags JOIN runs_flat USING (run_id)
    """,
    f"""
    CREATE VIEW artifacts_flat AS SELECT
        {_RUN}, path, size_bytes, media_type, digest, {_utc("saved_at")} AS saved_at
    FROM artifacts JOIN runs_flat USING (run_id)
    """,
    f"""
    CREATE VIEW inputs_flat AS SELECT
        {_RUN}, name, location, size_bytes, digest, {_utc("modified_at")} AS modified_at,
        source_uid, {_utc("used_at")} AS used_at
    FROM inputs JOIN runs_flat USING (run_id)
    """,
    f"""
    CREATE VIEW events_flat AS SELECT
        {_RUN}, {_utc('"at"')} AS happened_at, author, field, old, new
    FROM events JOIN runs_flat USING (run_id)
    """,
)
