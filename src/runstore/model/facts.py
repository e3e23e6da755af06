"""Facts about a run's environment at its start, captured or unknown."""

from __future__ import annotations

from collections.abc import Mapping

from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The value of a captured fact; a tuple if there are several, such as the names of all GPUs.
FactValue = str | int | float | bool | tuple[str, ...]
_NONE: Mapping[str, Any] = {}
# Facts of a run that `runstore rerun` started: the uid of the run that it repeats; and of one of
# `runstore exec`: its options.
REPEATS, EXEC_OPTIONS = "rerun.of", "exec.options"


# Named tuples, because loading `dataclasses` takes as long as all other modules of a start.
class Facts(NamedTuple):
    """Captured facts.

    Attributes:
        values: Small facts by dotted name, e.g. `git.commit`, `python.version`, `command.argv` (a
            tuple of texts), `host.memory_bytes`.
        documents: Large texts by name (`patch`, `packages`, `untracked`), stored once per content.
        unknown: The reasons for facts that could not be read, by dotted name.
    """

    values: Mapping[str, FactValue] = _NONE
    documents: Mapping[str, str] = _NONE
    unknown: Mapping[str, str] = _NONE

    def merged(self, *others: Facts) -> Facts:
        """Return all combined; if several have a fact, the last one takes precedence."""
        values, documents, unknown = dict(self.values), dict(self.documents), dict(self.unknown)
        for one in others:
            values.update(one.values)
            documents.update(one.documents)
            unknown.update(one.unknown)
        for name in values.keys() & unknown:
            del unknown[name]
        return Facts(values, documents, unknown)


class ProcessIdentity(NamedTuple):
    """Identity of the process that executes a run, to prove later that it has ended.

    Attributes:
        hostname: Name of the machine.
        boot_id: Identity of the machine's boot, and of the process namespace within it (a
            container has its own); None if unavailable.
        pid: Process id, within that namespace.
        started_ticks: The process's start time in the system's own unit, as text, which
            distinguishes reused process ids. None if unavailable.
    """

    hostname: str
    boot_id: str | None
    pid: int | None
    started_ticks: str | None
