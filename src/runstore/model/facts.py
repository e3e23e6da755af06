"""Facts about the world in which a run started: what was seen, and what could not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

FactValue = Union[str, int, float, bool, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What capture saw.

    Attributes:
        values: Small facts by dotted name, e.g. `git.commit`, `python.version`,
            `command.argv` (a tuple of texts), `host.memory_bytes`.
        documents: Large texts by name (`patch`, `packages`, `untracked`), kept once per content.
        unknown: Facts that could not be read, by dotted name, each with its reason.
    """

    values: Mapping[str, FactValue] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)

    def merged(self, other: Facts) -> Facts:
        """Return both together; where both know a fact, the other's is taken."""
        values = {**self.values, **other.values}
        unknown = {**self.unknown, **other.unknown}
        return Facts(
            values=values,
            documents={**self.documents, **other.documents},
            unknown={name: why for name, why in unknown.items() if name not in values},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
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
