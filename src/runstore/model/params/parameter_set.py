"""ParameterSet: a name, a hash, and typed, nested values; `parameter_sets.py` makes them.

The hash is BLAKE2b with 128 bits over the canonical text of the typed tree (`trees.py`), so it is
the same on every machine, Python version and key order. 1, 1.0 and True are different values; a
list and a tuple of the same values are the same; a numpy scalar is the number it equals.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from runstore.errors import InvalidValueError
from runstore.model.params.decode import plain_values
from runstore.model.params.flatten import FlatValue, flatten, shown_in_line
from runstore.model.values import blake2b, clean_text

DEFAULT_NAME = "default"


class ParameterSet(NamedTuple):  # as `dataclasses` takes long to load
    """One named set of parameters.

    Attributes:
        name: What a person calls it; not part of the hash.
        hash: 32 hexadecimal digits of what counts; for an imported set whatever its file says.
        tree: Canonical JSON text of the typed tree of all values; None when only the hash is
            known.
        file: The parameter file it came from; None for one made in code.
    """

    name: str
    hash: str
    tree: str | None
    file: str | None = None

    @property
    def tree_key(self) -> str:
        """Hash of the whole tree, by which values are kept.

        Fields left out of `hash` are values all the same, so that two sets of one hash may
        differ in them; where nothing is left out, both hashes are equal.
        """
        return tree_hash(self.tree or "{}")

    @property
    def values(self) -> dict[str, Any]:
        """The values, decoded anew at each call; empty when they are unknown.

        Paths, dates, decimals, fractions, complex numbers, bytes and sets are what they were.
        Classes may be gone by now, so a dataclass comes back as a mapping, an enum member as
        its name, an array as nested lists; so does a tuple, as a list.
        """
        return {} if self.tree is None else plain_values(self.tree)

    def flat(self) -> tuple[FlatValue, ...]:
        """Return the values as (dotted key, number, text), each key once; see `flat.py`."""
        return () if self.tree is None else flatten(self.tree)

    def preview(self, width: int = 60) -> str:
        """Return the values in one line of at most `width` characters: `lr=0.1 layers=2 …`."""
        return "" if self.tree is None else shown_in_line(self.tree, width)

    def with_file(self, file: str | None) -> ParameterSet:
        """Return the same set as coming from a parameter file."""
        return self._replace(file=None if file is None else clean_text(file))

    def with_name(self, name: str) -> ParameterSet:
        """Return the same set under another name."""
        return self._replace(name=checked_name(name))


def tree_hash(tree: str) -> str:
    """Return the hash of a canonical tree text: 32 hexadecimal digits."""
    return blake2b(tree.encode(), digest_size=16).hexdigest()


def lowest_hash(sets: Iterable[ParameterSet]) -> str:
    """Return the lowest hash of a run's sets, by which runs of the same sets are looked up."""
    return min((one.hash for one in sets), default="")


def checked_name(name: object) -> str:
    """Return a name that a parameter set may have.

    Raises:
        InvalidValueError: It is empty, or no text.
    """
    if not isinstance(name, str) or not name:
        raise InvalidValueError(f"{name!r:.60} cannot be the name of a parameter set.")
    return clean_text(name)
