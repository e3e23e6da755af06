"""Construction of parameter sets from mappings, dataclasses, objects, or lists of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from runstore.errors import InvalidValueError, attempt, genuine, shown
from runstore.model.params.encode_plain import is_name, plain_text
from runstore.model.params.parameter_set import DEFAULT_NAME, ParameterSet, checked_name, tree_hash
from runstore.model.values import canonical_json, clean_text
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from runstore.model.params.encode import TreeBuilder
    from runstore.model.params.encode_scalars import Place

    T = TypeVar("T")

TREE_LIMIT_CHARACTERS = 16 << 20
_NOTED = 5

_HINT = "Pass a mapping, a dataclass, an object with attributes, or a list of these."


def parameter_set(
    values: Any, *, name: str | None = None, file: str | None = None
) -> ParameterSet:
    """Create a parameter set.

    Args:
        values: A mapping, a dataclass instance, or an object with attributes. Its
            `hash_representations` (field name to None, or to a function of the object and the
            value) define the representation of a field in the hash; None omits it from the hash,
            but not from the values.
        name: Its name; if None, the object's `name`, or a mapping's text under that key, else
            `default`. A name is not part of the hash. It stays among the values.
        file: The parameter file it came from.

    Raises:
        InvalidValueError: A value cannot be represented; the message names its key.
    """
    if isinstance(values, ParameterSet):
        return _renamed(values, name, file)
    tree, digest = (type(values) is dict and _plain(values)) or _built(values)
    if len(tree) > TREE_LIMIT_CHARACTERS:
        raise InvalidValueError(
            f"params: {len(tree):,} characters; the limit is {TREE_LIMIT_CHARACTERS:,}.",
            hint="Save large data as a file, and record its path.",
        )
    chosen = _own_name(values) or DEFAULT_NAME if name is None else checked_name(name)
    return ParameterSet(chosen, digest, tree, file)


def parameter_sets(params: Any) -> tuple[ParameterSet, ...]:
    """Return the argument of `start(params=...)` as parameter sets.

    Args:
        params: None for none; a mapping, dataclass instance, object with attributes, or
            `ParameterSet` for one; or an iterable of these. In an iterable of several, a set
            without a name is called `set1`, `set2` … by its position.

    Raises:
        InvalidValueError: A value cannot be represented, or two sets of one file have the same
            name.
    """
    if params is None:
        return ()
    if type(params) is dict or _is_one(params):
        return (parameter_set(params),)
    if isinstance(params, (str, bytes, type)) or not isinstance(params, Iterable):
        raise _no_set(params)
    try:
        given = list(params)
    except TypeError as error:  # an array without dimensions
        raise _no_set(params) from error
    except genuine(Exception) as error:  # a user's object
        raise _unreadable(error) from error
    sets = []
    for position, one in enumerate(given, 1):
        unnamed = len(given) > 1 and not isinstance(one, ParameterSet) and not _own_name(one)
        sets.append(parameter_set(one, name=f"set{position}" if unnamed else None))
    seen = set()
    for one in sets:
        if (one.file, one.name) in seen:
            place = f" in {one.file}" if one.file else ""
            raise InvalidValueError(
                f"params: two parameter sets{place} are called {one.name!r}.",
                hint="Use a different name for each set.",
            )
        seen.add((one.file, one.name))
    return tuple(sets)


def _is_one(params: Any) -> bool:
    return isinstance(params, ParameterSet) or _is_mapping(params) or _held(params) is not None


def _is_mapping(values: Any) -> bool:
    from runstore.model.params.attributes import is_like_mapping

    return isinstance(values, Mapping) or is_like_mapping(values)


def _held(values: Any) -> dict[str, Any] | None:
    """Return the attributes of an object that is a parameter set, not a list of them."""
    from runstore.model.params.attributes import attributes_of, fields_of
    from runstore.model.params.encode import is_value

    def held() -> dict[str, Any] | None:
        found = fields_of(values)
        if found is None and not isinstance(values, Iterable) and not is_value(values):
            return attributes_of(values)
        return found

    return _readable(held)


def _readable(read: Callable[[], T]) -> T:
    """Return a value that the code of the program returns, which may raise anything."""
    try:
        return read()
    except InvalidValueError:
        raise
    except genuine(Exception) as error:  # a user's object
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> InvalidValueError:
    from runstore.model.params.encode import unreadable

    return unreadable(("params",), error)


def _plain(values: dict[Any, Any]) -> tuple[str, str] | None:
    """Return tree and hash of values that are their own tree; None for all others."""
    tree = plain_text(values)
    if tree is None:
        return None
    if not is_name(values.get("name")):
        return tree, tree_hash(tree)
    unnamed = {key: one for key, one in values.items() if key != "name"}
    return tree, tree_hash(canonical_json(unnamed))


def _built(values: Any) -> tuple[str, str]:
    """Return tree and hash of values of any type."""
    from runstore.model.params.encode import TreeBuilder

    builder = TreeBuilder(for_hash=False)
    whole = _tree(values, builder)
    if builder.notes:
        warn(_not_in_full(builder.notes))
    if not builder.differs:
        return whole, tree_hash(whole)
    return whole, tree_hash(_tree(values, TreeBuilder(for_hash=True)))


def _tree(values: Any, builder: TreeBuilder) -> str:
    place = ("params",)
    if _is_mapping(values):
        tree = builder.build(values, place)
        if is_name(_named(values)):
            builder.differs = True
            if builder.for_hash:
                tree.pop("name", None)
        return canonical_json(tree)
    held = _held(values)
    if held is None:
        raise _no_set(values)
    return canonical_json(_readable(lambda: builder.holder(values, held, place, is_set=True)))


def _no_set(values: Any) -> InvalidValueError:
    return InvalidValueError(f"params: {shown(values)} is not a set of values.", hint=_HINT)


def _not_in_full(notes: list[tuple[Place, Any, str]]) -> str:
    """Return the warning about values that are only partly recorded."""
    from runstore.model.params.callables import public_name
    from runstore.model.params.encode import BY_TYPE
    from runstore.model.params.encode_scalars import place_of

    told = [
        f"{place_of(place)} ({public_name(type(one))}) by {kept}" for place, one, kept in notes
    ]
    more = f", and {len(told) - _NOTED:,} more" if len(told) > _NOTED else ""
    text = f"Not recorded in full: {', '.join(told[:_NOTED])}{more}."
    if any(kept == BY_TYPE for _, __, kept in notes):
        text += " Runs that differ only in a value recorded by its type count as equal."
    return f"{text} To record it in full, pass a name, a number or a path instead."


def _named(values: Mapping[Any, Any]) -> Any:
    """Return a mapping's value of the key `name`; None if it is missing or unreadable."""
    # A key that raises is refused, by its place, when the values are read.
    if not attempt(lambda: "name" in values, lambda _: False):
        return None  # a mapping with a default would add the key
    return attempt(lambda: values["name"], lambda _: None)


def _own_name(values: Any) -> str | None:
    """Return the name included in values."""
    if type(values) is dict:  # most are plain dicts without one
        found = values.get("name")
    else:
        is_mapping = _is_mapping(values)
        found = _named(values) if is_mapping else attempt(lambda: values.name, lambda _: None)
    return clean_text(str.__str__(found)) if is_name(found) else None


def _renamed(one: ParameterSet, name: str | None, file: str | None) -> ParameterSet:
    if name is not None:
        one = one.with_name(name)
    return one if file is None else one.with_file(file)
