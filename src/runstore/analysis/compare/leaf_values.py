"""A typed tree as single values by dotted key, with their types, for comparisons."""

from __future__ import annotations

import json
from typing import Any

from runstore.model.params.decode import decode, tag_of
from runstore.model.params.flatten import LIST_LIMIT, joined
from runstore.model.values import free_name


def leaves(tree: str) -> dict[str, Any]:
    """Return the values of a tree text by dotted key, e.g. `layers[0]` and `options.C`.

    Keys are those of `flat.py`. A list of more than `LIST_LIMIT` elements, a set, and an empty
    value are one value each; `{"a": [1], "a[0]": 2}` has `a[0]` and `a[0]~2`. An array has one
    more, `<key>.array`: its kind and shape.
    """
    found: dict[str, Any] = {}
    root = json.loads(tree)
    if root:
        _add(found, "", root)
    return found


def _add(found: dict[str, Any], key: str, tree: Any) -> None:
    tag = tag_of(tree) if isinstance(tree, dict) else None
    if tag == "$array":
        kind, shape, inside = tree[tag]
        found[free_name(f"{key}.array", found)] = (
            f"{kind} {' x '.join(map(str, shape)) or 'scalar'}"
        )
        _add(found, key, inside)
    elif tag == "$enum":
        # Decoded it would be its name alone, which a text may be as well.
        found[free_name(key, found)] = f"{tree[tag][0]}.{decode(tree)}"
    elif tag is None and isinstance(tree, dict) and tree:
        for name, one in tree.items():
            _add(found, joined(key, name), one)
    elif isinstance(tree, list) and 0 < len(tree) <= LIST_LIMIT:
        for index, one in enumerate(tree):
            _add(found, f"{key}[{index}]", one)
    else:
        found[free_name(key, found)] = decode(tree)
