"""Users' values of any type as strict JSON and as text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

_LONGEST_INT_BITS = 2000  # 602 digits; Python's limit can be as low as 640


def plain(value: Any) -> Any:
    """Convert a value to strict JSON types, and other types to text.

    NaN and infinities become `"NaN"`, `"Infinity"` and `"-Infinity"`; integers too long for JSON
    readers become hexadecimal text; sets become sorted lists. Keys become text; ambiguous ones
    include their type: `"1 (int)"`.
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
    """Return a value as text, even if it has too many digits for Python."""
    try:
        return to_text(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits
        return (
            hex(value)
            if isinstance(value, int)
            else f"a {type(value).__name__} of too many digits"
        )


def as_python(value: object) -> str:
    """Return a value as Python source; sets sorted by their texts."""
    if isinstance(value, (set, frozenset)) and value:
        return f"{{{', '.join(sorted(map(as_python, value)))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_python, value))}]"
    return as_text(value, repr)
