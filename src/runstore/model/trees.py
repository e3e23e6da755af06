"""The typed tree: parameter values of many types as plain JSON in which nothing collides.

None, bool, int, finite float and str are themselves; lists and tuples are arrays; mappings and
dataclasses are objects. Everything else is an object with one key that names its type:
`{"$path": "a/b"}`. A user's key that begins with `$` gets another `$` in front; a key that is not
text becomes `$` and its canonical JSON, so that 1, "1" and True stay apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from runstore.errors import InvalidValueError
from runstore.model.values import canonical_json

DEPTH_LIMIT = 64
VALUES_LIMIT = 100_000
ARRAY_LIMIT = 10_000

# Python limits the digits of an int in text, to 640 at the least; this is 617 digits.
_PLAIN_INT_BITS = 2048
# Two halves side by side would be read back from JSON as the one character they make.
_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_CURIFACTORY_FIELDS = frozenset({"name", "hash", "overwrite", "hash_representations"})
_PLAIN_CONTAINERS = 64

Path = tuple[Any, ...]
Tree = Any


def is_plain(values: dict[Any, Any]) -> bool:
    """Tell at little cost whether the values are their own tree, but for nan and infinities.

    Few containers and no deeper than `DEPTH_LIMIT` follow from one limit on their number.
    """
    containers: list[Any] = [values]
    for container in containers:
        if type(container) is dict:
            for key in container:
                if type(key) is not str or key[:1] == "$" or not key.isascii():
                    return False
            inside: Iterable[Any] = container.values()
        else:
            inside = container
        for value in inside:
            kind = type(value)
            if kind is str:
                if not value.isascii():
                    return False
            elif kind is int:
                if value.bit_length() > _PLAIN_INT_BITS:
                    return False
            elif kind is dict or kind is list:
                containers.append(value)  # noqa: B909 - the list is the queue
                if len(containers) > _PLAIN_CONTAINERS:
                    return False
            elif kind is not float and kind is not bool and value is not None:
                return False
    return len(values) < VALUES_LIMIT


def fields_of(value: Any) -> dict[str, Any] | None:
    """Return the attributes of a dataclass, attrs, pydantic or namespace object.

    None for objects that are not made to hold values.
    """
    if isinstance(value, type):
        return None
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
    elif hasattr(type(value), "__attrs_attrs__"):
        names = [field.name for field in type(value).__attrs_attrs__]
    elif hasattr(type(value), "__pydantic_fields__"):
        names = list(type(value).__pydantic_fields__)
    elif _type_name(value) in {"types.SimpleNamespace", "argparse.Namespace"}:
        return dict(vars(value))
    else:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def attributes_of(value: Any) -> dict[str, Any] | None:
    """Return what a user's object holds: its public attributes and its class's plain ones."""
    held = fields_of(value)
    if held is not None or isinstance(value, type) or not hasattr(value, "__dict__"):
        return held
    if type(value).__module__ == "builtins":
        return None
    held = {}
    for klass in reversed(type(value).__mro__):
        for name, one in vars(klass).items():
            if not hasattr(type(one), "__get__") and not isinstance(one, type):
                held[name] = one
    held.update(vars(value))
    return {name: one for name, one in held.items() if not name.startswith("_")}


def representations_of(value: Any) -> Mapping[str, Any]:
    """Return an object's `hash_representations`; empty where it has none."""
    found = getattr(value, "hash_representations", None)
    return found if isinstance(found, Mapping) else {}


class TreeBuilder:
    """Builds one tree.

    Attributes:
        for_hash: Whether `hash_representations` are followed.
        differs: Whether a tree for the hash would differ from this one.
    """

    def __init__(self, *, for_hash: bool) -> None:
        self.for_hash = for_hash
        self.differs = False
        self._count = 0

    def build(self, value: Any, path: Path) -> Tree:
        """Return the tree of a value.

        Raises:
            InvalidValueError: It cannot be represented; the message names its place.
        """
        self._count += 1
        if self._count > VALUES_LIMIT:
            raise _refusal(path[:1], f"more than {VALUES_LIMIT:,} values cannot be stored")
        if len(path) > DEPTH_LIMIT:
            raise _refusal(path[:4], f"nested deeper than {DEPTH_LIMIT} levels, or holding itself")
        kind = type(value)
        if value is None or kind is bool:
            return value
        direct = _DIRECT.get(kind)
        if direct is not None:
            return direct(self, value, path)
        if isinstance(value, Enum):
            return _enum(value)
        for klass in kind.__mro__:
            known = _DIRECT.get(klass) or _BY_NAME.get(f"{klass.__module__}.{klass.__qualname__}")
            if known is not None:
                return known(self, value, path)
        return self._by_shape(value, path)

    def _by_shape(self, value: Any, path: Path) -> Tree:
        if isinstance(value, Mapping):
            return self.mapping(value, path)
        if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "dtype"):
            return self._numpy(value, path)
        if (held := fields_of(value)) is not None:
            return self.holder(value, held, path)
        if isinstance(value, Sequence) and not isinstance(value, memoryview):
            return self.sequence(value, path)
        raise _refusal(path, f"{_described(value)} cannot be stored", value)

    def mapping(self, value: Mapping[Any, Any], path: Path) -> Tree:
        """Return the tree of a mapping with keys of any type."""
        tree = {}
        for key, one in value.items():
            text = self._key(key, path)
            if text in tree:
                raise _refusal((*path, text), "the key is there twice")
            tree[text] = self.build(one, (*path, key))
        return tree

    def holder(
        self, value: Any, held: Mapping[str, Any], path: Path, *, is_set: bool = False
    ) -> Tree:
        """Return the tree of an object's attributes, its `hash_representations` followed.

        Args:
            value: The object.
            held: Its attributes.
            path: Its place.
            is_set: Whether it is the parameter set itself, whose name is kept beside the tree.
        """
        ways = representations_of(value)
        like_curifactory = held.keys() >= _CURIFACTORY_FIELDS
        tree = {}
        for key, one in held.items():
            is_name = key == "name" and isinstance(one, str)
            if key == "hash_representations" or (is_name and is_set):
                continue
            if like_curifactory and key in _CURIFACTORY_FIELDS:
                self.differs = True
                if key != "name" or self.for_hash:
                    continue
            place = (*path, key)
            if key not in ways:
                tree[self._key(key, path)] = self.build(one, place)
                continue
            self.differs = True
            kept = (self._for_hash if self.for_hash else self._kept)(value, one, ways[key], place)
            if kept is not _LEFT_OUT:
                tree[self._key(key, path)] = kept
        return tree

    def _for_hash(self, owner: Any, value: Any, way: Any, path: Path) -> Tree:
        """Return what stands for a field in the hash.

        A way is None to leave the field out, or a function of the owner and the value; where
        that returns None the field is left out as well.
        Source: `curifactory.params.ExperimentParameters`, Curifactory 0.20.5.
        """
        shown = None if way is None else way(owner, value)
        if shown is None:
            return _LEFT_OUT
        if callable(shown) and isinstance(getattr(shown, "__qualname__", None), str):
            shown = shown.__qualname__
        return self.build(shown, path)

    def _kept(self, owner: Any, value: Any, way: Any, path: Path) -> Tree:
        """Return the value of a field with a representation, in its stead if it is no value."""
        try:
            return self.build(value, path)
        except InvalidValueError:
            shown = self._for_hash(owner, value, way, path)
            return {"$object": _type_name(value)} if shown is _LEFT_OUT else shown

    def sequence(self, value: Iterable[Any], path: Path) -> Tree:
        """Return the tree of anything with an order; a named tuple is a mapping."""
        names = getattr(value, "_fields", None)
        if isinstance(value, tuple) and isinstance(names, tuple):
            return self.mapping(dict(zip(names, value, strict=False)), path)
        return [self.build(one, (*path, index)) for index, one in enumerate(value)]

    def collection(self, value: Iterable[Any], path: Path) -> Tree:
        """Return the tree of a set: sorted by canonical text, each element once."""
        trees = {canonical_json(tree): tree for tree in self.sequence(list(value), path)}
        return {"$set": [trees[text] for text in sorted(trees)]}

    def _numpy(self, value: Any, path: Path) -> Tree:
        """Return the tree of a numpy scalar (as the Python value it equals) or array."""
        kind = value.dtype.kind
        is_array = hasattr(value, "__array_finalize__") and hasattr(value, "__setitem__")
        if not is_array:
            plain = None if kind in "mM" else value.item()
            # Dates have more units than Python's, a long double more bits: they stay texts.
            if plain is None or type(plain) is type(value):
                return {"$numpy": [kind, str(value)]}
            return self.build(plain, path)
        if value.size > ARRAY_LIMIT:
            raise _refusal(
                path, f"an array of {value.size:,} elements; the limit is {ARRAY_LIMIT:,}", value
            )
        if kind in "mM":
            value = value.astype(str)
        return {"$array": [kind, list(value.shape), self.build(value.tolist(), path)]}

    def _key(self, key: Any, path: Path) -> str:
        tree = self.build(key, path[:1])
        if type(tree) is str:
            return f"${tree}" if tree[:1] == "$" else tree
        return "$" + canonical_json(tree)


_LEFT_OUT = object()
_Way = Callable[[TreeBuilder, Any, Path], Tree]


def _int(_: TreeBuilder, value: int, __: Path) -> Tree:
    value = int.__index__(value)
    return value if value.bit_length() <= _PLAIN_INT_BITS else {"$int": hex(value)}


def _float(_: TreeBuilder, value: float, __: Path) -> Tree:
    value = float.__float__(value)
    return value if value - value == 0 else {"$float": repr(value)}


def _text(_: TreeBuilder, value: str, __: Path) -> Tree:
    value = str.__str__(value)
    if value.isascii() or not _SPLIT_PAIR.search(value):
        return value
    return {"$utf32": value.encode("utf-32-be", "surrogatepass").hex()}


def _enum(value: Enum) -> Tree:
    # Combined flags have no name, or one that differs between Python versions.
    named = value.name in type(value).__members__
    return {"$enum": [type(value).__name__, value.name if named else value.value]}


def _complex(builder: TreeBuilder, value: complex, path: Path) -> Tree:
    return {"$complex": [_float(builder, value.real, path), _float(builder, value.imag, path)]}


def _fraction(builder: TreeBuilder, value: Any, path: Path) -> Tree:
    return {
        "$fraction": [_int(builder, value.numerator, path), _int(builder, value.denominator, path)]
    }


def _timedelta(_: TreeBuilder, value: Any, __: Path) -> Tree:
    return {"$timedelta": (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds}


def _as_text(tag: str, text: Callable[[Any], str]) -> _Way:
    return lambda _, value, __: {tag: text(value)}


_DIRECT: dict[type, _Way] = {
    str: _text,
    int: _int,
    float: _float,
    dict: TreeBuilder.mapping,
    list: TreeBuilder.sequence,
    tuple: TreeBuilder.sequence,
    set: TreeBuilder.collection,
    frozenset: TreeBuilder.collection,
    complex: _complex,
    bytes: _as_text("$bytes", bytes.hex),
    bytearray: _as_text("$bytes", bytearray.hex),
    range: lambda _, value, __: {"$range": [value.start, value.stop, value.step]},
}
# By name, because a value of these types has loaded its module already and others need not.
_PATH = _as_text("$path", lambda value: value.as_posix())
_ISO = lambda value: value.isoformat()  # noqa: E731 - one word for three rows
_BY_NAME: dict[str, _Way] = {
    "pathlib.PurePath": _PATH,
    "pathlib._local.PurePath": _PATH,  # Python 3.13
    "datetime.datetime": _as_text("$datetime", _ISO),
    "datetime.date": _as_text("$date", _ISO),
    "datetime.time": _as_text("$time", _ISO),
    "datetime.timedelta": _timedelta,
    # The exponent's letter follows the decimal context.
    "decimal.Decimal": _as_text("$decimal", lambda value: str(value).replace("e", "E")),
    "fractions.Fraction": _fraction,
    "uuid.UUID": _as_text("$uuid", str),
}


def place_of(path: Path) -> str:
    """Return a place as a person writes it: `params.layers[0].size`."""
    text = str(path[0])
    for step in path[1:]:
        text += f"[{step}]" if isinstance(step, int) else f".{str(step)[:80]}"
    return text


def _refusal(path: Path, why: str, value: Any = None) -> InvalidValueError:
    hint = "Store a name, a number or a text that stands for it."
    if hasattr(value, "shape"):
        hint = "Keep large data in a file, and store its path."
    return InvalidValueError(f"{place_of(path)}: {why}.", hint=hint)


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"a function ({value.__qualname__})"
    return f"an object of type {_type_name(value)}"


def _type_name(value: Any) -> str:
    kind = type(value)
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{prefix}{kind.__qualname__}"
