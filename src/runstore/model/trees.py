"""The typed tree: parameter values of many types as plain JSON in which nothing collides.

None, bool, int, finite float and str are themselves; lists and tuples are arrays; mappings and
dataclasses are objects. Everything else is an object with one key that names its type:
`{"$path": "a/b"}`. A user's key that begins with `$` gets another `$` in front; a key that is not
text becomes `$` and its canonical JSON, so that 1, "1" and True stay apart.
`plain.py` reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from runstore.errors import InvalidValueError
from runstore.model.holders import (
    CURIFACTORY_FIELDS,
    fields_of,
    representations_of,
    type_name,
)
from runstore.model.tagged import (
    WAYS,
    WAYS_BY_NAME,
    Place,
    Tree,
    Way,
    described,
    enum_tree,
    refusal,
)
from runstore.model.values import canonical_json

DEPTH_LIMIT = 64
VALUES_LIMIT = 100_000

# As many digits as an int of `PLAIN_INT_BITS` may have.
_LONG_INT = re.compile(r"[0-9]{617}")
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None), dict, list})
_PLAIN_CONTAINERS = frozenset({dict, list})
_STR = frozenset({str})
_LEFT_OUT = object()


def plain_text(values: dict[Any, Any]) -> str | None:
    """Return the text of a tree that needs no `TreeBuilder`, at a tenth of its cost.

    None where something may need a tag or an escape, or goes beyond a limit.
    """
    if not _has_plain_types(values):
        return None
    try:
        text = canonical_json(values)
    except ValueError:  # nan, an infinity, or more digits than Python prints
        return None
    may_need_more = '"$' in text or "\\ud" in text or _LONG_INT.search(text)
    return None if may_need_more else text


def _has_plain_types(values: dict[Any, Any]) -> bool:
    containers: list[Any] = [values]
    count = 0
    for container in containers:
        inside = container
        if type(container) is dict:
            if not _STR.issuperset(map(type, container)):
                return False
            inside = container.values()
        kinds = set(map(type, inside))
        count += len(inside)
        if not kinds <= _PLAIN_TYPES or count >= VALUES_LIMIT:
            return False
        if kinds & _PLAIN_CONTAINERS:
            containers.extend(one for one in inside if type(one) in _PLAIN_CONTAINERS)
            # So few cannot be nested too deeply either, nor hold themselves.
            if len(containers) >= DEPTH_LIMIT:
                return False
    return True


class TreeBuilder:
    """Builds one tree.

    Attributes:
        for_hash: Whether `hash_representations` are followed.
        differs: Whether the tree for the hash may differ from the one of all values.
    """

    def __init__(self, *, for_hash: bool) -> None:
        self.for_hash = for_hash
        self.differs = False
        self._count = 0

    def build(self, value: Any, place: Place) -> Tree:
        """Return the tree of a value.

        Raises:
            InvalidValueError: It cannot be represented; the message names its place.
        """
        self._count += 1
        if self._count > VALUES_LIMIT:
            raise refusal(place[:1], f"more than {VALUES_LIMIT:,} values cannot be stored")
        if len(place) > DEPTH_LIMIT:
            why = f"values nested deeper than {DEPTH_LIMIT} levels, or in themselves,"
            raise refusal(place[:4], f"{why} cannot be stored")
        kind: Any = type(value)
        if value is None or kind is bool:
            return value
        if kind in _ALL_WAYS:
            return _ALL_WAYS[kind](self, value, place)
        if isinstance(value, Enum):
            return enum_tree(self, value, place)
        way = _way_of(kind)
        return self._by_shape(value, place) if way is None else way(self, value, place)

    def _by_shape(self, value: Any, place: Place) -> Tree:
        if isinstance(value, Mapping):
            return self.mapping(value, place)
        if (held := fields_of(value)) is not None:
            return self.holder(value, held, place)
        if isinstance(value, Sequence) and not isinstance(value, memoryview):
            return self.sequence(value, place)
        raise refusal(place, f"{described(value)} cannot be stored", value)

    def mapping(self, value: Mapping[Any, Any], place: Place) -> Tree:
        """Return the tree of a mapping with keys of any type."""
        tree = {}
        for key, one in value.items():
            text = self._key(key, place)
            if text in tree:
                raise refusal((*place, key), "the key is there twice")
            tree[text] = self.build(one, (*place, key))
        return tree

    def _key(self, key: Any, place: Place) -> str:
        tree = self.build(key, (*place, "(key)"))
        if type(tree) is str:
            return f"${tree}" if tree[:1] == "$" else tree
        return "$" + canonical_json(tree)

    def holder(
        self, value: Any, held: Mapping[str, Any], place: Place, *, is_set: bool = False
    ) -> Tree:
        """Return the tree of an object's attributes, its `hash_representations` followed.

        Args:
            value: The object.
            held: Its attributes.
            place: Where it stands.
            is_set: Whether it is the parameter set itself, whose name is kept beside the tree.
        """
        ways = representations_of(value)
        like_curifactory = held.keys() >= CURIFACTORY_FIELDS
        tree = {}
        for key, one in held.items():
            if key == "hash_representations" or (is_set and key == "name" and is_name(one)):
                continue
            if like_curifactory and key in CURIFACTORY_FIELDS:
                self.differs = True
                if key != "name" or self.for_hash:
                    continue
            inner = (*place, key)
            if key in ways:
                self.differs = True
                shown = self._for_hash if self.for_hash else self._beside_hash
                one_tree = shown(value, one, ways[key], inner)
            else:
                one_tree = self.build(one, inner)
            if one_tree is not _LEFT_OUT:
                tree[self._key(key, place)] = one_tree
        return tree

    def _for_hash(self, owner: Any, value: Any, way: Any, place: Place) -> Tree:
        """Return what stands for a field in the hash.

        A way is None to leave the field out, or a function of the owner and the value; where
        that returns None the field is left out as well. A class or function that it returns
        stands for its name.
        Source: `curifactory.params.ExperimentParameters`, Curifactory 0.20.5.
        """
        shown = None if way is None else way(owner, value)
        if shown is None:
            return _LEFT_OUT
        if callable(shown) and isinstance(getattr(shown, "__qualname__", None), str):
            shown = shown.__qualname__
        return self.build(shown, place)

    def _beside_hash(self, owner: Any, value: Any, way: Any, place: Place) -> Tree:
        """Return the value of a field with a way; what stands for it, if it cannot be stored."""
        try:
            return self.build(value, place)
        except InvalidValueError:
            shown = self._for_hash(owner, value, way, place)
            return {"$object": type_name(type(value))} if shown is _LEFT_OUT else shown

    def sequence(self, value: Iterable[Any], place: Place) -> Tree:
        """Return the tree of anything with an order; a named tuple is a mapping."""
        names = getattr(value, "_fields", None)
        if isinstance(value, tuple) and isinstance(names, tuple):
            return self.mapping(dict(zip(names, value, strict=False)), place)
        return [self.build(one, (*place, index)) for index, one in enumerate(value)]

    def collection(self, value: Iterable[Any], place: Place) -> Tree:
        """Return the tree of a set: sorted by canonical text, each element once."""
        trees = {canonical_json(tree): tree for tree in self.sequence(list(value), place)}
        return {"$set": [trees[text] for text in sorted(trees)]}


def is_name(value: object) -> bool:
    """Tell whether an attribute called `name` names its parameter set."""
    return isinstance(value, str) and value != ""


_ALL_WAYS: dict[type, Way] = {
    **WAYS,
    dict: TreeBuilder.mapping,
    list: TreeBuilder.sequence,
    tuple: TreeBuilder.sequence,
    set: TreeBuilder.collection,
    frozenset: TreeBuilder.collection,
}


@lru_cache(maxsize=256)
def _way_of(kind: type) -> Way | None:
    """Return the way of the nearest base that has one."""
    for one in kind.__mro__:
        way = _ALL_WAYS.get(one) or WAYS_BY_NAME.get(f"{one.__module__}.{one.__qualname__}")
        if way is not None:
            return way
    return None
