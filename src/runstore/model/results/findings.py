"""What a check of a store finds, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

DAMAGED, DANGLING, ORPHANED = "damaged", "dangling", "orphaned"
UNUSED, UNCHECKED = "unused", "unchecked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        kind: `damaged` for what was changed or cannot be read, `dangling` for what refers to
            something that is not there, `orphaned` for what is there without its run, `unused`
            for what is in order and only takes room, `unchecked` for what has no hash to be
            compared with.
        what: What it is, as part of a sentence.
        names: What it is about: runs, files; of many, some.
        hint: What to do about it; empty where nothing can be done.
    """

    kind: str
    what: str
    names: tuple[str, ...] = ()
    hint: str = ""

    @property
    def is_trouble(self) -> bool:
        """Whether something is wrong."""
        return self.kind not in {UNUSED, UNCHECKED}
