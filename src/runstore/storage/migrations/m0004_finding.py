"""Indexes for filters and orders over parameters, metrics, packages and statuses."""

NAME = "finding"

STATEMENTS = (
    # Numbers by value, and texts, whose number is null, by theirs.
    "CREATE INDEX params_by_key ON params (key, number, text, run_id, set_index)",
    # All columns that a filter or an order reads for one metric of all runs, run by run.
    """
    CREATE INDEX metric_summaries_by_key ON metric_summaries
        (key_id, run_id, set_index, last, first, min, max, total, count, nan_count)
    """,
    "CREATE INDEX run_documents_by_hash ON run_documents (name, hash, run_id)",
    # Most runs are complete: the index of the others is small.
    "CREATE INDEX runs_incomplete ON runs (status, id) WHERE status <> 'complete'",
)
