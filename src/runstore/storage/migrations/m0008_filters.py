"""Narrow tables for filters over many runs, and captured facts by name."""

NAME = "filters"

STATEMENTS = (
    # The newest runs with all of their fields but the longest: rows of `runs` are several times as
    # wide, so that scans of all runs use this index.
    "DROP INDEX runs_by_start",
    """
    CREATE INDEX runs_by_start ON runs (
        started_at, id, status, ended_at, last_seen_at, experiment_id, run_number, exit_code,
        workdir_dirty, full_store, parent_uid, uid, reference, hostname, commit_hash, notes,
        error, cli
    ) WHERE deleted_at IS NULL
    """,
    """
    CREATE INDEX runs_with_traceback ON runs (started_at, id)
    WHERE deleted_at IS NULL AND traceback IS NOT NULL
    """,
    "CREATE INDEX artifacts_by_path ON artifacts (path, size_bytes, run_id, media_type)",
    "CREATE INDEX inputs_by_name ON inputs (name, digest, run_id)",
    # Facts of one group (git, host …) that are the same in many runs are stored once. set_id: a
    # number derived from their digest. place: index of the value if a fact has several.
    """
    CREATE TABLE fact_values (
        key {text} NOT NULL,
        set_id {integer} NOT NULL,
        place {integer} NOT NULL,
        number {real},
        text {text},
        PRIMARY KEY (key, set_id, place)
    ) {without_rowid}
    """,
    """
    CREATE TABLE run_facts (
        set_id {integer} NOT NULL,
        run_id {integer} NOT NULL REFERENCES runs (id),
        PRIMARY KEY (set_id, run_id)
    ) {without_rowid}
    """,
    # Facts are filed after the start, which should not wait: the index of unfiled facts is small.
    "ALTER TABLE runs ADD COLUMN facts_filed {integer}",
    """
    CREATE INDEX runs_with_loose_facts ON runs (id)
    WHERE facts IS NOT NULL AND facts_filed IS NULL
    """,
)
