"""Secrets in command lines: as words, and as text typed into a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.programs import (
    NO_OPTIONS,
    PROGRAM_NAMES,
    PROGRAMS,
    ProgramOptions,
    is_before_secret,
    is_login_option,
    is_of_ports,
    known_program,
    masked_login,
    masked_option,
)
from runstore.capture.secrets.text import mask_plain
from runstore.capture.secrets.values import MASK, is_placeholder, is_secret_setting, looks_random

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
        value = _masked_value(option, options, word) if option else None
        if (option and options.is_first) or word.startswith(options.sources):
            program, options = "", NO_OPTIONS
        if value is not None:
            masked.append(value)
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
                program = known_program(word, program, words[place - 1])
                options = PROGRAMS.get(program, NO_OPTIONS)
        begin = texts.get(place)
        masked.append(
            _masked_word(word, options)
            if begin is None
            else word[:begin] + _masked_text(word[begin:], options)
        )
        # In a masked text, `password=***` is not the name of the next word.
        is_changed = place in changed and MASK not in word and secrecy(word) is Secrecy.SURE
        if is_changed or _precedes_secret(word, options):
            option = word
    return tuple(masked)


def _precedes_secret(word: str, options: ProgramOptions) -> bool:
    """Check whether a word is an option whose value may be a secret."""
    if not word.startswith(("-", "+")) or any(one in word.removesuffix(":") for one in "= :$*"):
        return False
    if options is not NO_OPTIONS and (
        is_before_secret(word, options) or is_login_option(word, options)
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
            if text is not None and not OF_A_SHELL.search(words[place + text].replace(MASK, "")):
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


def _masked_value(option: str, options: ProgramOptions, word: str) -> str | None:
    """Return the masked value of the option before it; None if it is no secret."""
    if is_login_option(option, options):
        return masked_login(word, options)
    if is_placeholder(word) or not word or word in _SIGNS:
        return None
    if word.startswith("-"):
        is_secret = looks_random(word)
    elif is_before_secret(option, options):
        is_secret = not is_of_ports(word)
    else:
        is_secret = _is_secret_value(word, secrecy(option))
    return MASK if is_secret else None


def _masked_word(word: str, options: ProgramOptions) -> str:
    name, separator, value = word.partition("=")
    # -DapiKey=VALUE of Java.
    stem = name.removeprefix("-D")
    sure = secrecy(stem) if separator and " " not in name else Secrecy.NONE
    if sure and _is_secret_setting(value, sure):
        return f"{name}={MASK}"
    option = None if options is NO_OPTIONS else masked_option(word, options)
    if option is not None:
        return option
    if any(one.isspace() for one in word):
        return mask_command(word)
    return mask_plain(word)


def _is_secret_setting(value: str, sure: Secrecy) -> bool:
    if sure is Secrecy.SURE:
        return is_secret_setting(value, sure)
    return bool(value) and not is_placeholder(value) and _is_secret_value(value, sure)


def _is_secret_value(value: str, sure: Secrecy) -> bool:
    return sure is Secrecy.SURE or not _SMALL_NUMBER.fullmatch(value)


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
    return "".join(shlex.split(word)) if _QUOTES(word) else word


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
