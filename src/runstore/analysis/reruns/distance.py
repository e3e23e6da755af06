"""How far apart the parameters of two runs are: the number of values that differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from runstore.model.params.flatten import LIST_LIMIT
from runstore.model.params.parameter_set import ParameterSet

# For a set whose values are unknown or too many.
FAR = 1_000_000


class Distance:
    """Measures the distance of runs from one run."""

    def __init__(self, sets: Sequence[ParameterSet]) -> None:
        self._sets = {(one.file, one.name): one for one in sets}
        self._trees = {key: _decoded(one) for key, one in self._sets.items()}

    def to(self, sets: Sequence[ParameterSet]) -> int:
        """Return how many values differ; a set that only one of them has counts with all of its.

        Types count: 1, 1.0 and True differ.
        """
        theirs = {(one.file, one.name): one for one in sets}
        if len(theirs) == len(self._sets) == 1 and theirs.keys() != self._sets.keys():
            # Their names are one difference.
            (key,), (other,) = self._sets, theirs.values()
            return 1 + self._of_set(key, other)
        return sum(self._of_set(key, theirs.get(key)) for key in self._sets.keys() | theirs.keys())

    def _of_set(self, key: tuple[str | None, str], other: ParameterSet | None) -> int:
        ours = self._sets.get(key)
        if ours is None or other is None:
            return _size(self._trees[key] if other is None else _decoded(other))
        if ours.hash == other.hash:
            return 0
        # If the values are equal, their forms in the hash differ.
        return max(1, _differing(self._trees[key], _decoded(other)))


def _decoded(one: ParameterSet) -> Any:
    return None if one.tree is None else json.loads(one.tree)


def _size(tree: Any) -> int:
    return FAR if tree is None else _values_in(tree)


def _values_in(tree: Any) -> int:
    if isinstance(tree, dict):
        return sum(map(_values_in, tree.values())) or 1
    if isinstance(tree, list) and len(tree) <= LIST_LIMIT:
        return sum(map(_values_in, tree)) or 1
    return 1


def _differing(ours: Any, theirs: Any) -> int:
    if ours is None or theirs is None:
        return FAR
    return _differing_in(ours, theirs)


def _differing_in(ours: Any, theirs: Any) -> int:
    if type(ours) is not type(theirs):
        return max(_values_in(ours), _values_in(theirs))
    if isinstance(ours, dict):
        return sum(
            _differing_in(value, theirs[key]) if key in theirs else _values_in(value)
            for key, value in ours.items()
        ) + sum(_values_in(value) for key, value in theirs.items() if key not in ours)
    if isinstance(ours, list):
        if max(len(ours), len(theirs)) > LIST_LIMIT:
            return int(ours != theirs)
        shared = sum(map(_differing_in, ours, theirs))
        longer = max(ours, theirs, key=len)
        return shared + sum(map(_values_in, longer[min(len(ours), len(theirs)) :]))
    return int(ours != theirs)
