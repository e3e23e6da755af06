"""Values of users as strict JSON and as text, whatever they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

_LONGEST_INT_BITS = 2000  # 602 digits; Python can be told to read 640 at most


def plain(value: Any) -> Any:
    """Return a value made of what strict JSON knows; the rest becomes text.

    NaN and infinities are `"NaN"`, `"Infinity"` and `"-Infinity"`; whole numbers that JSON readers
    refuse for their length are hexadecimal text; sets are sorted lists. Keys are texts; those that
    would become the same have their type added: `"1 (int)"`.
    """
    if isinstance(value, Mapping):
        return dict(_pairs(value))
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one) for one in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or type(value) in {str, int, float, bool}:
        is_too_long = type(value) is int and value.bit_length() > _LONGEST_INT_BITS
        return hex(value) if is_too_long else value
    return value.isoformat() if isinstance(value, date) else as_text(value)


def _pairs(values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    keys = {key: as_text(key) for key in values}
    counts = Counter(keys.values())
    for key, text in keys.items():
        is_unique = counts[text] == 1
        yield text if is_unique else f"{text} ({type(key).__name__})", plain(values[key])


def as_text(value: object, to_text: Callable[[object], str] = str) -> str:
    """Return a value as text; one that Python refuses to print for its length as well."""
    try:
        return to_text(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits
        return (
            hex(value)
            if isinstance(value, int)
            else f"a {type(value).__name__} of too many digits"
        )


def as_python(value: object) -> str:
    """Return a value as Python writes it; sets in the order of their texts."""
    if isinstance(value, (set, frozenset)) and value:
        return f"{{{', '.join(sorted(map(as_python, value)))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_python, value))}]"
    return as_text(value, repr)
