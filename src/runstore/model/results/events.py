"""Event: one edit of a run."""

from __future__ import annotations

from datetime import datetime

from runstore.value_classes import NamedTuple

DELETED = "deleted"  # the field of an event that moved a run to the trash, or restored it


class Event(NamedTuple):
    """One edit of a run.

    Attributes:
        at: Time (UTC).
        author: Author.
        field: The changed field: `notes`, `tags.<key>`, `experiment_name`, `reference`, `deleted`.
        old: Its value before; None for none. For `deleted`, the time of the deletion.
        new: Its value since; None for none.
        operation: Id shared by all edits made at once; None if the edit cannot be undone.
        undoes: The operation that this one undid; None for an ordinary edit.
    """

    at: datetime
    author: str
    field: str
    old: str | None
    new: str | None
    operation: str | None = None
    undoes: str | None = None


def edit_text(field: str, old: str | None, new: str | None) -> str:
    """Return an edit in readable form: `tags.phase: (none) → pilot`."""
    if field == DELETED:
        old, new = ("kept" if one is None else "in the trash" for one in (old, new))
    before, after = ("(none)" if one is None else one or "(set)" for one in (old, new))
    return f"{field}: {before} → {after}"
