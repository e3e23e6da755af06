"""Event: one edit of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

DELETED = "deleted"  # the field of an event that put a run into the trash, or took it out


@dataclass(frozen=True, slots=True)
class Event:
    """One edit of a run.

    Attributes:
        at: When (UTC).
        author: Who.
        field: What was changed: `notes`, `tags.<key>`, `experiment_name`, `reference`, `deleted`.
        old: Its value before; None for none. Of `deleted`, when it was put into the trash.
        new: Its value since; None for none.
        operation: The same for everything that was done at once; None for what cannot be undone.
        undoes: The operation that this one took back; None for an edit of its own.
    """

    at: datetime
    author: str
    field: str
    old: str | None
    new: str | None
    operation: str | None = None
    undoes: str | None = None


def edit_text(field: str, old: str | None, new: str | None) -> str:
    """Return an edit as people read it: `tags.phase: (none) → pilot`."""
    if field == DELETED:
        old, new = ("kept" if one is None else "in the trash" for one in (old, new))
    before, after = ("(none)" if one is None else one or "(set)" for one in (old, new))
    return f"{field}: {before} → {after}"
