"""The index of edits by author is in order of time: edits may come from other stores later."""

from __future__ import annotations

NAME = "edits_by_time"

STATEMENTS = (
    "DROP INDEX events_by_author",
    "CREATE INDEX events_by_author ON events (author, at, id)",
)
