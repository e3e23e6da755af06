"""The shortest names that distinguish a few runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from runstore.model.reference import parse_reference, split_ending, with_endings
from runstore.model.run import Run


def short_names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return `mnist#7` for each run, or `mnist#7~b456` if several have that number."""
    short = {run.uid: short_name(run.reference) for run in runs}
    uids_of: dict[str, dict[str, str]] = defaultdict(dict)
    for uid, name in short.items():
        uids_of[name][uid] = name
    for shared in uids_of.values():
        if len(shared) > 1:
            short.update(with_endings(shared))
    return tuple(short[run.uid] for run in runs)


def short_name(reference: str) -> str:
    """Return a reference without its timestamp: `mnist#7`, or `mnist#7~b456` if it has that."""
    parsed = parse_reference(reference)
    if parsed is None:
        return reference
    ended = split_ending(reference)
    return f"{parsed[0]}#{parsed[1]}{'' if ended is None else f'~{ended[1]}'}"
