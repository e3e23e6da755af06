"""Metrics: points in chunks, a summary of each series, and the imported length of spool files."""

NAME = "metrics"

STATEMENTS = (
    """
    CREATE TABLE metric_keys (
        id {identity},
        key {text} NOT NULL UNIQUE
    )
    """,
    # set_index: -1 for a metric of the run itself.
    """
    CREATE TABLE metric_chunks (
        run_id {integer} NOT NULL REFERENCES runs (id),
        set_index {integer} NOT NULL,
        key_id {integer} NOT NULL REFERENCES metric_keys (id),
        chunk_index {integer} NOT NULL,
        count {integer} NOT NULL,
        chunk {bytes} NOT NULL,
        PRIMARY KEY (run_id, set_index, key_id, chunk_index)
    )
    """,
    # A null among the numbers means NaN, which SQLite cannot store.
    """
    CREATE TABLE metric_summaries (
        run_id {integer} NOT NULL REFERENCES runs (id),
        set_index {integer} NOT NULL,
        key_id {integer} NOT NULL REFERENCES metric_keys (id),
        count {integer} NOT NULL,
        nan_count {integer} NOT NULL,
        first {real},
        last {real},
        min {real},
        max {real},
        total {real},
        last_step {integer} NOT NULL,
        last_at {integer} NOT NULL,
        PRIMARY KEY (run_id, set_index, key_id)
    ) {without_rowid}
    """,
    # The imported length of spool files, so that importing one twice changes nothing.
    """
    CREATE TABLE spool_marks (
        name {text} PRIMARY KEY,
        position {integer} NOT NULL
    ) {without_rowid}
    """,
)
