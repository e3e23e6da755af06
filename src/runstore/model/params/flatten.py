"""A typed tree as flat rows, for queries and for one-line previews.

A row is (dotted key, number, text). A key that contains a dot, bracket or quote is quoted;
elements of a list are `layers[0]`, and so are keys that are not text: `classes[3]`.

| value | number | text |
|---|---|---|
| None | None | None |
| int, float | the nearest double, infinity beyond | None; the digits if no double is exact |
| bool | 1 or 0 | `true`, `false` |
| nan, infinity | None, infinity | `nan`, `inf`, `-inf` |
| decimal, fraction | nearest double | as written |
| timedelta | seconds | as Python prints it |
| text, path, date, enum … | None | itself |
| list over `LIST_LIMIT`, anything empty | None | JSON, cut at `TEXT_LIMIT` |

Texts and keys contain neither NUL nor lone surrogates. The full values are in the tree.
"""

from __future__ import annotations

import json
import re

from runstore.model.params.decode import decode, decode_key, tag_of
from runstore.model.values import blake2b, canonical_json, clean_text, free_name, nearest_double

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LIST_LIMIT = 32
ROWS_LIMIT = 2_000
KEY_LIMIT = 400
TEXT_LIMIT = 1_000

# A value of a parameter set: its dotted key, and a number, a text, or both.
FlatValue = tuple[str, float | None, str | None]
Cell = tuple[float | None, str | None]

_EXACT_INT = 2**53
# A colon, 15 digits, and a comma.
_SHORT_INT = 17
_SCALARS = frozenset({float, int, str, bool})
# A value truncated to less than this is useless.
_WORTH_CUTTING = 12
# Compiled on first use, because recording seldom needs them.
_SPECIAL = r'[.\[\]"\\\s]'
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+"


def flatten(tree: str) -> tuple[FlatValue, ...]:
    """Return the rows of a tree text, in the order of its keys; up to `ROWS_LIMIT` rows."""
    rows: dict[str, Cell] = {}
    _add(rows, "", json.loads(tree))
    flat = [(key, number, text) for key, (number, text) in rows.items()]
    return tuple(flat[:ROWS_LIMIT])


def is_plain(tree: str) -> bool:
    """Check whether SQLite's `json_each` splits a tree as `flatten` does; fast.

    This is the case only for texts, numbers of at most 15 digits, truth values and null under
    plain names.
    """
    if tree.count("{") != 1 or "[" in tree or "\\" in tree or not tree.isascii():
        return False
    parts = tree.split('"')  # without a backslash, each quote begins or ends a text
    has_long_names = len(tree) > KEY_LIMIT and max(map(len, parts)) >= KEY_LIMIT
    for name, behind in zip(parts[1::2], parts[2::2], strict=True):
        if behind[0] != ":":
            continue  # a value
        if not name.isidentifier() or (has_long_names and len(name) >= KEY_LIMIT):
            return False
        if len(behind) > _SHORT_INT and "." not in behind and "e" not in behind:
            return False
    return True


def _add(rows: dict[str, Cell], key: str, tree: Any) -> None:
    if len(rows) >= ROWS_LIMIT:
        return
    kind = type(tree)
    if kind is dict:
        _add_object(rows, key, tree)
    elif kind is list:
        _add_list(rows, key, tree)
    else:
        rows[_storable_key(rows, key)] = _scalar(tree)


def _add_object(rows: dict[str, Cell], key: str, tree: dict[str, Any]) -> None:
    tag = tag_of(tree)
    if tag == "$array":
        _add(rows, key, tree[tag][2])
    elif tag == "$set":
        _add_list(rows, key, tree[tag])
    elif tag is not None:
        rows[_storable_key(rows, key)] = tagged(tag, tree)
    elif not tree:
        if key:
            rows[_storable_key(rows, key)] = None, "{}"
    else:
        for name, one in tree.items():
            # Most sets are plain values under plain names, which cannot become equal.
            if not key and type(one) in _SCALARS and name.isidentifier() and len(name) < KEY_LIMIT:
                rows[name] = (one, None) if type(one) is float else _scalar(one)
            else:
                _add(rows, joined(key, name), one)


def _add_list(rows: dict[str, Cell], key: str, trees: list[Any]) -> None:
    if 0 < len(trees) <= LIST_LIMIT:
        for index, one in enumerate(trees):
            _add(rows, f"{key}[{index}]", one)
    else:
        rows[_storable_key(rows, key)] = None, _cut(canonical_json(trees), TEXT_LIMIT)


def _scalar(tree: Any) -> Cell:
    kind = type(tree)
    if kind is float:
        return tree, None
    if kind is str:
        return None, clean_text(tree)
    if kind is bool:
        return (1.0, "true") if tree else (0.0, "false")
    if kind is int:
        return _nearest(tree), (None if -_EXACT_INT <= tree <= _EXACT_INT else str(tree))
    return None, None


def tagged(tag: str, tree: dict[str, Any]) -> Cell:
    """Return the number and the text of a tagged value other than an array or set."""
    kept, value = tree[tag], decode(tree)
    if tag in {"$float", "$decimal"}:
        return (None if "nan" in kept.lower() else float(kept)), kept
    if tag == "$fraction":
        return _nearest(value), canonical_json(kept)[1:-1].replace(",", "/")
    if tag == "$int":
        return _nearest(value), kept
    if tag == "$timedelta":
        return value.total_seconds(), str(value)
    # Dates and bytes have a readable form in the tree.
    text = decode(kept) if tag in {"$bytes", "$datetime", "$date", "$time", "$path"} else value
    return None, clean_text(str(text))


def _nearest(value: Any) -> float:
    return nearest_double(value)


def joined(key: str, name: str) -> str:
    """Return the dotted key of a mapping's entry, from the key's text in the tree."""
    if name.isidentifier():
        return f"{key}.{name}" if key else name
    if name[:1] == "$":
        if name[:2] != "$$":
            return f"{key}[{name[1:]}]"
        name = name[1:]
    if not name or re.search(_SPECIAL, name):
        name = json.dumps(name, ensure_ascii=False)
    return f"{key}.{name}" if key else name


def _storable_key(rows: dict[str, Cell], key: str) -> str:
    """Return a unique key that every engine accepts."""
    clean = clean_text(key)
    if len(clean) > KEY_LIMIT:
        # Index entries have a limit too: about 2,700 bytes in PostgreSQL.
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        clean = f"{clean[:KEY_LIMIT]}…{digest}"
    return free_name(clean, rows)


def shown_in_line(tree: str, width: int | None) -> str:
    """Return as many values as fit on one line, with `…` for the rest; all without a width."""
    values = json.loads(tree)
    parts = (
        re.sub(_CONTROL, " ", clean_text(f"{joined('', key)}={_shown(one)}"))
        for key, one in values.items()
    )
    if width is None:
        return " ".join(parts)
    line = ""
    for position, part in enumerate(parts, 1):
        longer = f"{line} {part}" if line else part
        # Unless it is the last, a value leaves space for the ellipsis.
        if len(longer) > (width if position == len(values) else width - 2):
            worth_cutting = width - len(line) > _WORTH_CUTTING or not line
            return longer[: width - 1] + "…" if worth_cutting else f"{line} …"
        line = longer
    return line


def _shown(tree: Any) -> str:
    plain = legible(tree)
    return plain if isinstance(plain, str) else canonical_json(plain)


def legible(tree: Any) -> Any:
    """Return a tree with readable texts in place of its tags."""
    if isinstance(tree, list):
        return [legible(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    tag = tag_of(tree)
    if tag is None:
        return {str(decode_key(key)): legible(one) for key, one in tree.items()}
    if tag in {"$array", "$set"}:
        return legible(tree[tag][2] if tag == "$array" else tree[tag])
    return tagged(tag, tree)[1]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
