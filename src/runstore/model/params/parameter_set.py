"""ParameterSet: a name, a hash, and typed, nested values; see `build.py` for construction.

The hash is BLAKE2b with 128 bits over the canonical text of the typed tree (`encode.py`), so that
it is the same on every machine, for every Python version and key order. 1, 1.0 and True are
different values; a list and a tuple of the same values are equal; a numpy scalar equals its
number.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter

from runstore.errors import InvalidValueError, shown
from runstore.model import arguments
from runstore.model.params.decode import plain_values
from runstore.model.params.flatten import FlatValue, flatten, shown_in_line
from runstore.model.values import blake2b, clean_text
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEFAULT_NAME = "default"
_NO_VALUES = "{}"


class ParameterSet(NamedTuple):  # because `dataclasses` takes long to load
    """One named set of parameters.

    Attributes:
        name: Its name; not part of the hash.
        hash: 32 hexadecimal digits of the relevant values; for an imported set, as in its file.
        tree: Canonical JSON text of the typed tree of all values; None if only the hash is known.
        file: The parameter file it came from; None if it was created in code.
    """

    name: str
    hash: str
    tree: str | None
    file: str | None = None

    @property
    def tree_key(self) -> str:
        """Hash of the whole tree, the key under which values are stored.

        Fields omitted from `hash` are still values, so that two sets with the same hash may differ
        in them; if no field is omitted, both hashes are equal.
        """
        return tree_hash(self.tree or "{}")

    @property
    def values(self) -> dict[str, Any]:
        """The values, decoded on each call; empty if they are unknown.

        Paths, dates, decimals, fractions, complex numbers, bytes and sets keep their types.
        Because classes may no longer exist, a dataclass is decoded to a mapping, an enum member to
        its name, an array to nested lists, and a tuple to a list.
        """
        return {} if self.tree is None else plain_values(self.tree)

    def flat(self) -> tuple[FlatValue, ...]:
        """Return the values as (dotted key, number, text), each key once; see `flatten.py`."""
        return () if self.tree is None else flatten(self.tree)

    def preview(self, width: int | None = 60) -> str:
        """Return the values in one line, cut at `width` if that is given: `lr=0.1 layers=2 …`."""
        width = None if width is None else arguments.count(width, "width", 1)
        return "" if self.tree is None else shown_in_line(self.tree, width)

    def with_file(self, file: str | None) -> ParameterSet:
        """Return a copy of the set with another parameter file."""
        return self._replace(file=arguments.text_or_none(file, "file", "small.py"))

    def with_name(self, name: str) -> ParameterSet:
        """Return a copy of the set with another name."""
        return self._replace(name=checked_name(name))


@lru_cache(maxsize=1)  # for a set of which no field is omitted, it is asked for twice
def tree_hash(tree: str) -> str:
    """Return the hash of a canonical tree text: 32 hexadecimal digits."""
    return blake2b(tree.encode(), digest_size=16).hexdigest()


def lowest_hash(sets: Iterable[ParameterSet]) -> str:
    """Return the lowest hash of a run's sets, the key to look up runs with the same sets."""
    return min(map(attrgetter("hash"), sets), default="")


def has_values(sets: Iterable[ParameterSet]) -> bool:
    """Return whether any set has a value, so that parameters identify a run."""
    return any(one.tree != _NO_VALUES for one in sets)


def checked_name(name: object) -> str:
    """Check the name of a parameter set, and return it.

    Raises:
        InvalidValueError: It is empty, too long, or not text.
    """
    if not isinstance(name, str) or not name:
        raise InvalidValueError(
            f"Expected the name of a parameter set as text, got {shown(name)}."
        )
    if len(name) > arguments.NAME_LIMIT_BYTES:
        raise InvalidValueError(
            f"The name of a parameter set, {name[:40]!r}…, has {len(name):,} characters;"
            f" the limit is {arguments.NAME_LIMIT_BYTES:,}."
        )
    return clean_text(name)
