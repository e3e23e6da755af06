"""The typed tree: parameter values of many types as plain JSON without collisions.

None, bool, int, finite float and str represent themselves; lists and tuples are arrays; mappings
and dataclasses are objects. Other scalar values are an object with one key that names the type:
`{"$path": "a/b"}`. Objects of other classes, and extra attributes of subclasses, are objects with
`__class__`. A user's key that begins with `$` gets another `$` in front; a key that is not text
becomes `$` and its canonical JSON, so that 1, "1" and True stay distinct. `decode.py` is the
inverse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import lru_cache
from itertools import islice

from runstore.errors import InvalidValueError, genuine, named_error
from runstore.model.params.attributes import (
    CURIFACTORY_FIELDS,
    attributes_beyond,
    estimator_params,
    fields_of,
    held_by,
    is_like_mapping,
    is_wrapper,
    representations_of,
    type_name,
)
from runstore.model.params.callables import Callable, callable_of, is_type_text, public_name
from runstore.model.params.encode_plain import DEPTH_LIMIT, VALUES_LIMIT, is_name
from runstore.model.params.encode_scalars import (
    WAYS,
    WAYS_BY_NAME,
    described,
    enum_tree,
    place_of,
    refusal,
)
from runstore.model.params.library_values import ARRAY_LIKE, LIBRARY_WAYS, is_array_like
from runstore.model.values import canonical_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.model.params.encode_scalars import Place, Tree, Way

# An object of a general class is represented by its type if it has more values.
OBJECT_LIMIT = 2_000
BY_TYPE = "its type"

_LEFT_OUT = object()


class TreeBuilder:
    """Builds one tree.

    Attributes:
        for_hash: Whether to apply `hash_representations`.
        differs: Whether the tree for the hash may differ from the full one.
        notes: Place, value and recorded part, for values that are not recorded in full.
    """

    def __init__(self, *, for_hash: bool) -> None:
        self.for_hash = for_hash
        self.differs = False
        self.notes: list[tuple[Place, Any, str]] = []
        self._count = 0
        self._limit = VALUES_LIMIT
        self._open: set[int] = set()

    def build(self, value: Any, place: Place) -> Tree:
        """Return the tree of a value.

        Raises:
            InvalidValueError: It cannot be represented; the message names its place.
        """
        self._count += len(place) > 1  # the set itself is no value
        if self._count > self._limit:
            values = f"{VALUES_LIMIT:,} values, including lists and mappings,"
            raise refusal(place[:1], f"more than {values} cannot be stored")
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
        try:
            return self._of_class(value, place)
        except InvalidValueError:
            raise
        except genuine(Exception) as error:  # a user's object
            raise unreadable(place, error) from error

    def _of_class(self, value: Any, place: Place) -> Tree:
        """Return the tree of a value of any class, whose code may raise anything."""
        kind: Any = type(value)
        base, way = _way_of(kind)
        if way is None:
            return self._by_shape(value, place)
        tree = way(self, value, place)
        beyond = attributes_beyond(value) if base in _ALL_WAYS else {}
        return self._with_attributes(value, tree, beyond, place) if beyond else tree

    def _with_attributes(
        self, value: Any, tree: Tree, beyond: Mapping[str, Any], place: Place
    ) -> Tree:
        """Return the tree of a mapping or text with additional attributes."""
        is_mapping = isinstance(value, Mapping)
        if not is_mapping:
            tree = {"__class__": public_name(type(value)), "value": tree}
        for name, one in beyond.items():
            # Many mappings also expose their entries as attributes.
            if not (is_mapping and name in value and value[name] is one):
                key = self._key(name, place)
                while key in tree:
                    key = f".{key}"
                tree[key] = self._leniently(one, (*place, name))
        return tree

    def _by_shape(self, value: Any, place: Place) -> Tree:
        if isinstance(value, Mapping) or is_like_mapping(value):
            tree = self.mapping(value, place)
            beyond = attributes_beyond(value) if is_wrapper(value) else {}
            return self._with_attributes(value, tree, beyond, place) if beyond else tree
        if (held := fields_of(value)) is not None:
            return self.holder(value, held, place)
        if is_array_like(value):
            return ARRAY_LIKE(self, value, place)
        if isinstance(value, (Sequence, MappingView)):
            return self.sequence(value, place)
        return self._by_name(value, place)

    def _by_name(self, value: Any, place: Place) -> Tree:
        if isinstance(value, AbstractSet):
            return self.collection(value, place)
        if is_type_text(value):
            return {"$text": ["type", repr(value)]}
        found = callable_of(value)
        return self._object(value, place) if found is None else self._callable(value, found, place)

    def _callable(self, value: Any, found: Callable, place: Place) -> Tree:
        """Return the name of a function, class or module, and its captured values."""
        name: Tree = {"$name": found.name if found.code is None else [found.name, found.code]}
        if not found.held:
            return name
        if id(value) in self._open:
            return name
        return {"__class__": name, **self._attributes(value, found.held, place)}

    def _object(self, value: Any, place: Place) -> Tree:
        """Return class and attributes of an object, or only the class if it is too large."""
        if id(value) in self._open:  # it contains itself
            return {"$object": public_name(type(value))}
        held = estimator_params(value)
        held = held_by(value) if held is None else held
        if held is None:
            if type(value).__module__ != "builtins":
                return self.by_type(value, place)
            raise refusal(place, f"{described(value)} cannot be stored", value)
        before, noted = self._limit, len(self.notes)
        self._limit = min(before, self._count + OBJECT_LIMIT)
        try:
            tree = self._attributes(value, held, place)
        except InvalidValueError:
            if self._count > before:
                raise
            del self.notes[noted:]
            return self.by_type(value, place)
        finally:
            self._limit = before
        return {"__class__": public_name(type(value)), **tree}

    def _attributes(self, value: Any, held: Mapping[str, Any], place: Place) -> dict[str, Tree]:
        self._open.add(id(value))
        try:
            return {
                self._key(key, place): self._leniently(one, (*place, key))
                for key, one in held.items()
            }
        finally:
            self._open.discard(id(value))

    def _leniently(self, value: Any, place: Place) -> Tree:
        """Return the tree of an attribute, or the name of its type if it cannot be stored."""
        try:
            return self.build(value, place)
        except InvalidValueError:
            if self._count > self._limit or len(place) >= DEPTH_LIMIT:
                raise
            return self.by_type(value, place)

    def by_type(self, value: Any, place: Place) -> Tree:
        """Return the name of a value's type in place of the value, with a note."""
        self.note(place, value, BY_TYPE)
        return {"$object": public_name(type(value))}

    def note(self, place: Place, value: Any, kept: str) -> None:
        """Note that only a part of a value is recorded."""
        self.notes.append((place, value, kept))

    def mapping(self, value: Mapping[Any, Any], place: Place) -> Tree:
        """Return the tree of a mapping with keys of any type."""
        tree: dict[str, Tree] = {}
        for key, one in _items(value, place):
            text = self._key(key, place)
            if text in tree:
                raise refusal((*place, key), "the key occurs twice")
            tree[text] = self.build(one, (*place, key))
        return tree

    def _key(self, key: Any, place: Place) -> str:
        count = self._count
        tree = self.build(key, (*place, "(key)"))
        self._count = count  # of values only
        if type(tree) is str:
            return f"${tree}" if tree[:1] == "$" else tree
        return "$" + canonical_json(tree)

    def holder(
        self, value: Any, held: Mapping[str, Any], place: Place, *, is_set: bool = False
    ) -> Tree:
        """Return the tree of an object's attributes, applying its `hash_representations`.

        The name of the parameter set itself (`is_set`) is not part of its hash.
        """
        ways = representations_of(value)
        like_curifactory = held.keys() >= CURIFACTORY_FIELDS
        beyond = attributes_beyond(value, held)
        tree: dict[str, Tree] = {}
        for key, one in {**held, **beyond}.items():
            if key == "hash_representations":
                continue
            if is_set and key == "name" and is_name(one):
                self.differs = True
                if self.for_hash or like_curifactory:
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
                build = self._leniently if key in beyond else self.build
                one_tree = build(one, inner)
            if one_tree is not _LEFT_OUT:
                tree[self._key(key, place)] = one_tree
        return tree

    def _for_hash(self, owner: Any, value: Any, way: Any, place: Place) -> Tree:
        """Return the representation of a field in the hash.

        A representation is None to omit the field, or a function of the owner and the value; if
        that returns None, the field is omitted as well. If it returns a class or function, its
        name is used.
        Source: `curifactory.params.ExperimentParameters`, Curifactory 0.20.5.
        """
        shown = None if way is None else way(owner, value)
        if shown is None:
            return _LEFT_OUT
        if callable(shown) and isinstance(getattr(shown, "__qualname__", None), str):
            shown = shown.__qualname__
        return self.build(shown, place)

    def _beside_hash(self, owner: Any, value: Any, way: Any, place: Place) -> Tree:
        """Return the value of a field with a representation, or that if it cannot be stored."""
        noted = len(self.notes)
        try:
            return self.build(value, place)
        except InvalidValueError:
            shown = self._for_hash(owner, value, way, place)
            return {"$object": type_name(type(value))} if shown is _LEFT_OUT else shown
        finally:
            del self.notes[noted:]  # its owner declared a representation

    def sequence(self, value: Any, place: Place) -> Tree:
        """Return the tree of an ordered value; a named tuple is a mapping."""
        if isinstance(value, tuple) and (named := fields_of(value)) is not None:
            return self.mapping(named, place)
        elements = enumerate(_elements(value, place))
        return [self.build(one, (*place, index)) for index, one in elements]

    def collection(self, value: Iterable[Any], place: Place) -> Tree:
        """Return the tree of a set: sorted by canonical text, without duplicates."""
        trees = {canonical_json(tree): tree for tree in self.sequence(list(value), place)}
        return {"$set": [trees[text] for text in sorted(trees)]}


_ALL_WAYS: dict[type, Way] = {
    **WAYS,
    dict: TreeBuilder.mapping,
    list: TreeBuilder.sequence,
    tuple: TreeBuilder.sequence,
    set: TreeBuilder.collection,
    frozenset: TreeBuilder.collection,
}


def _items(value: Mapping[Any, Any], place: Place) -> Iterator[tuple[Any, Any]]:
    """Yield the entries of a mapping, some of which are computed when read."""
    if isinstance(value, dict):
        yield from value.items()
        return
    for key in _elements(value if isinstance(value, Mapping) else value.keys(), place):
        try:
            one = value[key]
        except genuine(Exception) as error:  # a user's mapping
            raise unreadable((*place, key), error) from error
        yield key, one


def _elements(value: Iterable[Any], place: Place) -> list[Any]:
    found: list[Any] = []
    try:
        # Keeps those before a failing one; more would be refused.
        found.extend(islice(value, VALUES_LIMIT + 1))
    except genuine(Exception) as error:  # a user's iterator
        raise unreadable((*place, len(found)), error) from error
    return found


def unreadable(place: Place, error: Exception) -> InvalidValueError:
    """Return the error for a value that the user's own class failed to return."""
    return InvalidValueError(
        f"{place_of(place)}: the value cannot be read ({named_error(error)}).",
        hint="Set it, or leave it out.",
    )


def is_value(value: Any) -> bool:
    """Check whether a value that is not iterable is one parameter, such as a path, and no set."""
    kind: Any = type(value)
    return _way_of(kind)[1] is not None


@lru_cache(maxsize=256)
def _way_of(kind: type) -> tuple[type, Way | None]:
    """Return the nearest base class with an encoder, and that encoder."""
    for one in kind.__mro__:
        name = f"{one.__module__}.{one.__qualname__}"
        way = _ALL_WAYS.get(one) or WAYS_BY_NAME.get(name) or LIBRARY_WAYS.get(name)
        if way is not None:
            return one, way
    return object, None
