"""Joining of the parameters of a run, to which both stores may have added some after its start."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from runstore.model.params.added import is_mapping
from runstore.model.params.parameter_set import ParameterSet, tree_hash
from runstore.model.values import canonical_json
from runstore.storage.late_params import FIELD as PARAMS
from runstore.storage.transfer.records import RunRecord

MASK = "***"  # in place of a secret


def joined_sets(mine: RunRecord, theirs: RunRecord) -> tuple[ParameterSet, ...]:
    """Return the parameter sets with the values of both stores.

    Of two values of a parameter, that which was added last counts; both are in the events.
    """
    if mine.sets == theirs.sets:
        return mine.sets
    names = [[(one.name, one.file) for one in record.sets] for record in (mine, theirs)]
    trees = [one.tree for record in (mine, theirs) for one in record.sets]
    if names[0] != names[1] or None in trees:
        return max((mine, theirs), key=_version).sets

    def value(key: str, one: Any, other: Any) -> Any:
        return max((one, mine), (other, theirs), key=lambda found: _order(key, *found))[0]

    return tuple(_joined_set(*pair, value) for pair in zip(mine.sets, theirs.sets, strict=True))


def _version(record: RunRecord) -> tuple[Any, ...]:
    last = max((one.at for one in record.events if one.field == PARAMS), default=0)
    known = sum(one.tree is not None for one in record.sets)
    return last, known, *masked_first(record.sets)


def _order(key: str, value: Any, record: RunRecord) -> tuple[Any, ...]:
    """Return the sort key of a value of a parameter: the time of the last event that names it."""
    named = (one.at for one in record.events if one.field == PARAMS and _names(one.new, key))
    return max(named, default=0), *masked_first(value)


def _names(shown: str | None, key: str) -> bool:
    return f" {key}=" in f" {shown}"


def masked_first(value: Any) -> tuple[int, str]:
    """Return a sort key by which masked values are later than others."""
    shown = repr(value)
    return shown.count(MASK), shown


def _joined_set(
    one: ParameterSet, other: ParameterSet, value: Callable[[str, Any, Any], Any]
) -> ParameterSet:
    if one.tree == other.tree:
        return max(one, other, key=lambda known: (known.hash != known.tree_key, known.hash))
    trees = json.loads(one.tree or "{}"), json.loads(other.tree or "{}")
    tree = canonical_json(_joined(*trees, "", value))
    for known in (one, other):
        if known.tree == tree:
            return known
    return ParameterSet(one.name, tree_hash(tree), tree, one.file)


def _joined(
    one: dict[str, Any], other: dict[str, Any], place: str, value: Callable[[str, Any, Any], Any]
) -> dict[str, Any]:
    joined = {**other, **one}
    for key in one.keys() & other.keys():
        name = f"{place}{key}"
        if is_mapping(one[key]) and is_mapping(other[key]):
            joined[key] = _joined(one[key], other[key], f"{name}.", value)
        elif canonical_json(one[key]) != canonical_json(other[key]):
            joined[key] = value(name, one[key], other[key])
    return joined
