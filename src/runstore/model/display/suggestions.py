"""Hints about a name that is not there: the nearest one, or those there are."""

from __future__ import annotations

from collections.abc import Collection


def nearest(name: str, known: Collection[str]) -> str:
    """Return the name that was probably meant; empty without one."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return close[0] if close else ""


def hint_of(
    name: str,
    known: Collection[str],
    *,
    who: str = "There is",
    most: int = 40,
    otherwise: str | None = None,
) -> str:
    """Return `Did you mean 'acc'?`, or the names that there are.

    Args:
        name: What was asked for.
        known: What there is.
        who: What the list begins with: `They have`.
        most: How many names are listed.
        otherwise: What to say instead of the list.
    """
    if near := nearest(name, known):
        return f"Did you mean {near!r}?"
    return listed(known, who=who, most=most) if otherwise is None else otherwise


def listed(known: Collection[str], *, who: str = "There is", most: int = 40) -> str:
    """Return the names that there are, as a sentence."""
    return f"{who}: {some_of(known, most) or 'none'}."


def some_of(names: Collection[str], most: int = 3) -> str:
    """Return the first names, and how many more there are: `a, b and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more
