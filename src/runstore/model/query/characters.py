"""Characters that a part of a regular expression matches, for engines with other alphabets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from runstore.model.query.patterns import compiled

# All that Unicode assigns, and one character for each of the two ranges without any.
_UNASSIGNED, _PRIVATE = 0x33480, 0xE0200
_ENDS = {_UNASSIGNED: 0xDFFFF, _PRIVATE: 0x10FFFF}
_SURROGATES = range(0xD800, 0xE000)


@lru_cache(maxsize=256)
def ranges_of(expression: str) -> tuple[tuple[int, int], ...]:
    r"""Return the ranges of code points that an expression for one character matches.

    Args:
        expression: Such as `\w` or `(?i)[a-z]`; NUL and surrogates, which no text has, are left
            out.
    """
    matches = compiled(f"{expression}+").finditer(_alphabet())
    found = _ranges(ord(one) for match in matches for one in match[0])
    return tuple((first, _ENDS.get(last, last)) for first, last in found)


@lru_cache(maxsize=1)
def _alphabet() -> str:
    codes = [*range(1, _UNASSIGNED + 1), *range(0xE0000, _PRIVATE + 1)]
    return "".join(chr(code) for code in codes if code not in _SURROGATES)


def _ranges(codes: Iterator[int]) -> Iterator[tuple[int, int]]:
    first = last = next(codes, -1)
    if first < 0:
        return
    for code in codes:
        if code != last + 1:
            yield first, last
            first = code
        last = code
    yield first, last
