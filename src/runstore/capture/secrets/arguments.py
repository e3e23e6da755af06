"""Secrets in command lines: as words, and as text typed into a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.text import MASK, mask_plain
from runstore.capture.secrets.values import is_placeholder, is_secret_setting, looks_random

_SHELL_WORD = re.compile(r"(?:[^\s\"'\\;&|<>]|\\.|\"(?:[^\"\\]|\\.)*\"|'[^']*')+", re.DOTALL)
_SMALL_NUMBER = re.compile(r"[+-]?[0-9]{1,5}(?:\.[0-9]*)?")
_LOGIN = re.compile(r"([^:@/\s]{1,64}):(.+)", re.DOTALL)
# In other forms the word before the colon is a source of the password: env:NAME, file:PATH.
_OPENSSL = re.compile(r"(pass):(.+)", re.DOTALL)
# Options with short names, by program.
_LOGIN_OPTIONS = {
    "curl": ("-u", "-U", "--user", "--proxy-user", "--cert"),
    "http": ("-a", "--auth"),
    "https": ("-a", "--auth"),
    "openssl": ("-passin", "-passout", "-pass"),
}
_WORD_OPTIONS = {
    "sshpass": ("-p",),
    "mysql": ("-p",),
    "mysqldump": ("-p",),
    "mysqladmin": ("-p",),
    "mariadb": ("-p",),
    "redis-cli": ("-a",),
    "docker": ("-p",),
    "podman": ("-p",),
    "twine": ("-p",),
    "ldapsearch": ("-w",),
    "ldapadd": ("-w",),
    "ldapmodify": ("-w",),
    "ldapdelete": ("-w",),
    "ldappasswd": ("-w", "-s", "-a"),
    "ldapwhoami": ("-w",),
    "openssl": ("-k", "-K"),
    "smbclient": ("-U",),
    "az": ("-p",),
    "mongosh": ("-p",),
    "mongo": ("-p",),
    "mongodump": ("-p",),
    "zip": ("-P",),
    "unzip": ("-P",),
}
# Options with the secret in the same word.
_ATTACHED_OPTIONS = {
    "mysql": ("-p",),
    "mysqldump": ("-p",),
    "mysqladmin": ("-p",),
    "mariadb": ("-p",),
    "sshpass": ("-p",),
    "zip": ("-P",),
    "unzip": ("-P",),
    "redis-cli": ("-a",),
    "7z": ("-p",),
    "7za": ("-p",),
    "unrar": ("-p",),
}
# Between a name and its value.
_SIGNS = ("=", ":")
_LOGGED_IN = {("wandb", "login"), ("comet", "login"), ("neptune", "login"), ("kaggle", "login")}


def mask_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command's words with secrets masked."""
    masked: list[str] = []
    program = ""
    option = ""
    changed = set(_changed(words))
    texts = dict(_texts(words))
    for place, word in enumerate(words):
        if option and _is_value_of(option, program, word):
            masked.append(_masked_value(option, program, word))
            option = ""
            continue
        if option.startswith("-") and word in _SIGNS:
            masked.append(word)
            continue
        option = ""
        if not word.startswith("-"):
            name = word.rpartition("/")[2]
            is_login = place > 0 and (words[place - 1].rpartition("/")[2], word) in _LOGGED_IN
            if is_login:
                option = "--token"
            elif name in _WORD_OPTIONS or name in _LOGIN_OPTIONS or name in _ATTACHED_OPTIONS:
                program = name
        begin = texts.get(place)
        masked.append(
            _masked_word(word, program)
            if begin is None
            else word[:begin] + _masked_text(word[begin:], program)
        )
        if word.startswith(("-", "+")) and not any(
            sign in word.removesuffix(":") for sign in "= :"
        ):
            is_known = word in _WORD_OPTIONS.get(program, ()) + _LOGIN_OPTIONS.get(program, ())
            if is_known or secrecy(word):
                option = word
        elif place in changed and secrecy(word) is Secrecy.SURE:
            option = word
    return tuple(masked)


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


def _masked_text(text: str, program: str) -> str:
    return mask_command(text) if len(_split(text)) > 1 else _masked_word(text, program)


def _split(text: str) -> list[str]:
    """Return the words of a text; none if its quotes are not closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return []


def _is_value_of(option: str, program: str, word: str) -> bool:
    """Check whether a word is the value of the option before it, and a secret."""
    if is_placeholder(word) or not word or word in _SIGNS:
        return False
    if word.startswith("-"):
        return looks_random(word)
    if option in _LOGIN_OPTIONS.get(program, ()):
        return _login_in(word, program) is not None
    if option in _WORD_OPTIONS.get(program, ()):
        return True
    return secrecy(option) is Secrecy.SURE or not _SMALL_NUMBER.fullmatch(word)


def _masked_value(option: str, program: str, word: str) -> str:
    login = _login_in(word, program)
    if login and option in _LOGIN_OPTIONS.get(program, ()):
        return f"{login[1]}:{MASK}"
    return MASK


def _login_in(word: str, program: str) -> re.Match[str] | None:
    return (_OPENSSL if program == "openssl" else _LOGIN).fullmatch(word)


def _masked_word(word: str, program: str) -> str:
    name, separator, value = word.partition("=")
    # -DapiKey=VALUE of Java.
    stem = name.removeprefix("-D")
    sure = secrecy(stem) if separator and " " not in name else Secrecy.NONE
    if sure and _is_secret_value(value, sure):
        return f"{name}={MASK}"
    for option in _ATTACHED_OPTIONS.get(program, ()):
        # -pPASSWORD of MySQL.
        if word.startswith(option) and len(word) > len(option):
            return option + MASK
    for option in _LOGIN_OPTIONS.get(program, ()):
        # -uUSER:PASSWORD and --user=USER:PASSWORD of curl.
        begin = option + "=" if option.startswith("--") else option
        login = _login_in(word.removeprefix(begin), program) if word.startswith(begin) else None
        if login and not is_placeholder(login[2]):
            return f"{begin}{login[1]}:{MASK}"
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
