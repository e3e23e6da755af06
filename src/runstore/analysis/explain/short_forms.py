"""Whether two names mean the same: one is a short form of the other, or they share a word."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Words that names share without meaning the same.
_EMPTY = frozenset(
    {"n", "num", "number", "of", "size", "max", "min", "rate", "use", "is", "the", "dim", "type"}
)
_LEAST = 2


def are_alike(old: str, new: str) -> bool:
    """Return whether two dotted names may mean the same.

    They are if the last part is the same, or the words of the one begin, in their order, with the
    letters of the other (`lr`, `learning_rate`; `opt`, `optimizer`), or both share a word.
    """
    last_old, last_new = (re.split(r"[./]", name)[-1] for name in (old, new))
    one, other = _words(last_old), _words(last_new)
    if one == other or "".join(one) == "".join(other):
        return True
    if (set(one) & set(other)) - _EMPTY:
        return True
    return any(_abbreviates("".join(short), long) for short, long in ((one, other), (other, one)))


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _abbreviates(short: str, words: list[str]) -> bool:
    """Return whether a text consists of the beginnings of words, in their order."""
    if not words:
        return not short
    if len(words) == 1:
        return len(short) >= _LEAST and words[0].startswith(short)
    first = words[0]
    return any(
        short[:length] == first[:length] and _rest_abbreviates(short[length:], words[1:])
        for length in range(1, min(len(first), len(short)) + 1)
    )


def _rest_abbreviates(short: str, words: list[str]) -> bool:
    if not words:
        return not short
    return any(
        short[:length] == words[0][:length] and _rest_abbreviates(short[length:], words[1:])
        for length in range(1, min(len(words[0]), len(short)) + 1)
    )
