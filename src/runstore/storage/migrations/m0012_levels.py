"""Levels of detail of metrics, for plots of any zoom; see `storage/metrics/levels.py`."""

NAME = "levels"

STATEMENTS = (
    # Series older than this step have none until they are first read.
    """
    CREATE TABLE metric_levels (
        run_id {integer} NOT NULL REFERENCES runs (id),
        set_index {integer} NOT NULL,
        key_id {integer} NOT NULL REFERENCES metric_keys (id),
        level {integer} NOT NULL,
        place {integer} NOT NULL,
        blocks {bytes} NOT NULL,
        digest {bytes} NOT NULL,
        PRIMARY KEY (run_id, set_index, key_id, level, place)
    )
    """,
)
