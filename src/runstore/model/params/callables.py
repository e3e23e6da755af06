"""Functions, classes and modules as parameters, represented by names and captured values."""

from __future__ import annotations

import sys
from types import CodeType, FunctionType, MethodType, ModuleType

from runstore.model.values import blake2b, canonical_json
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Unions and aliases such as `int | None`; in Python 3.10 `list[int]` claims to be a type.
_TYPING_MODULES = frozenset({"types", "typing", "typing_extensions"})
# Spawned processes import the script again under this name.
_MAIN = {"__mp_main__": "__main__"}


class Callable(NamedTuple):
    """The identity of a function, class or module.

    Attributes:
        name: Its full name.
        code: Digest of the code, for a function that cannot be found by its name; else None.
        held: The values captured by such a function: defaults, and closure variables.
    """

    name: str
    code: str | None = None
    held: dict[str, Any] = {}  # noqa: RUF012 - never written to


def is_type_text(value: Any) -> bool:
    """Check whether a value is a type annotation, such as `list[int]` or `int | None`."""
    # `typing.Any` is a class since Python 3.11.
    return type(value).__module__ in _TYPING_MODULES


def callable_of(value: Any) -> Callable | None:
    """Return the identity of a function, class or module; None for anything else."""
    if isinstance(value, ModuleType):
        return Callable(_MAIN.get(value.__name__, value.__name__))
    name = _full_name(value) if callable(value) else None
    if name is None:
        return None
    if isinstance(value, MethodType):
        return Callable(name, None, _owner(value))
    # A named function is part of the program's code; a lambda or an inner function needs a digest.
    if not isinstance(value, FunctionType) or _found(value.__module__, value.__qualname__, value):
        return Callable(name)
    return Callable(name, _code_digest(value.__code__), _held_by(value))


def public_name(kind: type) -> str:
    """Return the full name of a class, without the module for built-in classes."""
    return _full_name(kind) or kind.__name__


def _full_name(value: Any) -> str | None:
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(name, str):
        return None
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or module == "builtins":
        return name
    return f"{_public_module(_MAIN.get(module, module), name, value)}.{name}"


def _public_module(module: str, name: str, value: Any) -> str:
    """Return `pathlib` for `pathlib._local`, if the value can be found there by its name."""
    first, *others = module.split(".")
    public = ".".join([first.lstrip("_"), *(one for one in others if not one.startswith("_"))])
    return public if module != "__main__" and _found(public, name, value) else module


def _found(module: str | None, name: str, value: Any) -> bool:
    """Check whether a name in a loaded module refers to this very value."""
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found is value


def _owner(method: MethodType) -> dict[str, Any]:
    owner = method.__self__
    return {} if isinstance(owner, (type, ModuleType)) else {"self": owner}


def _held_by(function: FunctionType) -> dict[str, Any]:
    """Return the defaults of a function, and its closure variables."""
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    held = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    held.update(function.__kwdefaults__ or {})
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            inside = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        if name != "__class__" and inside is not function:
            held[name] = inside
    return held


def _code_digest(code: CodeType) -> str:
    parts = canonical_json(_code_parts(code)).encode("utf-8", "surrogatepass")
    return blake2b(parts, digest_size=8).hexdigest()


def _code_parts(code: CodeType) -> list[Any]:
    """Return the code of a function, without its position."""
    names = [*code.co_names, *code.co_varnames, *code.co_freevars]
    return [code.co_code.hex(), names, [_constant(one) for one in code.co_consts]]


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _code_parts(value)
    if isinstance(value, tuple):
        return [_constant(one) for one in value]
    # `x in {"a", "b"}` has a frozenset constant, whose order differs between processes.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
