"""Secrets in command lines: as words, and as text typed into a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from runstore.capture.secrets.assignments import MASK
from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.programs import (
    NO_OPTIONS,
    PROGRAM_NAMES,
    PROGRAMS,
    ProgramOptions,
    is_login_option,
    is_of_ports,
    known_program,
    login_in,
    masked_option,
)
from runstore.capture.secrets.text import mask_plain
from runstore.capture.secrets.values import is_placeholder, is_secret_setting, looks_random

_SHELL_WORD = re.compile(r"(?:[^\s\"'\\;&|<>]|\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*')+", re.DOTALL)
_SMALL_NUMBER = re.compile(r"[+-]?[0-9]{1,5}(?:\.[0-9]*)?")
# Between a name and its value.
_SIGNS = ("=", ":")
_KEY = "--key-after-login"
_LOGGED_IN = {("wandb", "login"), ("comet", "login"), ("neptune", "login"), ("kaggle", "login")}


def mask_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command's words with secrets masked."""
    masked: list[str] = []
    program = option = before = ""
    options = NO_OPTIONS
    changed = set(_changed(words))
    texts = dict(_texts(words))
    for place, word in enumerate(words):
        is_value = bool(option) and _is_value_of(option, options, word)
        if is_value:
            masked.append(_masked_value(option, options, word))
        if (option and options.is_first) or word.startswith(options.sources):
            program, options = "", NO_OPTIONS
        if is_value:
            option = ""
            continue
        if option.startswith("-") and word in _SIGNS:
            masked.append(word)
            continue
        if option != _KEY or not word.startswith("-"):
            option = ""
        if not word.startswith("-"):
            # A key follows, perhaps after options.
            option = _KEY if (before, word) in _LOGGED_IN else ""
            before = word.rpartition("/")[2]
            if program or word in PROGRAM_NAMES or "/" in word:
                program = known_program(word, program)
                options = PROGRAMS.get(program, NO_OPTIONS)
        begin = texts.get(place)
        masked.append(
            _masked_word(word, options)
            if begin is None
            else word[:begin] + _masked_text(word[begin:], options)
        )
        is_changed = place in changed and secrecy(word) is Secrecy.SURE
        if is_changed or _precedes_secret(word, options):
            option = word
    return tuple(masked)


def _precedes_secret(word: str, options: ProgramOptions) -> bool:
    """Check whether a word is an option whose value may be a secret."""
    if not word.startswith(("-", "+")) or any(one in word.removesuffix(":") for one in "= :$"):
        return False
    if options is not NO_OPTIONS and (
        word in options.words + options.mistaken or is_login_option(word, options)
    ):
        return True
    return bool(secrecy(word))


def _changed(words: Sequence[str]) -> Iterator[int]:
    """Yield the places of names of settings that are followed by a value.

    As in `aws configure set NAME VALUE` and `dvc remote modify REMOTE NAME VALUE`.
    """
    to_pass = 0
    before = ["", ""]  # without options
    for place, word in enumerate(words):
        if place and words[place - 1] == "set":
            yield place
        if word.startswith("-"):
            continue
        if to_pass == 1 and word.isidentifier():
            yield place
        to_pass = 2 if [*before, word] == ["dvc", "remote", "modify"] else max(to_pass - 1, 0)
        before = [before[1], word.rpartition("/")[2]]


def _texts(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the places of texts that are a command, and where they begin in their words."""
    # As every name of a shell ends, and env.
    if any(word.endswith(("sh", "env")) for word in words):
        yield from _shell_texts(words)
        yield from _env_texts(words)


def _shell_texts(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the texts of `sh -c` that are one command, as `NAME=value program`.

    All others are masked as one word: what a shell makes of them is unknown.
    """
    from runstore.model.code.launchers import OF_A_SHELL, SHELLS, text_of_shell

    for place, word in enumerate(words):
        if word.rpartition("/")[2] in SHELLS:
            text = text_of_shell(words[place:])
            if text is not None and not OF_A_SHELL.search(words[place + text]):
                yield place + text, 0


def _env_texts(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the texts of `env -S`."""
    from runstore.model.code.launchers import split_text

    is_env = False
    for place, word in enumerate(words):
        if is_env and (text := split_text(words[place : place + 2])) is not None:
            yield place + text[0], text[1]
        is_env = is_env or word.rpartition("/")[2] == "env"


def _masked_text(text: str, options: ProgramOptions) -> str:
    return mask_command(text) if len(_split(text)) > 1 else _masked_word(text, options)


def _split(text: str) -> list[str]:
    """Return the words of a text; none if its quotes are not closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _is_value_of(option: str, options: ProgramOptions, word: str) -> bool:
    """Check whether a word is the value of the option before it, and a secret."""
    if is_login_option(option, options):
        login = login_in(word, options)
        return login is not None and not is_placeholder(login[2])
    if is_placeholder(word) or not word or word in _SIGNS:
        return False
    if word.startswith("-"):
        return looks_random(word)
    if option in options.words + options.mistaken:
        return not is_of_ports(word)
    return secrecy(option) is Secrecy.SURE or not _SMALL_NUMBER.fullmatch(word)


def _masked_value(option: str, options: ProgramOptions, word: str) -> str:
    login = login_in(word, options) if is_login_option(option, options) else None
    return login[1] + MASK if login else MASK


def _masked_word(word: str, options: ProgramOptions) -> str:
    name, separator, value = word.partition("=")
    # -DapiKey=VALUE of Java.
    stem = name.removeprefix("-D")
    sure = secrecy(stem) if separator and " " not in name else Secrecy.NONE
    if sure and _is_secret_value(value, sure):
        return f"{name}={MASK}"
    option = None if options is NO_OPTIONS else masked_option(word, options, MASK)
    if option is not None:
        return option
    if any(one.isspace() for one in word):
        return mask_command(word)
    return mask_plain(word)


def _is_secret_value(value: str, sure: Secrecy) -> bool:
    if sure is Secrecy.SURE:
        return is_secret_setting(value, sure)
    return bool(value) and not (is_placeholder(value) or _SMALL_NUMBER.fullmatch(value))


def mask_command(line: str) -> str:
    """Return a command line, as typed, with secrets masked."""
    found = list(_SHELL_WORD.finditer(line))
    words = [_unquoted(one[0]) for one in found]
    masked = mask_words(words) if len(words) > 1 else tuple(map(mask_plain, words))
    parts: list[str] = []
    done = 0
    for one, before, after in zip(found, words, masked, strict=True):
        if before != after:
            is_alone = not line[one.end() : one.end() + 1].strip()
            parts += (line[done : one.start()], _quoted_as(one[0], after, is_alone=is_alone))
            done = one.end()
    parts.append(line[done:])
    return mask_plain("".join(parts))


_QUOTES: Callable[[str], bool] = re.compile(r"[\"'\\]").search  # type: ignore[assignment]


def _unquoted(word: str) -> str:
    if not _QUOTES(word):
        return word
    try:
        return "".join(shlex.split(word))
    except ValueError:
        return word


def _quoted_as(raw: str, masked: str, *, is_alone: bool) -> str:
    """Return a masked word with its original quotes, or with quotes for a shell.

    If a sign such as `;` follows without a space, quotes show where the mask ends.
    """
    quote = raw[0] if raw[0] in "\"'" and raw[-1] == raw[0] else ""
    if quote:
        return f"{quote}{masked}{quote}"
    # A quoted assignment would be none, so the mask needs no quotes of its own.
    plain = masked.replace(MASK, "") if is_alone else masked
    return masked if shlex.quote(plain) == plain else shlex.quote(masked)
