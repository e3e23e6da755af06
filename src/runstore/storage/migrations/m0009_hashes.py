"""Hashes that detect later changes of stored data; see `integrity/hashes.py`."""

NAME = "hashes"

STATEMENTS = (
    # Rows older than this step are not covered: their columns are null.
    "ALTER TABLE metric_chunks ADD COLUMN digest {bytes}",
    "ALTER TABLE metric_summaries ADD COLUMN digest {bytes}",
    # link: covers an event and all events of the run before it. last_link: that of the run's last
    # event, so that events missing at the end are detected.
    "ALTER TABLE events ADD COLUMN link {bytes}",
    "ALTER TABLE runs ADD COLUMN last_link {bytes}",
    # Every event after this one has a link.
    """
    INSERT INTO store_state (name, value)
    SELECT 'last_event_without_link', coalesce(max(id), 0) FROM events
    """,
)
