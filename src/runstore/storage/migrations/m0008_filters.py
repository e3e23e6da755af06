"""Filters: what is asked of many runs in one narrow place, and captured facts by their names."""

NAME = "filters"

STATEMENTS = (
    # The newest runs with all of their fields but the longest: a row of `runs` is some times as
    # wide, so what has to look at all of them looks here.
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
    # Facts of one group (git, host …) that are the same in many runs are kept once. set_id: a
    # number made of their digest. place: of several values of one fact, which one.
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
    # Facts are filed after the start, which should not wait: what is not filed is a short list.
    "ALTER TABLE runs ADD COLUMN facts_filed {integer}",
    """
    CREATE INDEX runs_with_loose_facts ON runs (id)
    WHERE facts IS NOT NULL AND facts_filed IS NULL
    """,
)
