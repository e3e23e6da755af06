"""Hints about an unknown name: the most similar one, or a list of names."""

from __future__ import annotations

from collections.abc import Collection


def nearest(name: str, known: Collection[str]) -> str:
    """Return the probable intended name; empty if there is none."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return close[0] if close else ""


def hint_of(
    name: str,
    known: Collection[str],
    *,
    who: str = "Available",
    most: int = 40,
    otherwise: str | None = None,
) -> str:
    """Return `Did you mean 'acc'?`, or a list of the known names.

    Args:
        name: The unknown name.
        known: The known names.
        who: The beginning of the list: `They have`.
        most: Maximum number of names in the list.
        otherwise: A text to return instead of the list.
    """
    if near := nearest(name, known):
        return f"Did you mean {near!r}?"
    return listed(known, who=who, most=most) if otherwise is None else otherwise


def listed(known: Collection[str], *, who: str = "Available", most: int = 40) -> str:
    """Return the known names as a sentence."""
    return f"{who}: {some_of(known, most) or 'none'}."


def some_of(names: Collection[str], most: int = 3) -> str:
    """Return the first names, and the number of others: `a, b and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more
