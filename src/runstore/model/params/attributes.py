"""Objects with values in attributes, and their declarations for hashing."""

from __future__ import annotations

from collections.abc import Container, Mapping
from enum import Enum

from runstore.errors import attempt
from runstore.value_classes import fields, is_dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Internal fields of `curifactory.params.ExperimentParameters`, Curifactory 0.5 to 0.20.
CURIFACTORY_FIELDS = frozenset({"name", "hash", "overwrite", "hash_representations"})

_WRAPPERS = frozenset({"collections.UserDict", "collections.UserList", "collections.UserString"})
# Version 1 of pydantic, and the copy of it in version 2.
_MODELS = frozenset({"pydantic.main.BaseModel", "pydantic.v1.main.BaseModel"})
_MAPPINGS = frozenset({"ml_collections.config_dict.config_dict.ConfigDict"})
_NAMESPACES = frozenset({"types.SimpleNamespace", "argparse.Namespace"})


def fields_of(value: Any) -> dict[str, Any] | None:
    """Return the values of a dataclass, attrs, pydantic, namespace or named tuple by field.

    Returns None for other objects. Unset fields are omitted.
    """
    kind = type(value)
    if isinstance(value, type):
        return None
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
    elif hasattr(kind, "__attrs_attrs__"):
        names = [field.name for field in kind.__attrs_attrs__]
    elif hasattr(kind, "__pydantic_fields__"):
        names = list(kind.__pydantic_fields__)
    elif any(type_name(one) in _MODELS for one in kind.__mro__):
        names = list(kind.__fields__)
    elif any(type_name(one) in _NAMESPACES for one in kind.__mro__):
        return dict(vars(value))
    elif isinstance(value, tuple) and isinstance(named := getattr(value, "_fields", 0), tuple):
        return dict(zip(named, value, strict=False))
    else:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def attributes_beyond(value: Any, declared: Container[str] = ()) -> dict[str, Any]:
    """Return a user's object's data beyond its fields, entries or elements.

    This covers public attributes and slots, and extras of pydantic. Values that a class caches
    under the name of a property are omitted.
    """
    kind = type(value)
    held = dict(getattr(value, "__dict__", None) or {})
    if is_wrapper(value):
        held.pop("data", None)
    held.update(_declared(value, "__pydantic_extra__") or {})
    for one in kind.__mro__:
        # Only classes written in Python list their slots.
        for name in _slots_of(one):
            if hasattr(value, name):
                held[name] = getattr(value, name)
    return {
        name: one
        for name, one in held.items()
        if name not in declared and not name.startswith("_") and not _is_cache(kind, name)
    }


def is_like_mapping(value: Any) -> bool:
    """Check whether a value is a mapping that is not registered as one.

    Other objects with keys may be clients of a database.
    """
    return any(type_name(one) in _MAPPINGS for one in type(value).__mro__)


def is_wrapper(value: Any) -> bool:
    """Check whether a value is a wrapper such as `UserDict`."""
    return any(type_name(one) in _WRAPPERS for one in type(value).__mro__)


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_cache(kind: type, name: str) -> bool:
    for one in kind.__mro__:
        if name in vars(one):
            found = vars(one)[name]
            own = type(found)
            return hasattr(own, "__get__") and own.__name__ not in {
                "member_descriptor",
                "function",
            }
    return False


def attributes_of(value: Any) -> dict[str, Any] | None:
    """Return the public attributes of a user's object, and the plain ones of its class.

    Returns None for classes, modules, enum members and built-in objects.
    """
    kind = type(value)
    held = fields_of(value)
    if held is not None or isinstance(value, (type, Enum)) or kind.__module__ == "builtins":
        return held
    held = {}
    for one in reversed(kind.__mro__):
        for name, default in vars(one).items():
            # Methods and properties have __get__; they are not values. Slots have it as well.
            if type(default).__name__ == "member_descriptor":
                if hasattr(value, name):
                    held[name] = getattr(value, name)
            elif not hasattr(type(default), "__get__") and not isinstance(default, type):
                held[name] = default
    held.update(getattr(value, "__dict__", {}))
    return {name: one for name, one in held.items() if not name.startswith("_")}


def held_by(value: Any) -> dict[str, Any] | None:
    """Return all attributes of a nested object, including private ones.

    Returns None for built-in objects such as generators, and for objects that hide their data.
    """
    if isinstance(value, BaseException):
        return {"args": list(value.args), **vars(value)}
    public = attributes_of(value)
    is_open = hasattr(value, "__dict__") or any(
        "__slots__" in vars(one) for one in type(value).__mro__
    )
    if public is None or not is_open:
        return None
    slots = {
        name: getattr(value, name)
        for one in type(value).__mro__
        for name in _slots_of(one)
        if name not in {"__dict__", "__weakref__"} and hasattr(value, name)
    }
    return {**public, **slots, **getattr(value, "__dict__", {})}


def estimator_params(value: Any) -> dict[str, Any] | None:
    """Return the constructor arguments of an estimator in the style of scikit-learn, or None.

    Source: developing scikit-learn estimators, `get_params`, scikit-learn 1.9.
    """
    ask = getattr(type(value), "get_params", None)
    if not callable(ask) or isinstance(value, type):
        return None
    try:
        found = ask(value, deep=False)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None  # another method with this name
    return dict(found) if isinstance(found, Mapping) else None


def representations_of(value: Any) -> Mapping[str, Any]:
    """Return an object's `hash_representations`; empty if it has none."""
    found = _declared(value, "hash_representations")
    return found if isinstance(found, Mapping) else {}


def _declared(value: Any, name: str) -> Any:
    """Return an attribute; None if it is missing, for which `__getattr__` may raise anything."""
    if any(name in vars(one) for one in type(value).__mro__):
        return getattr(value, name, None)
    return attempt(lambda: getattr(value, name, None), lambda _: None)


def type_name(kind: type) -> str:
    """Return the full name of a type, without the module for built-in types."""
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{prefix}{kind.__qualname__}"
