"""Fast encoding of parameter values that are their own tree, as most are."""

from __future__ import annotations

import re
from json import encoder

from runstore.model.arguments import NAME_LIMIT_BYTES
from runstore.model.values import canonical_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DEPTH_LIMIT = 64
VALUES_LIMIT = 100_000
# Maximum number of digits of an int with `PLAIN_INT_BITS`.
_LONG = 617
_LONG_INT = re.compile(rf"[0-9]{{{_LONG}}}")
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None), dict, list})
_PLAIN_CONTAINERS = frozenset({dict, list})
_STR = frozenset({str})
# Like `canonical_json`, but made once. It does not look for cycles, of which there are none here.
_make: Any = getattr(encoder, "c_make_encoder", None)
_OF_C = (None, None, encoder.encode_basestring_ascii, None, ":", ",", True, False, False)
_encode: Any = _make and _make(*_OF_C)


def plain_text(values: dict[Any, Any]) -> str | None:
    """Return the text of a tree that needs no `TreeBuilder`.

    Returns None if anything may need a tag or an escape, or exceeds a limit.
    """
    if not _has_plain_types(values):
        return None
    try:
        text = "".join(_encode(values, 0)) if _encode else canonical_json(values)
    except ValueError:  # nan, an infinity, or more digits than Python prints
        return None
    may_need_more = '"$' in text or "\\ud" in text
    may_need_more = may_need_more or (len(text) >= _LONG and _LONG_INT.search(text) is not None)
    return None if may_need_more else text


def _has_plain_types(values: dict[Any, Any]) -> bool:
    containers: list[Any] = [values]
    count = 0
    for container in containers:
        inside = container
        if type(container) is dict:
            if not _STR.issuperset(map(type, container)):
                return False
            inside = container.values()
        kinds = set(map(type, inside))
        count += len(inside)
        if not kinds <= _PLAIN_TYPES or count >= VALUES_LIMIT:
            return False
        if kinds & _PLAIN_CONTAINERS:
            containers.extend(one for one in inside if type(one) in _PLAIN_CONTAINERS)
            # So few can be neither too deeply nested nor recursive.
            if len(containers) >= DEPTH_LIMIT:
                return False
    return True


def is_name(value: object) -> bool:
    """Check whether an attribute called `name` names its parameter set; a long text does not."""
    return isinstance(value, str) and 0 < str.__len__(value) <= NAME_LIMIT_BYTES
