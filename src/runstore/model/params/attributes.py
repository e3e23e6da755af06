"""Objects that hold values in attributes, and what they say about their hash."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

# The bookkeeping of `curifactory.params.ExperimentParameters`, Curifactory 0.5 to 0.20.
CURIFACTORY_FIELDS = frozenset({"name", "hash", "overwrite", "hash_representations"})

_WRAPPERS = frozenset({"collections.UserDict", "collections.UserList", "collections.UserString"})
_NAMESPACES = frozenset({"types.SimpleNamespace", "argparse.Namespace"})


def fields_of(value: Any) -> dict[str, Any] | None:
    """Return the values of a dataclass, attrs, pydantic or namespace object by field.

    None for objects that are not made to hold values. A field that was never set is left out.
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
    elif any(type_name(one) in _NAMESPACES for one in kind.__mro__):
        return dict(vars(value))
    else:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def attributes_beyond(value: Any, declared: Container[str] = ()) -> dict[str, Any]:
    """Return what a user's object holds beyond its fields, entries or elements.

    These are public attributes and those of slots; for pydantic, extras as well. What a class
    caches under the name of a property is no value of its own.
    """
    kind = type(value)
    held = dict(getattr(value, "__dict__", None) or {})
    if is_wrapper(value):
        held.pop("data", None)
    held.update(getattr(value, "__pydantic_extra__", None) or {})
    for one in kind.__mro__:
        # Only classes written in Python say which slots they have.
        for name in _slots_of(one):
            if hasattr(value, name):
                held[name] = getattr(value, name)
    return {
        name: one
        for name, one in held.items()
        if name not in declared and not name.startswith("_") and not _is_cache(kind, name)
    }


def is_wrapper(value: Any) -> bool:
    """Tell whether a value is a `UserDict` or the like, which holds another one."""
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
    """Return what a user's object holds: its public attributes, and its class's plain ones.

    None for classes, modules, enum members and whatever Python itself is made of.
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
    """Return all that an object among the values holds, private attributes included.

    None for what Python itself is made of, such as generators, and for objects that keep what
    they hold out of sight.
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
    """Return what an estimator was made with, as scikit-learn and its like tell; else None.

    Source: developing scikit-learn estimators, `get_params`, scikit-learn 1.9.
    """
    ask = getattr(type(value), "get_params", None)
    if not callable(ask) or isinstance(value, type):
        return None
    try:
        found = ask(value, deep=False)
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None  # another method of this name
    return dict(found) if isinstance(found, Mapping) else None


def representations_of(value: Any) -> Mapping[str, Any]:
    """Return an object's `hash_representations`; empty where it has none."""
    found = getattr(value, "hash_representations", None)
    return found if isinstance(found, Mapping) else {}


def type_name(kind: type) -> str:
    """Return the full name of a type; those of Python itself without their module."""
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{prefix}{kind.__qualname__}"
