"""Parameters on the command line of a program: `--lr 0.1`, `--layers=3`, `--no-cuda`, `key=value`.

Programs read their command lines in different ways; these are the common ones. If the program is a
Python script, its own code shows how many values its options take.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

from runstore.capture.secrets import MASK, mask_arguments
from runstore.model.code.launchers import launched
from runstore.model.values import clean_text
from runstore.value_classes import NamedTuple

_NAME = r"[A-Za-z_][\w.\-/@]*"
_OPTION = re.compile(rf"--?({_NAME})(?:=(.*))?", re.DOTALL)
_PAIR = re.compile(rf"\+{{0,2}}({_NAME})=(.*)", re.DOTALL)
_JOINED = re.compile(r"-([A-Za-z])(\d+(?:\.\d+)?)")  # -j4
_NUMBER = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity|nan)", re.IGNORECASE
)
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})")
_LEADING_ZEROS = re.compile(r"[+-]?0\d")  # a code or a date, such as 007
_WORDS = {"true": True, "false": False, "none": None, "null": None}
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_NO_PARAMETER = frozenset({"h", "help", "version"})
_ARGUMENTS_AT_MOST = 1000
_LONGEST_VALUE = 4000
_LARGEST_SCRIPT_BYTES = 1 << 20
# What `action` of argparse and optparse can be for an option without a value.
_SWITCHES = frozenset({
    "store_true", "store_false", "store_const", "append_const", "count", "help", "version",
})  # fmt: skip

# Functions of argparse, optparse and click, and actions whose options take one value by default.
_DECLARING = frozenset({"add_argument", "add_option", "option"})
_STORING = frozenset({"store", "append", "extend"})


def read_params(command: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the parameters that a command line names, with secrets left out.

    Options of launchers such as `torchrun` are skipped. A name with dots is a mapping in a
    mapping.
    """
    run = launched(command)
    words = mask_arguments([run.what, *run.arguments[:_ARGUMENTS_AT_MOST]])[1:]
    declared = _declared(folder / run.what) if run.kind == "script" else {}
    found: dict[str, list[Any]] = {}
    for one in _named(words, declared):
        is_help = one.is_switch and one.name in _NO_PARAMETER
        if not is_help and not any(MASK in str(each) for each in one.values):
            found.setdefault(one.name, []).extend(one.values)
    params: dict[str, Any] = {}
    # A name before those within it: if both have a value, the second keeps its dots.
    for name, values in sorted(found.items(), key=lambda one: one[0].count(".")):
        _put(params, name, values[0] if len(values) == 1 else _list(values))
    return params


def merged(read: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with others over them; mappings are merged."""
    both = dict(read)
    for key, value in given.items():
        old = both.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            both[key] = merged(old, value)
        else:
            both[key] = value
    return both


def leaf_names(params: Mapping[str, Any], start: str = "") -> Iterator[str]:
    """Yield the names of values, with dots."""
    for key, value in params.items():
        if isinstance(value, dict) and value:
            yield from leaf_names(value, f"{start}{key}.")
        else:
            yield f"{start}{key}"


class NamedParam(NamedTuple):
    """A parameter on a command line.

    Attributes:
        name: Its name; with dots for a mapping.
        values: Its values.
        begin: Place of the first word of its values, or of the option if it has none.
        end: Place after the last of these words.
        prefix: Text before the value in the same word, such as `--lr=`.
        is_switch: Whether it is an option without a value.
    """

    name: str
    values: list[Any]
    begin: int
    end: int
    prefix: str = ""
    is_switch: bool = False


def named_params(words: Sequence[str], folder: Path) -> tuple[list[NamedParam], int]:
    """Return the parameters that a command line names, and the place of its first argument.

    The places are those in `words`. There are none if the arguments are not words of the command,
    as in `sh -c "..."`.
    """
    run = launched(words)
    first = len(words) - len(run.arguments)
    if tuple(words[first:]) != run.arguments:
        return [], len(words)
    declared = _declared(folder / run.what) if run.kind == "script" else {}
    found = [
        one._replace(begin=one.begin + first, end=one.end + first)
        for one in _named(run.arguments, declared)
    ]
    return found, first


def _named(words: Sequence[str], declared: Mapping[str, int]) -> Iterator[NamedParam]:
    """Yield the parameters, in the order of the words."""
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            return
        if joined := _JOINED.fullmatch(word):
            yield _in_word(joined[1], joined[2], place, f"-{joined[1]}")
            continue
        option = None if _NUMBER.fullmatch(word) else _OPTION.fullmatch(word)
        if option is None:
            if pair := _PAIR.fullmatch(word):
                yield _in_word(_key(pair[1]), pair[2], place, word[: pair.start(2)])
            continue
        if option[2] is not None:
            # Java's -Dkey=value
            name = option[1][1:] if re.match(r"-D[a-z]", word) else option[1]
            yield _in_word(_key(name), option[2], place, word[: option.start(2)])
            continue
        taken = _taken(words[place:], declared.get(word))
        begin, place = place, place + len(taken)
        if taken:
            yield NamedParam(_key(option[1]), [*map(_value, taken)], begin, place)
        else:
            yield NamedParam(*_switched(option[1]), begin - 1, place, is_switch=True)


def _in_word(name: str, text: str, place: int, prefix: str) -> NamedParam:
    """Return a parameter whose name and value are one word, the one before a place."""
    return NamedParam(name, [_value(text)], place - 1, place, prefix)


def _taken(following: Sequence[str], declared: int | None) -> Sequence[str]:
    """Return the words that are values of an option: as many as declared, if it is."""
    values = list(takewhile(lambda word: not _is_option(word), following))
    if declared is not None:
        return values[:declared]
    if numbers := list(takewhile(_NUMBER.fullmatch, values)):
        return numbers
    return () if not values or _PAIR.fullmatch(values[0]) else values[:1]


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-" and not _NUMBER.fullmatch(word)


def _switched(name: str) -> tuple[str, list[Any]]:
    """Return the meaning of an option without a value: `--amp` is true, `--no-amp` false."""
    is_off = name.startswith(("no-", "no_")) and len(name) > len("no-")
    return (_key(name[3:]), [False]) if is_off else (_key(name), [True])


def _key(name: str) -> str:
    return name.strip("-").replace("-", "_")


def _list(values: Sequence[Any]) -> Any:
    """Return the value of an option that is there several times; `-v -v` is still true."""
    return values[-1] if all(isinstance(one, bool) for one in values) else list(values)


def _put(params: dict[str, Any], name: str, value: Any) -> None:
    """Put a value in its place; under its whole name if a part of that has a value of its own."""
    *path, last = name.split(".") if "" not in name.split(".") else [name]
    inner: Any = params
    for part in path:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner[last] = value
    else:
        params[name] = value


def _value(text: str) -> Any:
    """Return a value with the type that it is written as; numbers as people write them."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and not _LEADING_ZEROS.match(text) and not _is_long_integer(text):
        return float(text)
    if len(text) < _LONGEST_VALUE and _BRACKETS.get(text[:1]) == text[-1:]:
        with suppress(ValueError, RecursionError):
            return json.loads(text)
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return ast.literal_eval(text)
    return clean_text(text)


def _is_long_integer(text: str) -> bool:
    """Check for digits that a float would not keep: an id or a hash."""
    return text.lstrip("+-").isdigit()


# Which options a Python script declares


def _declared(script: Path) -> Mapping[str, int]:
    """Return the options that a script declares with argparse, click and the like.

    The value is the largest number of words that the option takes.
    """
    try:
        if script.suffix not in {".py", ".pyw"} or script.stat().st_size > _LARGEST_SCRIPT_BYTES:
            return {}
        tree = ast.parse(script.read_bytes())
    except (OSError, ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    found: dict[str, set[int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (names := _option_names(node)):
            most = _most_values(node)
            if most is not None:
                for name in names:
                    found.setdefault(name, set()).add(most)
    # The commands of a program may have different options of the same name.
    return {name: min(ways) for name, ways in found.items() if len(ways) == 1}


def _option_names(call: ast.Call) -> list[str]:
    texts = [one.value for one in call.args if isinstance(one, ast.Constant)]
    return [
        name.strip()
        for text in texts
        if isinstance(text, str) and text.startswith("-")
        for name in text.split("/")  # click's --amp/--no-amp
    ]


def _most_values(call: ast.Call) -> int | None:
    """Return the largest number of values of an option; None if the code does not show it."""
    said = {one.arg: one.value for one in call.keywords}
    action, nargs = said.get("action"), said.get("nargs")
    is_click_pair = any(
        isinstance(one, ast.Constant) and "/-" in str(one.value) for one in call.args
    )
    if (
        is_click_pair
        or ("flag_value" in said and "is_flag" not in said)
        or _constant(said.get("is_flag")) is True
        or _constant(said.get("count")) is True
        or _constant(action) in _SWITCHES
        or "BooleanOptionalAction" in ast.dump(action or call.func)
    ):
        return 0
    number = _constant(nargs)
    if number in {"+", "*"}:
        return _ARGUMENTS_AT_MOST
    if isinstance(number, int) and number > 0:
        return number
    parts = said.get("type")  # click has types of several values
    if isinstance(parts, ast.Call) and parts.args and _called(parts) == "Tuple":
        parts = parts.args[0]
    if isinstance(parts, (ast.Tuple, ast.List)):
        return len(parts.elts)
    is_known = nargs is None or number == "?", action is None or _constant(action) in _STORING
    return 1 if _called(call) in _DECLARING and None not in said and all(is_known) else None


def _called(call: ast.Call) -> str:
    """Return the last name of the function that is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _constant(node: ast.expr | None) -> Any:
    return node.value if isinstance(node, ast.Constant) else None
