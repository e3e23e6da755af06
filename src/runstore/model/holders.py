"""Objects that hold values in attributes, and what they say about their hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

# The bookkeeping of `curifactory.params.ExperimentParameters`, Curifactory 0.5 to 0.20.
CURIFACTORY_FIELDS = frozenset({"name", "hash", "overwrite", "hash_representations"})

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


def representations_of(value: Any) -> Mapping[str, Any]:
    """Return an object's `hash_representations`; empty where it has none."""
    found = getattr(value, "hash_representations", None)
    return found if isinstance(found, Mapping) else {}


def type_name(kind: type) -> str:
    """Return the full name of a type; those of Python itself without their module."""
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{prefix}{kind.__qualname__}"
