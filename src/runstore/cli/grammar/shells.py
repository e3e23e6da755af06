"""Completion scripts of bash, zsh and fish, and the quoting that bash expects of a program."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
)

_BASH = """\
%(complete_func)s() {
    local line kind value
    COMPREPLY=()
    while IFS= read -r line; do
        kind=${line%%%%,*} value=${line#*,}
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" \\
        COMP_WORD="${COMP_WORDS[COMP_CWORD]}" %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
# Everything else is quoted; `#` is a comment at the beginning of a word only.
_SAFE = re.compile(r"[\w@%+=:,./#-]")
_KEPT_IN_DOUBLE_QUOTES = frozenset('$`"\\')
_BREAKS = frozenset("\"'@><=;|&(:")


class Bash(BashComplete):
    """Completes the line up to the cursor; bash inserts the completions unquoted."""

    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the current one, and the current one without quotes."""
        line = _line()
        typed = _typed(line)
        return shlex.split(line[: len(line) - len(typed)])[1:], _unquoted(typed)

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return `type,value`, the value quoted like the typed word."""
        if item.type != "plain":
            return f"{item.type},{item.value}"
        typed = _typed(_line())
        word = os.environ.get("COMP_WORD", "")
        # bash replaces the part after the last `=`, `:` or `@`, and nothing before a quote.
        part = "" if set(word) <= _BREAKS else word
        before = typed[: len(typed) - len(part)] if typed.endswith(part) else ""
        quote = typed[:1] if typed[:1] in {'"', "'"} else ""
        quoted = _quoted(item.value, quote)
        if quoted is None or not quoted.startswith(before.removeprefix(quote)):
            return ""
        return f"plain,{quoted[len(before.removeprefix(quote)) :]}"


class Fish(FishComplete):
    """Completes comma-separated values as well."""

    source_template: ClassVar[str] = FishComplete.source_template.replace(
        'string split ","', 'string split -m 1 ","'
    )


SHELLS: Mapping[str, type[ShellComplete]] = {"bash": Bash, "fish": Fish, "zsh": ZshComplete}


def _line() -> str:
    """Return the line up to the cursor, which bash counts in bytes."""
    line = os.environ.get("COMP_LINE", "")
    try:
        point = int(os.environ.get("COMP_POINT", ""))
    except ValueError:
        return line
    return line.encode(errors="surrogateescape")[:point].decode(errors="surrogateescape")


def _typed(line: str) -> str:
    """Return the last word of a line as typed, with its quotes and backslashes."""
    start, quote, is_escaped = 0, "", False
    for place, sign in enumerate(line):
        if is_escaped:
            is_escaped = False
        elif sign == "\\" and quote != "'":
            is_escaped = True
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign.isspace():
            start = place + 1
    return line[start:]


def _unquoted(typed: str) -> str:
    """Return a word without its quotes; the closing one may be missing."""
    for end in ("", "'", '"', "\\"):
        with suppress(ValueError):
            return "".join(shlex.split(f"{typed}{end}"))
    return typed


def _quoted(value: str, quote: str) -> str | None:
    """Return a value quoted for these quotes, or with backslashes; None if that is impossible."""
    if quote == "'":
        return None if "'" in value else value
    if quote:
        if "!" in value:  # bash expands the history, and would keep a backslash
            return None
        return "".join(f"\\{one}" if one in _KEPT_IN_DOUBLE_QUOTES else one for one in value)
    shown = "".join(one if _SAFE.match(one) else f"\\{one}" for one in value)
    return f"\\{shown}" if shown.startswith("#") else shown
