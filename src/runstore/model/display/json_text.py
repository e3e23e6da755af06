"""Values of any type as readable JSON: numbers of numpy, paths, dates, sets, dataclasses."""

from __future__ import annotations

import json
from collections.abc import Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet

from runstore.errors import InvalidValueError
from runstore.model.params.attributes import attributes_beyond, fields_of
from runstore.model.params.encode import TreeBuilder
from runstore.model.params.flatten import legible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BYTES = (bytes, bytearray, memoryview)
_JSON_KEYS = (int, float, bool, type(None))


def json_text(thing: Any) -> str:
    """Return the indented JSON text of a value.

    JSON types are unchanged. Arrays and sets become lists, objects with attributes become objects,
    everything else becomes its text as a parameter.

    Raises:
        InvalidValueError: It contains a value without such a text, or itself.
    """
    try:
        try:
            text = json.dumps(thing, indent=2, ensure_ascii=False, default=_plainer)
        except TypeError:  # keys of other types
            plain = _with_text_keys(thing)
            text = json.dumps(plain, indent=2, ensure_ascii=False, default=_plainer)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            f"It cannot be converted to JSON: {error.args[0] if error.args else error}",
            kept="Nothing was saved.",
            hint="Save it as .pkl, or convert it to text first.",
        ) from error
    return text


def _plainer(value: Any) -> Any:
    """Convert a value to a type closer to JSON."""
    if hasattr(type(value), "tolist"):
        return _listed(value)
    if hasattr(type(value), "columns") and hasattr(type(value), "to_dict"):
        return _with_text_keys({name: list(value[name]) for name in value.columns})
    if isinstance(value, Mapping):
        return _with_text_keys(dict(value))
    if (held := fields_of(value)) is not None:
        return _with_text_keys({**held, **attributes_beyond(value, held)})
    if isinstance(value, AbstractSet):
        return _sorted(value)
    # Bytes are a sequence of numbers, but are shown as hexadecimal digits.
    is_list = isinstance(value, (MappingView, Sequence)) and not isinstance(value, _BYTES)
    return [*iter(value)] if is_list else _text(value)


def _text(value: Any) -> Any:
    """Return the text of a value as a parameter."""
    builder = TreeBuilder(for_hash=False)
    try:
        tree = builder.build(value, ("value",))
    except InvalidValueError as error:
        raise TypeError(str(error.args[0])) from error
    if builder.notes:
        raise TypeError(f"{type(value).__name__} has no complete text.")
    return legible(tree)


def _listed(value: Any) -> Any:
    """Convert an array, tensor, column or scalar to lists and numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if getattr(getattr(value, "dtype", None), "kind", None) in {"m", "M"}:
        value = value.astype(str)
    listed = value.tolist()
    if type(listed) is type(value):  # such as a long double
        return float(value) if getattr(value.dtype, "kind", "") == "f" else str(value)
    return _with_text_keys(listed)


def _sorted(value: AbstractSet[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda one: (type(one).__name__, repr(one)))


def _with_text_keys(value: Any) -> Any:
    """Convert the keys of mappings to types that JSON supports."""
    if isinstance(value, dict):
        plain: dict[Any, Any] = {}
        for key, one in value.items():
            text = key if isinstance(key, str) else _key_text(key)
            if text in plain:
                raise ValueError(f"Two keys become {text!r} in JSON.")
            plain[text] = _with_text_keys(one)
        return plain
    return [_with_text_keys(one) for one in value] if isinstance(value, (list, tuple)) else value


def _key_text(key: Any) -> str:
    text = key if type(key) in _JSON_KEYS else _text(key)
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
