"""Hints about an unknown name: the most similar one, or a list of names."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from runstore.errors import quoted

_MOST_LIKELY = 3
_LISTED = 12
_LONGEST = 1_000  # characters of a name that may be misspelt
_SEPARATORS = "/", "."


def likely(name: str, known: Collection[str]) -> list[str]:
    """Return the probable intended names: `train/loss` and `val/loss` for `loss`, or the nearest.

    Names that have the others as their last part come before names with similar letters.
    """
    listed_names = [one.strip() for one in name.split(",")]
    if len(listed_names) > 1 and all(one in known for one in listed_names):
        return listed_names[:_MOST_LIKELY]
    ends = tuple(f"{sign}{name}" for sign in _SEPARATORS)
    parts = [one for one in known if one.endswith(ends)] or [
        one for one in known if name.endswith(tuple(f"{sign}{one}" for sign in _SEPARATORS))
    ]
    if parts or len(name) > _LONGEST:
        return parts[:_MOST_LIKELY]
    import difflib

    return difflib.get_close_matches(name, known, n=1)


def nearest(name: str, known: Collection[str]) -> str:
    """Return the probable intended name; empty if there is none."""
    return next(iter(likely(name, known)), "")


def hint_of(
    name: str,
    known: Collection[str],
    *,
    who: str = "Available",
    most: int = _LISTED,
    otherwise: str | None = None,
) -> str:
    """Return `Did you mean 'train/loss' or 'val/loss'?`, or a list of the known names.

    Args:
        name: The unknown name.
        known: The known names.
        who: The beginning of the list: `They have`.
        most: Maximum number of names in the list.
        otherwise: A text to return instead of the list.
    """
    if near := likely(name, known):
        return f"Did you mean {either(map(repr, near))}?"
    return listed(known, who=who, most=most) if otherwise is None else otherwise


def missing_key(noun: str, name: object, known: Collection[str]) -> KeyError:
    """Return the error of a mapping that has no such key, with a hint."""
    hint = hint_of(name, known, most=10) if isinstance(name, str) else ""
    named = quoted(name) if isinstance(name, str) else repr(name)
    return KeyError(f"There is no {noun} {named}. {hint}".rstrip())


def either(names: Iterable[str], *, word: str = "or") -> str:
    """Return alternatives as a text: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} {word} {last}" if others else last


def listed(known: Collection[str], *, who: str = "Available", most: int = _LISTED) -> str:
    """Return the known names as a sentence."""
    return f"{who}: {some_of(known, most) or 'none'}."


def some_of(names: Collection[str], most: int = 3) -> str:
    """Return the first names, and the number of others: `a, b and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more
