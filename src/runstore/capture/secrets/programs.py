"""Programs with a secret after an option of a short name: `mysql -pX`, `curl -u bob:X`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from runstore.capture.secrets.values import compiled, is_stand_in
from runstore.value_classes import NamedTuple


class ProgramOptions(NamedTuple):
    """Options of a program with secrets.

    Attributes:
        words: With the secret as the next word.
        attached: With the secret in the same word.
        mistaken: With a secret as the next word by mistake: the program reads it as another word.
        logins: With the secret after a user, or after the kind of its source.
        user: Pattern of the text before that secret.
        is_first: Whether these are options of another program after the first secret.
    """

    words: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    mistaken: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    user: str = r"[^\s:\"']{1,200}:"
    is_first: bool = False


_PASSWORD = ProgramOptions(words=("-p",))
_MYSQL = ProgramOptions(attached=("-p",), mistaken=("-p",))
_LOGIN = ProgramOptions(words=("-p",), attached=("-p",))
_BIND = ProgramOptions(words=("-w",))
_ZIP = ProgramOptions(words=("-P",), attached=("-P",))
_ARCHIVE = ProgramOptions(attached=("-p",))
_RAR = ProgramOptions(attached=("-p", "-hp"))
_HTTP = ProgramOptions(logins=("-a", "--auth"))
NO_OPTIONS = ProgramOptions()
# By name, or with a subcommand if only that has the options.
PROGRAMS = {
    "curl": ProgramOptions(logins=("-u", "-U", "--user", "--proxy-user", "--cert")),
    "http": _HTTP,
    "https": _HTTP,
    # In other forms the word before the colon is a source of the password: env:NAME, file:PATH.
    "openssl": ProgramOptions(
        words=("-k", "-K"), logins=("-passin", "-passout", "-pass"), user="pass:"
    ),
    "smbclient": ProgramOptions(logins=("-U", "--user"), user=r"[^\s%\"']{1,200}%"),
    "sshpass": ProgramOptions(words=("-p",), attached=("-p",), is_first=True),
    "mysql": _MYSQL,
    "mysqldump": _MYSQL,
    "mysqladmin": _MYSQL,
    "mysqlimport": _MYSQL,
    "mariadb": _MYSQL,
    "mariadb-dump": _MYSQL,
    "redis-cli": ProgramOptions(words=("-a",), attached=("-a",)),
    "docker login": _LOGIN,
    "podman login": _LOGIN,
    "az login": _PASSWORD,
    "twine": _PASSWORD,
    "ldapsearch": _BIND,
    "ldapadd": _BIND,
    "ldapmodify": _BIND,
    "ldapdelete": _BIND,
    "ldappasswd": ProgramOptions(words=("-w", "-s", "-a")),
    "ldapwhoami": _BIND,
    "ldapcompare": _BIND,
    "ldapexop": _BIND,
    "ldapmodrdn": _BIND,
    "mongosh": _PASSWORD,
    "mongo": _PASSWORD,
    "mongodump": _PASSWORD,
    "mongorestore": _PASSWORD,
    "mongoexport": _PASSWORD,
    "mongoimport": _PASSWORD,
    "zip": _ZIP,
    "unzip": _ZIP,
    "7z": _ARCHIVE,
    "7za": _ARCHIVE,
    "7zz": _ARCHIVE,
    "rar": _RAR,
    "unrar": _RAR,
}
_WITH_SUBCOMMAND = frozenset(name.partition(" ")[0] for name in PROGRAMS if " " in name)
# The names as they begin in a text, with a sign after those that are frequent words.
HINTS = (
    "curl", "http -", "https -", "openssl", "smbclient", "sshpass", "mysql", "mariadb",
    "redis-cli", "docker", "podman", "az login", "twine", "ldap", "mongo", "zip -", "unzip", "7z",
    "rar a", "rar x", "unrar",
)  # fmt: skip
_SHORTEST = 3
_NAME = "|".join(sorted(PROGRAMS, reverse=True)).replace(" ", r"[ \t][^\n|;&]{0,100}?\b")
NAME = rf"(?<![\w.-])(?:{_NAME})(?=[ \t])"
# The rest of a command; the signs that end it may be in quotes.
_REST = r"(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'|\\\r?\n|[^\n|;&]){0,300}"
_NO_QUOTE = r"(?:[^\s\"'|;&\\]|\\[^\snrt\"'])"


def known_program(word: str, before: str) -> str:
    """Return the program that a word of a command names, or else the one before it."""
    name = word.rpartition("/")[2]
    if name in PROGRAMS or name in _WITH_SUBCOMMAND:
        return name
    return f"{before} {word}" if f"{before} {word}" in PROGRAMS else before


def login_in(word: str, options: ProgramOptions) -> re.Match[str] | None:
    """Return the user and the secret of a login; None if it is something else."""
    return compiled(rf"(?s)({options.user})(.+)").fullmatch(word)


def mask_options(text: str, lowered: str, mask: str) -> str:
    """Return a text with the secrets after the options of programs masked."""
    parts: list[str] = []
    done = 0
    for place in sorted(_places(lowered)):
        if place < done or (name := compiled(NAME).match(text, place)) is None:
            continue
        words = name[0].split()
        options = PROGRAMS[words[0] if len(words) == 1 else f"{words[0]} {words[-1]}"]
        rest = compiled(_REST).match(text, name.end())
        end = name.end() if rest is None else rest.end()
        for found in compiled(_option(options)).finditer(text, name.end(), end):
            kind = found.lastgroup or ""
            if _is_secret(kind, found[kind]):
                parts += (text[done : found.start(kind)], mask)
                done = found.end(kind)
            if options.is_first:
                break
    return "".join([*parts, text[done:]])


def _places(lowered: str) -> Iterator[int]:
    for hint in HINTS:
        place = lowered.find(hint)
        while place >= 0:
            yield place
            place = lowered.find(hint, place + 1)


@functools.cache
def _option(options: ProgramOptions) -> str:
    """Return the pattern of the options of a program, with the secret as its last group."""
    kinds = (
        ("word", options.words, r"[ \t]+", r"(?!-)"),
        ("attached", options.attached, "", r"(?![-=])"),
        ("mistaken", options.mistaken, r"[ \t]+", r"(?!-)"),
        ("login", options.logins, r"[ \t=]{0,4}", options.user),
    )
    forms = [
        rf"(?:{'|'.join(names)}){sign}"
        rf"(?:(?P<{kind}_quote>\\{{0,3}}[\"']){before}"
        rf"(?P<{kind}_quoted>[^\"'\n\\]{{1,400}})(?=(?P={kind}_quote))"
        rf"|{before}(?P<{kind}>{_NO_QUOTE}{{{_SHORTEST},400}}))"
        for kind, names, sign, before in kinds
        if names
    ]
    return rf"(?<=[ \t])(?:{'|'.join(forms)})"


def _is_secret(kind: str, value: str) -> bool:
    if is_stand_in(value):
        return False
    return kind != "mistaken" or not value.isalpha()
