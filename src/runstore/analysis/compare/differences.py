"""Differences between described runs: pure values, compared with their types."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Union

from runstore.value_classes import dataclass

# In reading order: the request, the surroundings, the results.
SECTIONS = (
    "status", "params", "code", "packages", "environment", "inputs", "command", "metrics",
    "artifacts", "tags", "notes",
)  # fmt: skip
# Their keys have an order of their own; all others are sorted.
_IN_OWN_ORDER = frozenset({"status", "code", "command"})
_NUMBERS = re.compile(r"(\d+)")


class _Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing.MISSING
"""The value of a key that a run is known not to have."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value, or a whole section, that was not recorded.

    Attributes:
        reason: Why, as part of a sentence.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class FileContents:
    """Facts about a file without its contents.

    Attributes:
        digest: SHA-256 of the contents; None when unknown.
        size_bytes: Their size; None when unknown.
    """

    digest: str | None
    size_bytes: int | None


# Section, key, value. A section may be unknown as a whole; a key that is not there is missing.
Description = Mapping[str, Union[Mapping[str, Any], Unknown]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One key and its value in several runs.

    Attributes:
        section: One of `SECTIONS`.
        key: Its name there, e.g. `options.C`.
        values: One per run; `MISSING` if a run has none, `Unknown` if it was not recorded.
    """

    section: str
    key: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether two runs are known to differ in it; an unknown value never differs."""
        known = {identity(one) for one in self.values if not isinstance(one, Unknown)}
        return len(known) > 1

    @property
    def name(self) -> str:
        """Section and key: `params.lr`."""
        return self.section if self.section == self.key else f"{self.section}.{self.key}"


def differences(
    descriptions: Sequence[Description],
    *,
    sections: Collection[str] = SECTIONS,
    everything: bool = False,
) -> tuple[Difference, ...]:
    """Return the differences between runs, section by section.

    Types count: 1, 1.0 and True are different values. NaN is equal to itself.

    Args:
        descriptions: One per run.
        sections: Which sections.
        everything: Whether to return equal values too.
    """
    found = (
        Difference(section, key, tuple(_value(one, section, key) for one in descriptions))
        for section in SECTIONS
        if section in sections
        for key in _keys(descriptions, section)
    )
    return tuple(one for one in found if everything or one.differs)


def _keys(descriptions: Sequence[Description], section: str) -> list[str]:
    mappings = (one.get(section, {}) for one in descriptions)
    keys = dict.fromkeys(key for one in mappings if not isinstance(one, Unknown) for key in one)
    return list(keys) if section in _IN_OWN_ORDER else sorted(keys, key=_natural)


def _natural(key: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts `layers[2]` before `layers[10]`."""
    parts = _NUMBERS.split(key)
    # Longer digits than any index are text; all of Unicode's digits are read as numbers.
    return [
        (0, int(part), part) if place % 2 and len(part) < 19 else (1, 0, part)  # noqa: PLR2004
        for place, part in enumerate(parts)
    ]


def _value(description: Description, section: str, key: str) -> Any:
    values = description.get(section, {})
    return values if isinstance(values, Unknown) else values.get(key, MISSING)


@dataclass(frozen=True, slots=True)
class Gap:
    """A value that cannot be compared.

    Attributes:
        name: Section, or section and key.
        place: Place of the run, from 0.
        reason: Why.
    """

    name: str
    place: int
    reason: str


def gaps(
    descriptions: Sequence[Description], *, sections: Collection[str] = SECTIONS
) -> tuple[Gap, ...]:
    """Return the values that are unknown for a run and so cannot be compared."""
    return tuple(
        gap
        for section in SECTIONS
        if section in sections
        for place, description in enumerate(descriptions)
        for gap in _gaps_of(section, place, description.get(section, {}))
    )


def _gaps_of(section: str, place: int, values: Mapping[str, Any] | Unknown) -> Iterator[Gap]:
    if isinstance(values, Unknown):
        yield Gap(section, place, values.reason)
        return
    for key, value in values.items():
        if isinstance(value, Unknown):
            yield Gap(Difference(section, key, ()).name, place, value.reason)


def identity(value: Any) -> str:
    """Return a text that two values share if they are the same, their types included."""
    kind = type(value).__name__
    if isinstance(value, Mapping):
        inside = sorted(f"{identity(key)}:{identity(one)}" for key, one in value.items())
    elif isinstance(value, (set, frozenset)):
        inside = sorted(map(identity, value))
    elif isinstance(value, (list, tuple)):
        kind, inside = "list", list(map(identity, value))
    else:
        return f"{kind} {_written(value)}"
    return f"{kind} {len(inside)}({','.join(inside)})"


def _written(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than Python prints
        return hex(value) if isinstance(value, int) else str(hash(value))
