"""Unique names of the metrics of a run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count


def names_of(series: Sequence[tuple[str | None, str]]) -> list[str]:
    """Return a unique name for each series of a run.

    A metric of the run itself is named by its key, one of a set `<set>/<key>`, or `<set>/<key>
    (set <set>)` if that name is in use.
    """
    taken = {key for set_name, key in series if set_name is None}
    names: list[str] = []
    for set_name, key in series:
        if set_name is None:
            names.append(key)
            continue
        plain = f"{set_name}/{key}"
        numbered = (f"{plain} (set {set_name}, {number})" for number in count(2))
        offered = chain((plain, f"{plain} (set {set_name})"), numbered)
        names.append(next(name for name in offered if name not in taken))
        taken.add(names[-1])
    return names
