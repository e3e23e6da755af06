"""Confirmations, and texts from an editor."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import click

from runstore.cli.output import say
from runstore.errors import UsageError

# As in git: everything below is a comment, and lines above can begin with `#`.
_SCISSORS = "# ------------------------ >8 ------------------------"
_COMMENT = "# This line and everything below it are left out."


def edited(text: str, title: str) -> str | None:
    """Edit a text in $VISUAL or $EDITOR, and return it; None if it was not saved.

    Lines that begin with `#` are kept: they are headings in Markdown.

    Raises:
        UsageError: No editor is set, and there is no terminal for the default one.
    """
    is_set = any(os.environ.get(name) for name in ("VISUAL", "EDITOR"))
    if not is_set and not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal for an editor.",
            kept="Nothing was changed.",
            hint="Pass the text, or set VISUAL or EDITOR.",
        )
    found = click.edit(f"{text}\n\n{_SCISSORS}\n{_COMMENT}\n# {title}\n", extension=".md")
    if found is None:
        return None
    lines = found.splitlines()
    if _SCISSORS in lines:
        lines = lines[: lines.index(_SCISSORS)]
    return "\n".join(lines).strip()


def named_in_lines(names: Iterable[str], most: int = 10) -> list[str]:
    """Return a line for each of the first names, and the number of the others."""
    every = list(names)
    more = [f"  and {len(every) - most:,} more"] if len(every) > most else []
    return [*(f"  {name}" for name in every[:most]), *more]


def confirm(question: str, lines: Iterable[str], *, kept: str) -> None:
    """Ask for confirmation on the terminal, and end the command unless the answer is yes.

    Args:
        question: The question; the default answer is no.
        lines: Lines shown above it.
        kept: A sentence for an answer of no, such as "Nothing was deleted."

    Raises:
        UsageError: There is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            "This needs confirmation, but there is no terminal to ask on.",
            kept=kept,
            hint="Look first with --dry-run, then add -y.",
        )
    for line in lines:
        say(line, err=True)
    if not click.confirm(question, err=True):
        say(f"runstore: {kept}", err=True)
        click.get_current_context().exit(1)
