"""Parameters added to a run after its start."""

from __future__ import annotations

import json
from collections.abc import Sequence

from runstore.errors import ConflictError, UsageError, shown
from runstore.model.params.parameter_set import ParameterSet, tree_hash
from runstore.model.values import canonical_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def with_added(
    sets: Sequence[ParameterSet],
    added: ParameterSet,
    set_name: str | None,
    *,
    is_replacing: bool = False,
) -> tuple[ParameterSet, ...]:
    """Return the sets of a run with these values added to one of them.

    Args:
        sets: The sets of the run; if there are none, the values become a new set.
        added: The values.
        set_name: The set to extend; None for a run with at most one.
        is_replacing: Whether values may change.

    Raises:
        ConflictError: A parameter already has another value.
        UsageError: There is no such set, or the run has several and none is named.
    """
    if not sets:
        return (added.with_name(set_name) if set_name else added,)
    places = [place for place, one in enumerate(sets) if set_name in {None, one.name}]
    if len(places) != 1:
        names = ", ".join(one.name for one in sets)
        wrong = (
            "several parameter sets" if set_name is None else f"no parameter set {shown(set_name)}"
        )
        example = f'run.params[{sets[0].name!r}].update({{"lr": 0.1}})'
        raise UsageError(
            f"The run has {wrong}.",
            hint=f"Name one of its sets ({names}), for example: {example}",
        )
    place = places[0]
    return (
        *sets[:place],
        _merged(sets[place], added, is_replacing=is_replacing),
        *sets[place + 1 :],
    )


def replaced_by(
    sets: Sequence[ParameterSet], added: ParameterSet, set_name: str | None
) -> ParameterSet | None:
    """Return the values that these replace, as a set of their own; None if there are none."""
    old = next((one for one in sets if set_name in {None, one.name}), None)
    before = json.loads((old and old.tree) or "{}")
    shared = {key: before[key] for key in json.loads(added.tree or "{}") if key in before}
    return added._replace(tree=canonical_json(shared)) if shared else None


def _merged(old: ParameterSet, added: ParameterSet, *, is_replacing: bool) -> ParameterSet:
    before, more = json.loads(old.tree or "{}"), json.loads(added.tree or "{}")
    tree = canonical_json(_with(before, more, "", is_replacing=is_replacing))
    if tree == old.tree:
        return old
    # If a set's hash omits values, it continues to do so.
    is_whole = old.hash == old.tree_key and added.hash == added.tree_key
    digest = tree_hash(tree if is_whole else f"{old.hash} {added.hash}")
    return ParameterSet(old.name, digest, tree, old.file)


def _with(
    old: dict[str, Any], new: dict[str, Any], place: str, *, is_replacing: bool
) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        known = old.get(key, value)
        name = f"{place}{key}"
        if is_mapping(known) and is_mapping(value):
            merged[key] = _with(known, value, f"{name}.", is_replacing=is_replacing)
        elif not is_replacing and canonical_json(known) != canonical_json(value):
            raise ConflictError(
                f"The parameter {name} is already {canonical_json(known):.60} and cannot become"
                f" {canonical_json(value):.60}.",
                kept="The parameters of the run were not changed.",
                hint="To change it: run.params.replace({...}). Log varying values as a metric.",
            )
        else:
            merged[key] = value
    return merged


def is_mapping(tree: Any) -> bool:
    """Check whether a tree is a mapping, and not a value encoded as one."""
    return isinstance(tree, dict) and not any(
        (key.startswith("$") and not key.startswith("$$")) or key == "__class__" for key in tree
    )
