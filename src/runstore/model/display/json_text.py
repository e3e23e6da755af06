"""Any values as JSON that a person reads: numbers of numpy, paths, dates, sets, dataclasses."""

from __future__ import annotations

import json
from collections.abc import Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from runstore.errors import InvalidValueError
from runstore.model.params.attributes import attributes_beyond, fields_of
from runstore.model.params.encode import TreeBuilder
from runstore.model.params.flatten import legible

_BYTES = (bytes, bytearray, memoryview)
_JSON_KEYS = (int, float, bool, type(None))


def json_text(thing: Any) -> str:
    """Return the JSON text of a thing, indented.

    What JSON knows stays as it is. Arrays and sets become lists, objects that hold values become
    objects, everything else the text that stands for it among parameters.

    Raises:
        InvalidValueError: It holds what no text can stand for, or itself.
    """
    try:
        try:
            text = json.dumps(thing, indent=2, ensure_ascii=False, default=_plainer)
        except TypeError:  # keys that JSON does not know
            plain = _with_text_keys(thing)
            text = json.dumps(plain, indent=2, ensure_ascii=False, default=_plainer)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(
            f"It cannot be said in JSON: {error.args[0] if error.args else error}",
            kept="Nothing was saved.",
            hint="Save it as .pkl, or as text of your own.",
        ) from error
    return text


def _plainer(value: Any) -> Any:
    """Return something nearer to JSON, for a value that it does not know."""
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
    # Bytes are a sequence of numbers, but read as hexadecimal digits.
    is_list = isinstance(value, (MappingView, Sequence)) and not isinstance(value, _BYTES)
    return [*iter(value)] if is_list else _text(value)


def _text(value: Any) -> Any:
    """Return what stands for a value among parameters.

    Raises:
        TypeError: Nothing does, or too little.
    """
    builder = TreeBuilder(for_hash=False)
    try:
        tree = builder.build(value, ("value",))
    except InvalidValueError as error:
        raise TypeError(str(error.args[0])) from error
    if builder.notes:
        raise TypeError(f"{type(value).__name__} has no text that stands for all of it.")
    return legible(tree)


def _listed(value: Any) -> Any:
    """Return lists and numbers of an array, tensor, column or scalar."""
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
    """Return the value with keys that JSON knows.

    Raises:
        ValueError: Two keys have one text.
    """
    if isinstance(value, dict):
        plain: dict[Any, Any] = {}
        for key, one in value.items():
            text = key if isinstance(key, str) else _key_text(key)
            if text in plain:
                raise ValueError(f"Two keys are {text!r} in JSON.")
            plain[text] = _with_text_keys(one)
        return plain
    return [_with_text_keys(one) for one in value] if isinstance(value, (list, tuple)) else value


def _key_text(key: Any) -> str:
    text = key if type(key) in _JSON_KEYS else _text(key)
    return text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
