"""Programs with a secret after an option of a short name: `mysql -pX`, `curl -u bob:X`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

from runstore.capture.secrets.values import MASK, compiled, is_placeholder, is_stand_in
from runstore.value_classes import NamedTuple


class ProgramOptions(NamedTuple):
    """Options of a program with secrets.

    Attributes:
        words: With the secret as the next word.
        attached: With the secret in the same word.
        mistaken: With a secret as the next word by mistake: the program reads it as another word.
        logins: With the secret after a user, or after the kind of its source.
        user: Pattern of the text before that secret.
        flags: Pattern of flags between the minus sign and the letter of such an option.
        is_first: Whether these are options of another program after the first secret.
        sources: Options of other sources of the secret, after which that program follows.
    """

    words: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    mistaken: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    user: str = r"[^\s:\"']{1,200}:"
    flags: str = ""
    is_first: bool = False
    sources: tuple[str, ...] = ()


_PASSWORD = ProgramOptions(words=("-p",))
_MYSQL = ProgramOptions(attached=("-p",), mistaken=("-p",))
_LOGIN = ProgramOptions(words=("-p",), attached=("-p",))
_BIND = ProgramOptions(words=("-w",))
_ZIP = ProgramOptions(words=("-P",), attached=("-P",))
_ARCHIVE = ProgramOptions(attached=("-p",))
_RAR = ProgramOptions(attached=("-p", "-hp"))
_SQL = ProgramOptions(words=("-P",), attached=("-P",))
_STORE = ProgramOptions(words=("-storepass", "-keypass", "-srcstorepass", "-deststorepass"))
_HTTP = ProgramOptions(logins=("-a", "--auth"))
NO_OPTIONS = ProgramOptions()
# By name, or with a subcommand if only that has the options.
PROGRAMS = {
    "curl": ProgramOptions(
        logins=("-u", "-U", "--user", "--proxy-user", "--cert"), flags="[#a-zA-Z0-9]{1,9}"
    ),
    "http": _HTTP,
    "https": _HTTP,
    # In other forms the word before the colon is a source of the password: env:NAME, file:PATH.
    "openssl": ProgramOptions(
        words=("-k", "-K"), logins=("-passin", "-passout", "-pass"), user="pass:"
    ),
    "smbclient": ProgramOptions(logins=("-U", "--user"), user=r"[^\s%\"']{1,200}%"),
    "sshpass": ProgramOptions(
        words=("-p",), attached=("-p",), is_first=True, sources=("-e", "-f", "-d")
    ),
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
    "cqlsh": _PASSWORD,
    "beeline": _PASSWORD,
    "mosquitto_pub": _SQL,
    "mosquitto_sub": _SQL,
    "sqlcmd": _SQL,
    "bcp": _SQL,
    "lftp": ProgramOptions(logins=("-u", "--user"), user=r"[^\s,\"']{1,200},"),
    "ssh-keygen": ProgramOptions(words=("-N", "-P")),
    "keytool": _STORE,
    "jarsigner": _STORE,
    "zip": _ZIP,
    "unzip": _ZIP,
    "7z": _ARCHIVE,
    "7za": _ARCHIVE,
    "7zz": _ARCHIVE,
    "rar": _RAR,
    "unrar": _RAR,
}
_WITH_SUBCOMMAND = frozenset(name.partition(" ")[0] for name in PROGRAMS if " " in name)
PROGRAM_NAMES = _WITH_SUBCOMMAND | PROGRAMS.keys()
_SHORTEST = 3
_NAME = "|".join(PROGRAMS).replace(" ", r"[ \t][^\n|;&]{0,100}?(?<=[ \t])")
_HEAD = rf"(?<![\w.-])(?:{_NAME})(?=[ \t])"
# An option with a secret, after a space and a minus sign.
_OPTIONS = {
    re.escape(one[1:])
    for options in PROGRAMS.values()
    for one in options.words + options.attached + options.mistaken + options.logins
}
_BEGIN_OF_OPTION = re.compile(
    rf"(?=[a-zA-Z0-9#-])(?:[#a-zA-Z0-9]{{1,9}}[uU][ \t]|{'|'.join(sorted(_OPTIONS))})"
)
# The rest of a command; the signs that end it may be in quotes.
_REST = r"(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'|\\\r?\n|[^\n|;&]){0,300}"
# Of a container that has the name of such a program.
_PORTS = r"(?:[0-9.]{1,15}:)?[0-9]{1,5}:[0-9]{1,5}(?:/[a-z]{1,5})?"
_NO_QUOTE = r"(?:[^\s\"'`|;&\\]|\\[^\snrt\"'])"


def known_program(word: str, before: str, option: str) -> str:
    """Return the program that a word of a command names, or else the one before it.

    After `-h`, it is the name of a host, such as `mysql` in `redis-cli -h mysql`.

    Args:
        word: The word.
        before: The last program before it; empty if there is none.
        option: The word before it.
    """
    if option in {"-h", "--host"} and before in PROGRAMS and not PROGRAMS[before].is_first:
        return before
    name = word.rpartition("/")[2]
    if name in PROGRAMS or name in _WITH_SUBCOMMAND:
        return name
    if before in _WITH_SUBCOMMAND and f"{before} {word}" in PROGRAMS:
        return f"{before} {word}"
    return before


def masked_value(word: str, option: str, options: ProgramOptions) -> str | None:
    """Return the masked value of the option before it in code; None if it is no secret."""
    if is_login_option(option, options):
        return masked_login(word, options, is_stand_in)
    is_kept = word.startswith("-") or is_of_ports(word) or is_stand_in(word)
    return MASK if is_before_secret(option, options) and not is_kept else None


def masked_option(word: str, options: ProgramOptions) -> str | None:
    """Return an option with the secret in the same word masked; None if there is none."""
    for option in options.attached:
        # -pPASSWORD of MySQL.
        value = word.removeprefix(option)
        if word.startswith(option) and not is_placeholder(value) and not is_of_ports(value):
            return option + MASK
    for option in options.logins:
        # -uUSER:PASSWORD and --user=USER:PASSWORD of curl.
        begin = option + "=" if option.startswith("--") else option
        if word.startswith(begin) and (login := masked_login(word[len(begin) :], options)):
            return begin + login
    return None


def masked_login(
    word: str, options: ProgramOptions, is_kept: Callable[[str], bool] = is_placeholder
) -> str | None:
    """Return a user with the secret after it masked; None if there is no secret."""
    found = compiled(rf"(?s)({options.user})(.+)").fullmatch(word)
    return found[1] + MASK if found and not is_kept(found[2]) else None


def is_before_secret(option: str, options: ProgramOptions) -> bool:
    """Check whether the next word after an option is a secret."""
    return option in options.words or option in options.mistaken


def is_of_ports(value: str) -> bool:
    """Check whether a value says which ports of a container to publish, as in 8080:80."""
    return compiled(_PORTS).fullmatch(value) is not None


def is_login_option(word: str, options: ProgramOptions) -> bool:
    """Check whether a login follows a word, such as `-u` or `-sSu` of curl."""
    if word in options.logins:
        return True
    is_flag = options.flags and word.startswith("-") and f"-{word[-1]}" in options.logins
    return bool(is_flag) and compiled(options.flags).fullmatch(word, 1, len(word) - 1) is not None


def mask_options(text: str) -> str:
    """Return a text with the secrets after the options of programs masked."""
    if " -" not in text:
        return text
    parts: list[str] = []
    done = 0
    for begin, end in _lines(text):
        for head in compiled(_HEAD).finditer(text, begin, end):
            if head.start() < done:
                continue
            for begin_of_secret, end_of_secret in _secrets_after(head, text):
                parts += (text[done:begin_of_secret], MASK)
                done = end_of_secret
    return "".join([*parts, text[done:]])


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of lines with such options, with the lines that they continue."""
    done = 0
    place = text.find(" -")
    while place >= 0:
        if _BEGIN_OF_OPTION.match(text, place + 2) is None:
            place = text.find(" -", place + 2)
            continue
        begin = text.rfind("\n", done, place) + 1 or done
        while begin > done and text.endswith(("\\\n", "\\\r\n"), done, begin):
            begin = text.rfind("\n", done, begin - 1) + 1 or done
        done = text.find("\n", place) + 1 or len(text)
        yield begin, done
        place = text.find(" -", done - 1)


def _secrets_after(head: re.Match[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of secrets in the command that begins with the name of a program."""
    words = head[0].split()
    options = PROGRAMS[words[0] if len(words) == 1 else f"{words[0]} {words[-1]}"]
    if text.startswith(options.sources, head.end() + 1):
        return
    rest = compiled(_REST).match(text, head.end())
    end = head.end() if rest is None else rest.end()
    for found in compiled(_option(options)).finditer(text, head.end(), end):
        kind = found.lastgroup or ""
        if _is_secret(kind, found[kind]):
            yield found.span(kind)
        if options.is_first:
            return


@functools.cache
def _option(options: ProgramOptions) -> str:
    """Return the pattern of the options of a program, with the secret as its last group."""
    letters = "".join(one[1:] for one in options.logins if len(one) == 2)  # noqa: PLR2004 - -u
    flags = rf"|-{options.flags}[{letters}]" if options.flags else ""
    kinds = (
        ("word", options.words, "", r"[ \t]+", r"(?!-)"),
        ("attached", options.attached, "", "", r"(?![-=])"),
        ("mistaken", options.mistaken, "", r"[ \t]+", r"(?!-)"),
        ("login", options.logins, flags, r"[ \t=]{0,4}", options.user),
    )
    forms = [
        rf"(?:{'|'.join(map(re.escape, names))}{flags}){sign}"
        rf"(?:(?P<{kind}_quote>\\{{0,3}}[\"']){before}"
        rf"(?P<{kind}_quoted>[^\"'\n\\]{{1,400}})(?=(?P={kind}_quote))"
        rf"|{before}(?P<{kind}>{_NO_QUOTE}{{{_SHORTEST},400}}))"
        for kind, names, flags, sign, before in kinds
        if names
    ]
    return rf"(?<=[ \t])(?:{'|'.join(forms)})"


def _is_secret(kind: str, value: str) -> bool:
    if is_stand_in(value) or is_of_ports(value):
        return False
    # Mostly the name of a database, without digits.
    return kind != "mistaken" or not re.sub("[_-]", "", value).isalpha()
