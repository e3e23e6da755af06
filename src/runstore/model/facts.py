"""Facts about the world in which a run started: what was seen, and what could not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Union

# What capture can know of a thing; several texts of one, such as the names of all GPUs.
FactValue = Union[str, int, float, bool, tuple[str, ...]]
_NONE: Mapping[str, Any] = {}


# Named tuples, as `dataclasses` takes as long to load as all else that a start needs of ours.
class Facts(NamedTuple):
    """What capture saw.

    Attributes:
        values: Small facts by dotted name, e.g. `git.commit`, `python.version`,
            `command.argv` (a tuple of texts), `host.memory_bytes`.
        documents: Large texts by name (`patch`, `packages`, `untracked`), kept once per content.
        unknown: Facts that could not be read, by dotted name, each with its reason.
    """

    values: Mapping[str, FactValue] = _NONE
    documents: Mapping[str, str] = _NONE
    unknown: Mapping[str, str] = _NONE

    def merged(self, other: Facts) -> Facts:
        """Return both together; where both know a fact, the other's is taken."""
        values = {**self.values, **other.values}
        unknown = {**self.unknown, **other.unknown}
        return Facts(
            values=values,
            documents={**self.documents, **other.documents},
            unknown={name: why for name, why in unknown.items() if name not in values},
        )


class ProcessIdentity(NamedTuple):
    """Which process executes a run: enough to prove later that it is gone.

    Attributes:
        hostname: Name of the machine.
        boot_id: Identity of the machine's boot, and of the process namespace within it (a
            container has its own); None where the system does not tell.
        pid: Process id, within that namespace.
        started_ticks: The process's start time in the system's own unit, as text; tells a
            reused process id apart. None where the system does not tell.
    """

    hostname: str
    boot_id: str | None
    pid: int | None
    started_ticks: str | None
