"""Which parameters have the same value under another name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from runstore.analysis.compare.differences import MISSING, Difference, identity

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Words that names share without meaning the same.
_EMPTY = frozenset(
    {"n", "num", "number", "of", "size", "max", "min", "rate", "use", "is", "the", "dim", "type"}
)
_LEAST = 2
_COMMON = frozenset({"none", "true", "false", "auto", "default", "mean", "linear", "constant"})
_ROUND = 1_000  # smaller whole numbers are often equal by chance
_DIGITS = 3  # of a number that is as good as a name
_SHORT = 4  # letters of a text that is often equal by chance


def renamed(found: Sequence[Difference]) -> list[tuple[str, str]]:
    """Return the old and the new name of parameters that were renamed.

    That is a value which only the one run has under the one name, and only the other under the
    other. The names are forms of each other, or the value is unlikely to occur twice by chance.
    """
    gone: dict[str, list[str]] = defaultdict(list)
    come: dict[str, list[str]] = defaultdict(list)
    values: dict[str, object] = {}
    for one in found:
        old, new = one.values
        if (old is MISSING) == (new is MISSING) or one.key.endswith(("(set)", "(file)")):
            continue
        value = new if old is MISSING else old
        (come if old is MISSING else gone)[identity(value)].append(one.key)
        values[identity(value)] = value
    return sorted(
        pair
        for same in gone.keys() & come.keys()
        for pair in _pairs(gone[same], come[same], is_telling=_is_telling(values[same]))
    )


def _pairs(
    gone: Sequence[str], come: Sequence[str], *, is_telling: bool
) -> Iterator[tuple[str, str]]:
    free = list(come)
    for old in gone:
        alike = [new for new in free if are_alike(old, new)]
        if not alike and is_telling and len(gone) == len(come) == 1:
            alike = free
        if alike:
            new = alike[0]
            free.remove(new)
            yield old, new


def _is_telling(value: object) -> bool:
    """Return whether two parameters are unlikely to share this value by chance."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return abs(value) >= _ROUND and value % _ROUND != 0
    if isinstance(value, float):
        return len(re.sub(r"e.*|[^\d]", "", repr(value)).strip("0")) >= _DIGITS
    return isinstance(value, str) and len(value) >= _SHORT and value.lower() not in _COMMON


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
    if len(words) == 1:
        return len(short) >= _LEAST and words[0].startswith(short)
    return _begins_words(short, words)


def _begins_words(short: str, words: list[str]) -> bool:
    if not words:
        return not short
    return any(
        short[:length] == words[0][:length] and _begins_words(short[length:], words[1:])
        for length in range(1, min(len(words[0]), len(short)) + 1)
    )
