"""Hypothesis strategies shared by all tests: what users may call things, and store."""

from __future__ import annotations

import math
import unicodedata
from datetime import timezone

from hypothesis import strategies as st

from runstore.model.reference import NAME_LIMIT_BYTES, check_experiment_name
from runstore.model.status import Status

# Lone surrogates come from file names and from broken files; texts may hold them.
any_text = st.text(st.characters(), max_size=20)
notes = st.none() | st.text(max_size=200) | st.text(st.characters(), max_size=50)

timestamps = st.datetimes().map(lambda at: f"{at.year:04}{at:-%m-%d-T%H%M%S}")
run_numbers = st.integers(1, 10**6) | st.integers(1, 2**63 - 1)

_plain_names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
_like_references = st.builds("{}_{}_{}".format, _plain_names, run_numbers, timestamps)
_like_numbered = st.builds("{}#{}".format, _plain_names, st.integers(-3, 99))
_any_names = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
    max_size=40,
)


_BIDI = frozenset({"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"})


def _may_be_name(name: str) -> bool:
    bidi = any(unicodedata.bidirectional(one) in _BIDI for one in name)
    return bool(name.strip()) and len(name.encode()) <= NAME_LIMIT_BYTES and not bidi


experiment_names = (
    _plain_names
    | _like_references
    | _like_numbered
    | st.sampled_from(["latest", "a_1", "1", "a/b", 'it\'s "x"', "日本語 🚀", "_", "x" * 255])
    | _any_names.filter(_may_be_name)
).map(check_experiment_name)
references = st.builds("{}_{}_{}".format, experiment_names, run_numbers, timestamps)

statuses = st.sampled_from(list(Status))

# Values that come back from a tree as they were.
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**700), 10**700)
    | st.floats(allow_nan=False)
    | any_text
    | st.sampled_from(["", "$path", "$$", '"$', "\ud83d\ude00", "\0", "a.b", "[0]"])
)
typed_scalars = (
    scalars
    | st.binary(max_size=20)
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(timezone.utc))
    | st.times()
    | st.timedeltas()
    | st.uuids()
)
text_keys = any_text | st.sampled_from(["$path", "$float", "$$float", "$1", "name", "", "a.b"])
typed_keys = text_keys | st.integers() | st.none() | st.booleans() | st.floats(allow_nan=False)


def nested(leaves, keys):
    """Return values of `leaves` in lists and mappings."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )


plain_values = nested(st.none() | st.booleans() | st.integers() | st.text(max_size=9), any_text)
parameter_values = nested(typed_scalars, typed_keys)
parameter_mappings = st.dictionaries(text_keys, parameter_values, max_size=5)


def typed(value):
    """Return a value in a form that is equal only where the types are equal as well."""
    if isinstance(value, dict):
        return "dict", frozenset((typed(key), typed(one)) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return "list", tuple(typed(one) for one in value)
    if isinstance(value, float):
        return "float", math.copysign(1, value), repr(value)
    if isinstance(value, complex):
        return "complex", typed(value.real), typed(value.imag)
    # Equal decimals and aware times may be written in different ways.
    return type(value).__name__, str(value) if hasattr(value, "as_tuple") else value
