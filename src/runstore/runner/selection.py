"""Which parameter sets a run works through: gathered from files, chosen by name or place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runstore.errors import UsageError, quoted
from runstore.model.display.formatting import counted
from runstore.model.display.suggestions import hint_of
from runstore.model.params.build import parameter_set
from runstore.model.params.parameter_set import ParameterSet
from runstore.value_classes import dataclass

_NOTHING_RECORDED = "Nothing was recorded."
_INDICES = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A parameter set as the user's module made it, and as it is recorded."""

    values: Any
    recorded: ParameterSet


def named_sets(returned: Any, file: str) -> list[Candidate]:
    """Return the result of a `get_params` as named sets.

    Raises:
        UsageError: It is neither a set nor a list of sets, or one has no name.
        InvalidValueError: A value cannot be recorded; it is named.
    """
    given = _listed(returned, file)
    sets = []
    for position, values in enumerate(given, 1):
        if len(given) > 1 and not _has_name(values):
            raise UsageError(
                f"{file}: parameter set {position} of {len(given)} has no name.",
                kept=_NOTHING_RECORDED,
                hint="Add a field or key `name`.",
            )
        sets.append(Candidate(values, parameter_set(values, file=file)))
    return sets


def _listed(returned: Any, file: str) -> list[Any]:
    if isinstance(returned, Mapping) or not isinstance(returned, Iterable):
        if returned is None:
            raise UsageError(
                f"{file}: get_params returned None.",
                kept=_NOTHING_RECORDED,
                hint="Return a list of named parameter sets.",
            )
        return [returned]
    if isinstance(returned, (str, bytes)):
        raise UsageError(
            f"{file}: get_params returned text, not parameter sets.", kept=_NOTHING_RECORDED
        )
    given = list(returned)
    if not given:
        raise UsageError(f"{file}: get_params returned no parameter sets.", kept=_NOTHING_RECORDED)
    return given


def _has_name(values: Any) -> bool:
    found = values.get("name") if isinstance(values, Mapping) else getattr(values, "name", None)
    return isinstance(found, str) and bool(found)


def check_names(sets: Sequence[Candidate]) -> None:
    """Refuse two sets with the same name: results and selections would be ambiguous.

    Raises:
        UsageError: Two sets have one name; their files are named.
    """
    seen: dict[str, str | None] = {}
    for one in sets:
        name, file = one.recorded.name, one.recorded.file
        if name in seen:
            place = file if seen[name] == file else f"{seen[name]} and in {file}"
            raise UsageError(
                f"Two parameter sets have the name {name!r}, in {place}.",
                kept=_NOTHING_RECORDED,
                hint="Rename one of them.",
            )
        seen[name] = file


def select(
    sets: Sequence[Candidate], names: Sequence[str], indices: Sequence[str]
) -> list[Candidate]:
    """Return the sets chosen by name or by place, in their own order; all if nothing is chosen.

    Args:
        sets: The sets to choose from.
        names: Names of sets, or several with commas between.
        indices: Places from 0, and ranges such as `2-4` with both ends; several with commas.

    Raises:
        UsageError: There is no set of such a name or place.
    """
    if not names and not indices:
        return list(sets)
    known = [one.recorded.name for one in sets]
    chosen = {_place(name, known) for text in names for name in _parts(text, known)}
    for text in indices:
        for part in text.split(","):
            chosen.update(_places(part.strip(), len(sets)))
    return [one for place, one in enumerate(sets) if place in chosen]


def _parts(text: str, known: Sequence[str]) -> list[str]:
    """Return the names in a list with commas; a set whose name has a comma is one name."""
    return [text] if text in known else [one.strip() for one in text.split(",") if one.strip()]


def _place(name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise UsageError(
            f"Unknown parameter set {quoted(name)}. Known sets: {', '.join(known)}.",
            kept=_NOTHING_RECORDED,
            hint=hint_of(name, known, otherwise=""),
        )
    return known.index(name)


def _places(text: str, count: int) -> range:
    match = _INDICES.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--indices: expected indices such as 0,2-4, got {quoted(text)}.",
            kept=_NOTHING_RECORDED,
            hint="Write for example: --indices 0,2-4",
        )
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if last < first or last >= count:
        raise UsageError(
            f"--indices {text} is out of range: {counted(count, 'set')}, the last is {count - 1}.",
            kept=_NOTHING_RECORDED,
        )
    return range(first, last + 1)
