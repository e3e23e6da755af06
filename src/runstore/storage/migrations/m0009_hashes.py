"""Hashes: what was stored is told from what was changed since; see `integrity/hashes.py`."""

NAME = "hashes"

STATEMENTS = (
    # Of rows that are older than this step, nothing is known: their columns are null.
    "ALTER TABLE metric_chunks ADD COLUMN digest {bytes}",
    "ALTER TABLE metric_summaries ADD COLUMN digest {bytes}",
    # link: what an event says, and all events of the run before it. last_link: that of the run's
    # last event, so that one that is missing at the end is missed.
    "ALTER TABLE events ADD COLUMN link {bytes}",
    "ALTER TABLE runs ADD COLUMN last_link {bytes}",
    # Every event after this one has a link.
    """
    INSERT INTO store_state (name, value)
    SELECT 'last_event_without_link', coalesce(max(id), 0) FROM events
    """,
)
