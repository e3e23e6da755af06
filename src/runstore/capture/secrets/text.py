"""Secrets in text of any kind: settings, headers, command lines, code of any language, prose."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

from runstore.capture.secrets.assignments import IN_NAMES, Assignments
from runstore.capture.secrets.issuers import mask_tokens
from runstore.capture.secrets.keys import mask_keys
from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.pairs import PAIRS
from runstore.capture.secrets.programs import mask_options
from runstore.capture.secrets.urls import mask_urls
from runstore.capture.secrets.values import (
    MASK,
    compiled,
    has_own_default,
    is_mixed,
    is_placeholder,
    is_secret_line,
    is_secret_literal,
    is_secret_setting,
    is_secret_word,
    is_stand_in,
    looks_random,
    without_signs,
)

# Texts without these and without tokens contain no secret.
_HINTS = re.compile(rf"{IN_NAMES.pattern}|basic|identified|login|wandb")
# The patterns of these forms are compiled when a text contains one of their words.
_HEADER = (
    r"(?i)\b(?P<name>Authorization|Cookie)\\{0,3}[\"'`]?\]?"
    r"\s{0,4}[:=,]\s{0,4}[rbuf]{0,2}\\{0,3}[\"'`]?(?P<value>[^\"'`\n\\]{6,4000})"
)
_SCHEME = r"[A-Za-z][A-Za-z0-9-]{0,40}[ \t]{1,4}(\S.*)"
_BEARER = r"(?i)\bBearer[ \t]{1,4}(?P<value>[A-Za-z0-9+/=._~-]{8,})"
_BASIC = r"(?i)\bBasic[ \t]{1,4}(?P<value>[A-Za-z0-9+/]{6,4000}={0,2})"
_SQL = r"(?i)\b(?:IDENTIFIED[ ]+BY|PASSWORD)[ ]+'(?P<value>[^'\n]{1,200})'"
_NETRC = r"\blogin\s{1,9}\S{1,200}\s{1,9}(?:password|passwd)\s{1,9}(?P<value>\S{3,200})"
_SPACED = (
    r"(?m)^[ \t]*(?:ENV|setx|setenv|export|set(?: -[a-zA-Z]{1,4}){1,3}|git config(?: --\w+)*)"
    r"[ \t]+(?P<name>[\w.]{2,80})[ \t]+(?P<value>[^\s=].*)$"
)
# A magic of IPython; in a notebook, the line ends with \\n.
_MAGIC = (
    r"%(?:set_)?env[ \t]{1,40}(?P<name>[A-Za-z_][\w.]{1,80})"
    r"(?:[ \t]{0,40}=[ \t]{0,40}|[ \t]{1,40})"
    r"(?P<value>(?:[^\s\\\"'=]|\\[^nrt\"'])(?:[^\n\\\"]|\\[^nrt\"]){0,400})"
)
# A name and its value as separate words: `#define API_KEY "..."`, `requirepass ...`.
_WORDS = (
    r"(?m)^[ \t]*(?:#define[ \t]+)?(?P<name>[A-Za-z][\w.-]{2,60})[ \t]+"
    r"(?=(?P<value>\"[^\"\n]{3,200}\"|'[^'\n]{3,200}'|[^\s\"'=:(]{8,200}))(?P=value)"
    r"[ \t;]*$"
)
# A name of two words, as in prose.
_KINDS = ("api", "access", "secret", "account", "subscription")
_SPOKEN = (
    rf"(?i)\b(?:{'|'.join(_KINDS)}) (?:key|token)"
    r"[*_]{0,2}[ \t]{0,4}[:=][*_]{0,2}[ \t]{0,4}[\"'`]?(?P<value>[^\s\"'`\\()\[\]{}<>]{8,400})"
)
# A row of a table.
_CELL = (
    r"[|\u2502\u2503][ \t]{0,100}(?P<name>[\w.-]{2,80})[ \t]{0,100}[|\u2502\u2503][ \t]{0,4}"
    r"(?P<value>[^\s|\u2502\u2503]{8,400})(?=[ \t]*[|\u2502\u2503])"
)
# A color of a terminal, also in JSON, and what grep and tput print with it.
_COLOR = r"(?:\x1b|\\{1,2}u001[bB])(?:\[[0-9;:]{0,60}[mK]|\(B)"
_IN_COLORS = ("\x1b[", "u001b[", "u001B[")
# The beginning of a row, perhaps in a comment, a patch or a string.
_ROW = r"[\s>#*/+\"'-]*[|\u2502\u2503]"
_LONGEST_ROW = 4000
# A key after a command that stores it.
_STORED = (
    r"\b(?:wandb[ \t]+login[ \t]+(?:--[\w-]{1,40}[ \t]+){0,8}"
    r"|aws[ \t]+configure[ \t]+set[ \t]+[\w.-]{0,60}(?:secret_access_key|session_token)"
    r"[ \t]+[\"']?)(?P<value>[^\s\"'|;&\\-][^\s\"'|;&\\]{2,400})"
)
_OPTION = (
    r"(?P<name>-(?<![\w-]-)-?[A-Za-z][\w.-]{1,60})"
    r"(?:[ \t]{1,4}(?:\\\r?\n[ \t]{0,40})?|(?P<item>[\"']?\r?\n[ \t]{0,40}-[ \t]{1,4}))"
    r"(?!-)(?P<value>\"[^\"\n]{1,400}\"|'[^'\n]{1,400}'|[^\s\"'\\`]{1,4000})"
)


def mask_plain(text: str, *, is_settings: bool = False, bare: str = MASK) -> str:
    """Return a text with secrets masked, according to its words and signs.

    Args:
        text: The text.
        is_settings: Whether the text is a file of settings, whose values are not code.
        bare: Replacement of a value without quotes.
    """
    masked = _mask_words(text, is_settings=is_settings, bare=bare)
    if not any(map(text.__contains__, _IN_COLORS)):
        return masked
    shown = compiled(_COLOR).sub("", masked)
    again = _mask_words(shown, is_settings=is_settings, bare=bare)
    if again == shown:
        return masked
    # Only lines with a color inside a secret lose their colors.
    rows = (one.split("\n") for one in (masked, shown, again))
    lines = zip_longest(*rows, fillvalue="")
    return "\n".join(line if before == after else after for line, before, after in lines)


def _mask_words(text: str, *, is_settings: bool, bare: str) -> str:
    text = mask_keys(text)
    if "://" in text:
        text = mask_urls(text)
    text = mask_tokens(text)
    text = mask_options(text)
    lowered = _lower(text)
    if not _HINTS.search(lowered):
        return text
    for hints, found, pattern, secret_in in _FORMS:
        if _has_one(lowered, hints):
            masked = _masked(text, found(compiled(pattern), text, lowered, hints), secret_in)
            if masked != text:
                text, lowered = masked, _lower(masked)
    kinds: tuple[type[Assignments], ...] = (Assignments,)
    if _has_one(lowered, PAIRS):
        pairs = (kind for hint, kinds in PAIRS.items() if hint in lowered for kind in kinds)
        kinds = (*dict.fromkeys(pairs), Assignments)
    for kind in kinds:
        masked = kind(text, lowered, is_settings=is_settings, bare=bare).masked()
        if masked != text:
            text, lowered = masked, _lower(masked)
    return text


def _has_one(lowered: str, hints: Iterable[str]) -> bool:
    # Quicker than `any`.
    for hint in hints:  # noqa: SIM110
        if hint in lowered:
            return True
    return False


def _lower(text: str) -> str:
    """Return a text in lowercase, with each character in its place."""
    return text.replace("İ", "I").lower()


def _masked(text: str, matches: Iterable[re.Match[str]], secret_in: _Judge) -> str:
    """Return a text with the secret parts of the values of matches masked."""
    parts: list[str] = []
    done = 0
    for found in matches:
        if secret := secret_in(found):
            begin = found.start("value") + found["value"].rindex(secret)
            # In an item of YAML, three asterisks alone are not a value.
            is_bare_item = found.groupdict().get("item") and secret == found["value"]
            parts += (text[done:begin], f'"{MASK}"' if is_bare_item else MASK)
            done = begin + len(secret)
    return "".join([*parts, text[done:]])


def _at_hints(
    pattern: re.Pattern[str], text: str, lowered: str, hints: Sequence[str]
) -> Iterator[re.Match[str]]:
    """Yield matches, each of which begins with a hint."""
    places: list[int] = []
    for hint in hints:
        place = lowered.find(hint)
        while place >= 0:
            places.append(place)
            place = lowered.find(hint, place + 1)
    done = 0
    for place in sorted(places):
        if place >= done and (found := pattern.match(text, place)):
            yield found
            done = found.end()


def _in_lines(
    pattern: re.Pattern[str], text: str, lowered: str, _hints: Sequence[str]
) -> Iterator[re.Match[str]]:
    """Yield matches, each of which begins with a line and contains a name of a secret."""
    passed = 0
    while hint := IN_NAMES.search(lowered, passed):
        begin = text.rfind("\n", passed, hint.start()) + 1 or passed
        if found := pattern.match(text, begin):
            yield found
        passed = text.find("\n", hint.end()) + 1 or len(text)


def _anywhere(
    pattern: re.Pattern[str], text: str, _lowered: str, _hints: Sequence[str]
) -> Iterator[re.Match[str]]:
    return pattern.finditer(text)


# Each of these returns the secret part of a value; empty if there is none.


def _in_header(found: re.Match[str]) -> str:
    value = found["value"]
    is_template = "{" in value and not has_own_default(value)
    if is_template or is_placeholder(value):
        return ""
    if "cookie" in found["name"].lower():
        return value if "=" in value and looks_random(value) else ""
    scheme = re.fullmatch(_SCHEME, value)
    if scheme is None:
        return value if is_mixed(value) else ""
    rest = scheme[1]
    is_word = " " not in rest.strip()
    is_secret = is_mixed(rest) or looks_random(rest) if is_word else "=" in rest and is_mixed(rest)
    return rest if is_secret and not is_placeholder(rest) else ""


def _after_bearer(found: re.Match[str]) -> str:
    value = found["value"]
    return value if is_mixed(value) and not is_stand_in(value) else ""


def _after_basic(found: re.Match[str]) -> str:
    """Return a name and password in base64 after `Basic`, which is also an ordinary word."""
    value = found["value"]
    try:
        login = base64.b64decode(value + "==")  # more than enough
    except (binascii.Error, ValueError):
        return ""
    is_login = b":" in login and login.isascii() and login.decode("ascii").isprintable()
    return value if is_login else ""


def _in_sql(found: re.Match[str]) -> str:
    return found["value"] if is_secret_literal(found["value"], Secrecy.SURE) else ""


def _in_netrc(found: re.Match[str]) -> str:
    value = found["value"].strip("\"'\\")
    is_secret = (
        is_secret_word(value, Secrecy.SURE)
        or is_secret_line(value)
        or (value.isalnum() and is_mixed(value))
    )
    return found["value"] if is_secret else ""


def _after_space(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"].rstrip()
    return value if sure and is_secret_word(value.strip("\"'"), sure) else ""


def _in_magic(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"].rstrip()
    is_secret = sure and is_secret_setting(value, sure) and not is_stand_in(value)
    return value if is_secret else ""


def _in_words(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"].strip("\"'")
    is_quoted = value != found["value"]
    is_secret = is_secret_literal(value, sure) if is_quoted else looks_random(value)
    return value if sure is Secrecy.SURE and is_secret and not is_placeholder(value) else ""


def _in_prose(found: re.Match[str]) -> str:
    value = without_signs(found["value"])
    return value if looks_random(value) and is_secret_word(value, Secrecy.PERHAPS) else ""


def _in_cell(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"]
    is_secret = sure and looks_random(value) and is_secret_word(value, sure)
    return value if is_secret and _is_in_row(found) else ""


def _is_in_row(found: re.Match[str]) -> bool:
    """Check whether a cell is in a row of a table, not in an expression or a pipe of commands."""
    text, end = found.string, found.start()
    bound = max(0, end - _LONGEST_ROW)
    begin = text.rfind("\n", bound, end) + 1 or bound
    # In a notebook, lines end with \\n.
    escaped = text.rfind("\\n", begin, end)
    return compiled(_ROW).match(text, begin if escaped < 0 else escaped + 2) is not None


def _stored(found: re.Match[str]) -> str:
    return "" if is_stand_in(found["value"]) else found["value"]


def _after_option(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"].strip("\"'")
    return value if sure and is_secret_word(value, sure) else ""


_Judge = Callable[["re.Match[str]"], str]
# Each form with words of which it always contains one, and how to find it.
_FORMS: tuple[tuple[tuple[str, ...], Callable[..., Iterator[re.Match[str]]], str, _Judge], ...] = (
    (("authorization", "cookie"), _at_hints, _HEADER, _in_header),
    (("bearer",), _at_hints, _BEARER, _after_bearer),
    (("basic",), _at_hints, _BASIC, _after_basic),
    (("identified", "password '", "password  "), _at_hints, _SQL, _in_sql),
    (("login",), _at_hints, _NETRC, _in_netrc),
    (("env", "setx", "export", "set -", "git config"), _in_lines, _SPACED, _after_space),
    (("%env", "%set_env"), _at_hints, _MAGIC, _in_magic),
    (("-",), _anywhere, _OPTION, _after_option),
    (("",), _in_lines, _WORDS, _in_words),
    (tuple(f"{kind} {last}" for kind in _KINDS for last in ("key", "token")),
     _at_hints, _SPOKEN, _in_prose),
    (("|", "\u2502", "\u2503"), _anywhere, _CELL, _in_cell),
    (("wandb", "aws configure"), _at_hints, _STORED, _stored),
)  # fmt: skip
