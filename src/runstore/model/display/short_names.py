"""The shortest names that distinguish runs from the others of their store."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from runstore.model.reference import parse_reference, with_endings

if TYPE_CHECKING:
    from runstore.model.run import Referenced, Run


def short_names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return `mnist#7` for each run, or `mnist#7~b456` if several have that number.

    Runs with that number are looked up in the store of the runs, so that a run has the same name
    in every list, and the name finds it.
    """
    source = next((run.source for run in runs if run.source is not None), None)
    namesakes = {} if source is None else source.namesakes_of([run.uid for run in runs])
    return distinct_names(runs, namesakes)


def short_name(run: Run) -> str:
    """Return `mnist#7`, or `mnist#7~b456` if its store has other runs with that number."""
    return short_names([run])[0]


def distinct_names(
    runs: Sequence[Referenced], namesakes: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """Return the short name of each run.

    `namesakes` are the uids of other runs with the same number, by uid.
    """
    uids_of: dict[str, dict[str, None]] = defaultdict(dict)
    for run in runs:
        uids_of[_numbered(run)].update(dict.fromkeys((run.uid, *namesakes.get(run.uid, ()))))
    ended = {
        name: with_endings(dict.fromkeys(uids, name))
        for name, uids in uids_of.items()
        if len(uids) > 1
    }
    names = map(_numbered, runs)
    return tuple(
        ended[name][run.uid] if name in ended else name
        for run, name in zip(runs, names, strict=True)
    )


def end_of_name(name: str, least: int) -> str:
    """Return the part of a long name that is never cropped: its number, and its ending.

    Other names keep their last `least` characters.
    """
    found = re.search(r"#\d+(?:~[0-9a-f]+)?\Z", name)
    return name[-max(least, 0 if found is None else len(found[0])) :]


def _numbered(run: Referenced) -> str:
    """Return `mnist#7`; another reference than one of ours stays as it is."""
    parsed = parse_reference(run.reference)
    return run.reference if parsed is None else f"{parsed[0]}#{parsed[1]}"
