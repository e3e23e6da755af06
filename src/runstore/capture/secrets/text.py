"""Secrets in text of any kind: settings, headers, command lines, code of any language, prose."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Sequence

from runstore.capture.secrets.assignments import IN_NAMES, MASK, Assignments
from runstore.capture.secrets.issuers import mask_tokens
from runstore.capture.secrets.keys import mask_keys
from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.pairs import PAIRS
from runstore.capture.secrets.programs import mask_options
from runstore.capture.secrets.urls import mask_urls
from runstore.capture.secrets.values import (
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

_Substitution = Callable[["re.Match[str]"], str]
# Texts without these and without tokens contain no secret.
_HINTS = re.compile(rf"{IN_NAMES.pattern}|basic|identified|login|wandb")
# The patterns of these forms are compiled when a text contains one of their words.
_HEADER = (
    r"(?i)\b(?P<name>Authorization|Cookie)(?P<close>\\{0,3}[\"'`]?\]?)"
    r"(?P<sign>\s{0,4}[:=,]\s{0,4}[rbuf]{0,2}\\{0,3}[\"'`]?)(?P<value>[^\"'`\n\\]{6,4000})"
)
_SCHEME = r"([A-Za-z][A-Za-z0-9-]{0,40}[ \t]{1,4})(\S.*)"
_BEARER = r"(?i)\b(Bearer[ \t]{1,4})([A-Za-z0-9+/=._~-]{8,})"
_BASIC = r"(?i)\b(Basic[ \t]{1,4})([A-Za-z0-9+/]{6,4000}={0,2})"
_SQL = r"(?i)\b((?:IDENTIFIED[ ]+BY|PASSWORD)[ ]+)'([^'\n]{1,200})'"
_NETRC = r"\b(login\s{1,9}\S{1,200}\s{1,9}(?:password|passwd)\s{1,9})(\S{3,200})"
_SPACED = (
    r"(?m)^(?P<before>[ \t]*(?:ENV|setx|setenv|export|set(?: -[a-zA-Z]{1,4}){1,3}"
    r"|git config(?: --\w+)*)[ \t]+)"
    r"(?P<name>[\w.]{2,80})"
    r"(?P<sign>[ \t]+)(?P<value>[^\s=].*)$"
)
# A magic of IPython; in a notebook, the line ends with \\n.
_MAGIC = (
    r"(?P<before>%(?:set_)?env[ \t]{1,40})(?P<name>[A-Za-z_][\w.]{1,80})"
    r"(?P<sign>[ \t]{0,40}=[ \t]{0,40}|[ \t]{1,40})"
    r"(?P<value>(?:[^\s\\\"'=]|\\[^nrt\"'])(?:[^\n\\\"]|\\[^nrt\"]){0,400})"
)
# A name and its value as separate words: `#define API_KEY "..."`, `requirepass ...`.
_WORDS = (
    r"(?m)^(?P<before>[ \t]*(?:#define[ \t]+)?)(?P<name>[A-Za-z][\w.-]{2,60})(?P<sign>[ \t]+)"
    r"(?=(?P<value>\"[^\"\n]{3,200}\"|'[^'\n]{3,200}'|[^\s\"'=:(]{8,200}))(?P=value)"
    r"(?P<after>[ \t;]*)$"
)
# A name of two words, as in prose.
_SPOKEN = (
    r"(?i)\b(?P<before>(?:api|access|secret|account|subscription) (?:key|token)"
    r"[*_]{0,2}[ \t]{0,4}[:=][*_]{0,2}[ \t]{0,4}[\"'`]?)(?P<value>[^\s\"'`\\()\[\]{}<>]{8,400})"
)
# A row of a table.
_CELL = (
    r"(?P<before>[|\u2502\u2503][ \t]{0,100}(?P<name>[\w.-]{2,80})[ \t]{0,100}[|\u2502\u2503]"
    r"[ \t]{0,4})(?P<value>[^\s|\u2502\u2503]{8,400})(?=[ \t]*[|\u2502\u2503])"
)
# The beginning of a row, perhaps in a comment, a patch or a string.
_ROW = r"[\s>#*/+\"'-]*[|\u2502\u2503]"
_LONGEST_ROW = 4000
# A key after a command that stores it.
_STORED = (
    r"\b(wandb[ \t]+login[ \t]+(?:--[\w-]{1,40}[ \t]+){0,8}"
    r"|aws[ \t]+configure[ \t]+set[ \t]+[\w.-]{0,60}(?:secret_access_key|session_token)"
    r"[ \t]+[\"']?)([^\s\"'|;&\\-][^\s\"'|;&\\]{2,400})"
)
_OPTION = (
    r"(?P<name>-(?<![\w-]-)-?[A-Za-z][\w.-]{1,60})"
    r"(?P<sign>[ \t]{1,4}(?:\\\r?\n[ \t]{0,40})?|(?P<item>[\"']?\r?\n[ \t]{0,40}-[ \t]{1,4}))"
    r"(?!-)(?P<value>\"[^\"\n]{1,400}\"|'[^'\n]{1,400}'|[^\s\"'\\`]{1,4000})"
)


def mask_plain(text: str, *, is_settings: bool = False, bare: str = MASK) -> str:
    """Return a text with secrets masked, according to its words and signs.

    Args:
        text: The text.
        is_settings: Whether the text is a file of settings, whose values are not code.
        bare: Replacement of a value without quotes.
    """
    text = mask_keys(text, MASK)
    if "://" in text:
        text = mask_urls(text, MASK)
    text = mask_tokens(text, MASK)
    text = mask_options(text, MASK)
    lowered = _lower(text)
    if not _HINTS.search(lowered):
        return text
    for hints, substituted, pattern, by in _FORMS:
        if _has_one(lowered, hints):
            masked = substituted(compiled(pattern), by, text, lowered, hints)
            if masked != text:
                text, lowered = masked, _lower(masked)
    kinds: tuple[type[Assignments], ...] = (Assignments,)
    if _has_one(lowered, PAIRS):
        pairs = (kind for hint, found in PAIRS.items() if hint in lowered for kind in found)
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


def _at_hints(
    pattern: re.Pattern[str], by: _Substitution, text: str, lowered: str, hints: Sequence[str]
) -> str:
    """Substitute matches, each of which begins with a hint."""
    places: list[int] = []
    for hint in hints:
        place = lowered.find(hint)
        while place >= 0:
            places.append(place)
            place = lowered.find(hint, place + 1)
    parts: list[str] = []
    done = 0
    for place in sorted(places):
        if place >= done and (found := pattern.match(text, place)):
            parts += (text[done:place], by(found))
            done = found.end()
    return "".join([*parts, text[done:]])


def _in_lines(
    pattern: re.Pattern[str], by: _Substitution, text: str, lowered: str, _hints: Sequence[str]
) -> str:
    """Substitute matches, each of which begins with a line and contains a name of a secret."""
    parts: list[str] = []
    done = passed = 0
    while hint := IN_NAMES.search(lowered, passed):
        begin = text.rfind("\n", passed, hint.start()) + 1 or passed
        if found := pattern.match(text, begin):
            parts += (text[done:begin], by(found))
            done = found.end()
        passed = text.find("\n", hint.end()) + 1 or len(text)
    return "".join([*parts, text[done:]])


def _anywhere(
    pattern: re.Pattern[str], by: _Substitution, text: str, _lowered: str, _hints: Sequence[str]
) -> str:
    return pattern.sub(by, text)


def _masked_header(found: re.Match[str]) -> str:
    value = found["value"]
    whole = found[0].removesuffix(value)
    is_template = "{" in value and not has_own_default(value)
    if is_template or is_placeholder(value) or MASK in value.split():
        return found[0]
    if "cookie" in found["name"].lower():
        return whole + MASK if "=" in value and looks_random(value) else found[0]
    scheme = re.fullmatch(_SCHEME, value)
    if scheme is None:
        return whole + MASK if is_mixed(value) else found[0]
    rest = scheme[2]
    is_word = " " not in rest.strip()
    is_secret = is_mixed(rest) or looks_random(rest) if is_word else "=" in rest and is_mixed(rest)
    if is_placeholder(rest) or not is_secret:
        return found[0]
    return f"{whole}{scheme[1]}{MASK}"


def _masked_bearer(found: re.Match[str]) -> str:
    is_secret = is_mixed(found[2]) and not is_stand_in(found[2])
    return found[1] + MASK if is_secret else found[0]


def _masked_basic(found: re.Match[str]) -> str:
    """Mask a name and password in base64 after `Basic`, which is also an ordinary word."""
    try:
        login = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4), validate=True)
    except (binascii.Error, ValueError):
        return found[0]
    is_login = b":" in login and login.isascii() and login.decode("ascii").isprintable()
    return found[1] + MASK if is_login else found[0]


def _masked_sql(found: re.Match[str]) -> str:
    is_secret = is_secret_literal(found[2], Secrecy.SURE)
    return f"{found[1]}'{MASK}'" if is_secret else found[0]


def _masked_netrc(found: re.Match[str]) -> str:
    value = found[2].strip("\"'\\")
    is_secret = (
        is_secret_word(value, Secrecy.SURE)
        or is_secret_line(value)
        or (value.isalnum() and is_mixed(value))
    )
    return found[1] + MASK if is_secret else found[0]


def _masked_spaced(found: re.Match[str]) -> str:
    sure = secrecy(found["name"])
    value = found["value"].rstrip()
    is_secret = sure and is_secret_word(value.strip("\"'"), sure)
    return found["before"] + found["name"] + found["sign"] + MASK if is_secret else found[0]


def _masked_magic(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"].rstrip()
    is_secret = sure and is_secret_setting(value, sure) and not is_stand_in(value)
    return found["before"] + found["name"] + found["sign"] + MASK if is_secret else found[0]


def _masked_words(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"]
    quote = value[0] if value[0] in "\"'" else ""
    inner = value.strip("\"'")
    is_secret = is_secret_literal(inner, sure) if quote else looks_random(inner)
    if sure is not Secrecy.SURE or not is_secret or is_placeholder(inner):
        return found[0]
    return f"{found['before']}{found['name']}{found['sign']}{quote}{MASK}{quote}{found['after']}"


def _masked_spoken(found: re.Match[str]) -> str:
    value = without_signs(found["value"])
    if not looks_random(value) or not is_secret_word(value, Secrecy.PERHAPS):
        return found[0]
    return found["before"] + MASK + found["value"][len(value) :]


def _masked_cell(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"]
    is_secret = sure and looks_random(value) and is_secret_word(value, sure)
    return found["before"] + MASK if is_secret and _is_in_row(found) else found[0]


def _is_in_row(found: re.Match[str]) -> bool:
    """Check whether a cell is in a row of a table, not in an expression or a pipe of commands."""
    text, end = found.string, found.start()
    begin = text.rfind("\n", max(0, end - _LONGEST_ROW), end) + 1 or max(0, end - _LONGEST_ROW)
    # In a notebook, lines end with \\n.
    escaped = text.rfind("\\n", begin, end)
    return compiled(_ROW).match(text, begin if escaped < 0 else escaped + 2) is not None


def _masked_stored(found: re.Match[str]) -> str:
    return found[0] if is_stand_in(found[2]) else found[1] + MASK


def _masked_option(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"]
    if not sure or not is_secret_word(value.strip("\"'"), sure):
        return found[0]
    quote = value[0] if value[0] in "\"'" else ""
    if found["item"] and not quote:
        quote = '"'  # in YAML, three asterisks alone are not a value
    return found["name"] + found["sign"] + quote + MASK + quote


# Each form with words of which it always contains one, and how to find it.
_FORMS: tuple[tuple[tuple[str, ...], Callable[..., str], str, _Substitution], ...] = (
    (("authorization", "cookie"), _at_hints, _HEADER, _masked_header),
    (("bearer",), _at_hints, _BEARER, _masked_bearer),
    (("basic",), _at_hints, _BASIC, _masked_basic),
    (("identified", "password '", "password  "), _at_hints, _SQL, _masked_sql),
    (("login",), _at_hints, _NETRC, _masked_netrc),
    (
        ("env", "setx", "export", "set -", "git config"),
        _in_lines,
        _SPACED,
        _masked_spaced,
    ),
    (("%env", "%set_env"), _at_hints, _MAGIC, _masked_magic),
    (("-",), _anywhere, _OPTION, _masked_option),
    (("",), _in_lines, _WORDS, _masked_words),
    (
        tuple(
            f"{one} {last}"
            for one in ("api", "access", "secret", "account", "subscription")
            for last in ("key", "token")
        ),
        _at_hints,
        _SPOKEN,
        _masked_spoken,
    ),
    (("|", "\u2502", "\u2503"), _anywhere, _CELL, _masked_cell),
    (("wandb", "aws configure"), _at_hints, _STORED, _masked_stored),
)  # fmt: skip
