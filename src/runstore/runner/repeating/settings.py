"""`runstore rerun --set key=value`: other values in a recorded command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runstore.errors import UsageError, quoted
from runstore.model.display.suggestions import hint_of
from runstore.runner.overrides import read_value
from runstore.runner.programs.params import NamedParam, named_params

_KEPT = "Nothing was started."


def with_settings(words: Sequence[str], settings: Sequence[str], folder: Path) -> list[str]:
    """Return a command with other values of parameters that its words name, such as `lr=0.1`.

    Raises:
        UsageError: The command does not name the parameter, or the value does not fit.
    """
    changed = list(words)
    for setting in settings:
        key, text = split(setting)
        found, _ = named_params(changed, folder)
        one = _only(key, found)
        changed[one.begin : one.end] = _written(one, key, text, changed[one.begin : one.end])
    return changed


def split(setting: str) -> tuple[str, str]:
    """Return the key and the value of a setting.

    Raises:
        UsageError: It is not of the form key=value.
    """
    key, sign, text = setting.partition("=")
    if not sign or not key.strip():
        raise UsageError(
            f"--set {quoted(setting)} is not of the form key=value.",
            kept=_KEPT,
            hint="Write for example: --set lr=0.1",
        )
    return key.strip(), text


def _only(key: str, found: Sequence[NamedParam]) -> NamedParam:
    same = [one for one in found if one.name == key.replace("-", "_")]
    if len(same) == 1:
        return same[0]
    names = list(dict.fromkeys(one.name for one in found))
    if same:
        problem = f"The command names {quoted(key)} {len(same)} times."
        todo = "Run the changed command with: runstore exec -- COMMAND"
    else:
        problem = f"The command does not name {quoted(key)}, so its value cannot be changed."
        todo = "Run another command with: runstore exec -- COMMAND"
        if names:
            todo = f"{hint_of(key, names, who='It names')} {todo}"
    raise UsageError(problem, kept=_KEPT, hint=todo)


def _written(one: NamedParam, key: str, text: str, words: Sequence[str]) -> list[str]:
    """Return the words of a parameter with another value."""
    old: Any = one.values[0] if len(one.values) == 1 else list(one.values)
    try:
        new = read_value(text, old, key)
    except UsageError as error:
        raise UsageError(error.what, kept=_KEPT) from None
    if one.is_switch:
        return list(words) if new == old else []
    if isinstance(new, list) and len(one.values) > 1:
        return [str(each) for each in new]
    return [f"{one.prefix}{text}"]
