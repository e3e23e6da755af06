"""Results of checking a store, as plain values."""

from __future__ import annotations

from runstore.value_classes import dataclass

DAMAGED, DANGLING, ORPHANED = "damaged", "dangling", "orphaned"
UNUSED, UNCHECKED, WAITING = "unused", "unchecked", "waiting"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check.

    Attributes:
        kind: `damaged` if data was changed or cannot be read, `dangling` for a reference to
            missing data, `orphaned` for data without its run, `unused` for data that only takes
            space, `unchecked` for data without a hash to verify, `waiting` for data that a
            database or a bucket has not received yet.
        what: Description, as part of a sentence.
        names: The affected runs or files; if there are many, some of them.
        hint: The suggested action; empty if there is none.
    """

    kind: str
    what: str
    names: tuple[str, ...] = ()
    hint: str = ""

    @property
    def is_trouble(self) -> bool:
        """Whether it is a problem."""
        return self.kind not in {UNUSED, UNCHECKED, WAITING}
