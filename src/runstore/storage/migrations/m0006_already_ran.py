"""Lookup of earlier runs: complete runs by their parameters and their commit."""

NAME = "already_ran"

STATEMENTS = (
    # The lowest hash of a run's parameter sets; empty if it has none.
    "ALTER TABLE runs ADD COLUMN params_hash {text}",
    """
    UPDATE runs SET params_hash =
        coalesce((SELECT min(p.hash) FROM run_params p WHERE p.run_id = runs.id), '')
    """,
    # A run is not complete when it starts, so that a start writes nothing to this index.
    """
    CREATE INDEX runs_done ON runs (experiment_id, params_hash, commit_hash, id)
        WHERE status = 'complete' AND deleted_at IS NULL
    """,
)
