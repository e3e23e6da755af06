"""Views of the store for other programs, with the columns of those in SQLite."""

# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations


def _utc(column: str) -> str:
    """Return a time as ISO 8601 text with milliseconds, rounded as by SQLite."""
    return (
        f"to_char(to_timestamp(round({column} / 1000.0) / 1000.0) AT TIME ZONE 'UTC',"
        ' \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'
    )


_RUN = "r.run_id, r.reference, r.experiment, r.run_number"

VIEWS = (
    f"""
    CREATE VIEW runs_flat AS SELECT
        r.id AS run_id, reference, e.name AS experiment, run_number, uid, status,
        {_utc("started_at")} AS started_at, {_utc("ended_at")} AS ended_at,
        ((ended_at - started_at) / 1000000.0)::double precision AS duration_s, exit_code, error,
        notes, commit_hash, workdir_dirty, cli, hostname, parent_uid,
        (SELECT CASE count(name) WHEN 1 THEN max(tree)
            ELSE coalesce(json_object_agg(coalesce(name, ''),
                CASE WHEN is_json(tree) THEN tree::json END)::text, '{{}}') END
        FROM run_params p LEFT JOIN param_values v ON v.tree_key = p.tree_key
        WHERE p.run_id = r.id) AS params,
        (SELECT coalesce(json_object_agg(coalesce(p.name || '/', '') || k.key,
            CASE WHEN abs(m.last) < 'infinity' THEN m.last END)::text, '{{}}')
        FROM metric_summaries m JOIN metric_keys k ON k.id = m.key_id
        LEFT JOIN run_params p ON p.run_id = m.run_id AND p.set_index = m.set_index
        WHERE m.run_id = r.id) AS metrics,
        (SELECT coalesce(json_object_agg(key, value)::text, '{{}}')
        FROM tags t WHERE t.run_id = r.id) AS tags,
        facts
    FROM runs r JOIN experiments e ON e.id = experiment_id WHERE deleted_at IS NULL
    """,
    f"""
    CREATE VIEW params_flat AS SELECT
        {_RUN}, p.file, p.name AS set_name, p.hash, v.key, v.number, v.text,
        coalesce(v.text, number_text(v.number)) AS value
    FROM params v JOIN run_params p ON p.run_id = v.run_id AND p.set_index = v.set_index
    JOIN runs_flat r ON r.run_id = v.run_id
    """,
    f"""
    CREATE VIEW metrics_flat AS SELECT
        {_RUN}, p.name AS set_name, k.key, m.count, m.nan_count, m.first, m.last, m.min, m.max,
        m.total / nullif(m.count - m.nan_count, 0) AS mean, m.last_step,
        {_utc("m.last_at")} AS last_at
    FROM metric_summaries m JOIN metric_keys k ON k.id = m.key_id
    JOIN runs_flat r ON r.run_id = m.run_id
    LEFT JOIN run_params p ON p.run_id = m.run_id AND p.set_index = m.set_index
    """,
    f"""
    CREATE VIEW tags_flat AS SELECT {_RUN}, t.key, t.value
    FROM tags t JOIN runs_flat r ON r.run_id = t.run_id
    """,
    f"""
    CREATE VIEW artifacts_flat AS SELECT
        {_RUN}, a.path, a.size_bytes, a.media_type, a.digest, {_utc("a.saved_at")} AS saved_at
    FROM artifacts a JOIN runs_flat r ON r.run_id = a.run_id
    """,
    f"""
    CREATE VIEW inputs_flat AS SELECT
        {_RUN}, i.name, i.location, i.size_bytes, i.digest, {_utc("i.modified_at")} AS modified_at,
        i.source_uid, {_utc("i.used_at")} AS used_at
    FROM inputs i JOIN runs_flat r ON r.run_id = i.run_id
    """,
    f"""
    CREATE VIEW events_flat AS SELECT
        {_RUN}, {_utc("v.at")} AS happened_at, v.author, v.field, v.old, v.new
    FROM events v JOIN runs_flat r ON r.run_id = v.run_id
    """,
)
