"""The shortest names that distinguish a few runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from runstore.model.reference import parse_reference
from runstore.model.run import Run

_UID_SHOWN = 13  # of a UUIDv7: its milliseconds, and some more


def short_names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return `mnist#7` for each run, or its full reference or more if that is ambiguous."""
    distinct = {run.uid: run for run in runs}
    short = {uid: short_name(run.reference) for uid, run in distinct.items()}
    times_short = Counter(short.values())
    times_whole = Counter(run.reference for run in distinct.values())

    def name(run: Run) -> str:
        if times_short[short[run.uid]] == 1:
            return short[run.uid]
        # Several imported runs may share a reference.
        is_unique = times_whole[run.reference] == 1
        return run.reference if is_unique else f"{run.reference} ({run.uid[:_UID_SHOWN]})"

    return tuple(map(name, runs))


def short_name(reference: str) -> str:
    """Return a reference without its timestamp: `mnist#7`."""
    parsed = parse_reference(reference)
    return reference if parsed is None else f"{parsed[0]}#{parsed[1]}"
