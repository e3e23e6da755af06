"""Secrets in text of any kind: settings, headers, command lines, code of any language, prose."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence

from runstore.capture.secrets.issuers import mask_tokens
from runstore.capture.secrets.keys import mask_keys
from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.programs import mask_options
from runstore.capture.secrets.urls import mask_urls
from runstore.capture.secrets.values import (
    compiled,
    has_own_default,
    is_code,
    is_mixed,
    is_placeholder,
    is_secret_line,
    is_secret_literal,
    is_secret_setting,
    is_secret_word,
    is_stand_in,
    looks_random,
    without_variables,
)

MASK = "***"
_Substitution = Callable[["re.Match[str]"], str]
_VALUE_BOUND = 4000
_LINE_BOUND = 1000
_TYPE = (
    r"(?:&?str|&?String|string|bytes|Secret\w{1,10}|Final|Optional|typing\.\w{1,10}|Any)"
    r"(?:\[[A-Za-z_.]{1,30}\])?(?:[ ]?\|[ ]?None)?"
)
# Each name of a secret contains one of these; after the short ones, only a version may follow.
_IN_NAMES = re.compile(
    r"pass|pw|secret|key|tok|auth|cred|cookie|bearer|session|conn"
    r"|(?:pat|sas|otp|pin|dsn)(?![acdf-mquw-z])"
)
# Texts without these and without tokens contain no secret.
_HINTS = re.compile(rf"{_IN_NAMES.pattern}|basic|identified|login|wandb")
_LONGEST_NAME = 100
_LONGEST_SIGN = 200
_TYPES = ("Secret", "typing.")
# Each name followed by anything: a value after a sign, or in an element.
_ASSIGNMENT = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]{2,100})"
    r"(?P<close>\\{0,7}[\"'`]\]?|\]|\*\*(?=:))?"
    r"(?P<sign>[ \t]{0,40}"
    rf"(?::[ \t]{{0,4}}{_TYPE}[ \t]{{0,4}}=(?!=)|=>|[:+?]=|<-|={{1,3}}|!=|:\*\*(?=[ \t])|:(?!:)|,)"
    r"[ \t]{0,40}|>)"
)
_OPEN = re.compile(r"(?:[rbuf@$]|rb|br|fr)?(?P<quote>\\{0,7}(?:\"\"\"|'''|[\"'`]))", re.IGNORECASE)
_UNTIL = {
    one: re.compile(rf"(?:[^{one}\\\n]|\\[^\n]){{0,{_VALUE_BOUND}}}{one}")
    for one in ("'", '"', "`")
}
# Within ${NAME:-default}, after the name. A default may be another variable with a default.
_OPERATOR = r":?(?P<sign>[-=+?])"
_QUOTE = r"\\{0,7}[\"']?"
_PIECE = r"[^{}\"'\\\r\n$]|\$\{\w{1,100}\}|\$(?!\{)"
_DEFAULT = (
    rf"(?:{_QUOTE}\$\{{\w{{1,100}}:?[-=]){{0,8}}"
    rf"(?P<quote>{_QUOTE})(?P<value>(?:{_PIECE}){{1,{_VALUE_BOUND}}})(?P=quote)\}}"
)
_BLOCK = re.compile(r"[|>][+-]?[0-9]?[ \t]*\r?\n")
_LIST = r"[ \t]*\r?\n(?=[ \t]*- )"
_ITEM = r"\n[ \t]*- (?P<bare>[^\r\n:]{3,400})\r?(?=\n|$)"
# An item of a list in brackets, after the comma and comments before it.
_ARRAY_ITEM = (
    rf"(?:[\s,]|#[^\n]{{0,{_LINE_BOUND}}}\n){{0,{_LINE_BOUND}}}"
    rf"(?:\"(?P<double>[^\"\\\n]{{1,{_VALUE_BOUND}}})\"|'(?P<single>[^'\n]{{1,{_VALUE_BOUND}}})'"
    rf"|(?P<bare>[^\s,\]\"'\[{{}}#]{{1,{_VALUE_BOUND}}}))"
)
# A word does not end at a bound.
_REST = re.compile(rf"[^\r\n]{{1,{_VALUE_BOUND}}}\S*")
# ${NAME:-default}, where the default may be composed of other variables, a few levels deep.
_EXPANSION = r"\$\{[^\s{}]{0,4000}\}"
for _ in range(8):
    _EXPANSION = rf"\$\{{(?:[^\s{{}}$]|\$(?!\{{)|{_EXPANSION}){{0,{_VALUE_BOUND}}}\}}"
# After some variables, a word is read without looking for their ends.
_SHELL_WORD, _WORD = (
    rf"(?:[^{ends}$]+|(?=\$))(?:(?:{_EXPANSION}|\$)[^{ends}$]*){{0,40}}(?:\$[^{within}]*)?"
    for ends, within in (
        (r"\s\"'`", r"\s\"'`"),
        (r"\s\"'`,;&<>(){}\[\]|\\", r"\s\"'`,;&<>()\[\]|\\"),
    )
)
_ELEMENT = rf"[^<>\n]{{1,{_VALUE_BOUND}}}(?=</)"
_BEGINS_LINE = (
    r"[\s>#/+*-]*(?:(?:export|set|setx|ENV|ARG|local|declare|readonly|const|let|var|public|private"
    r"|static|final|string|String|env|default)\s+)*[\"']?\$?"
)
# Limit of names in a sequence without spaces, such as packed data.
_NAMES_IN_A_RUN = 50
_RUN = re.compile(r"\S+")
_QUOTES = ("'", '"', "`")
_QUERY = re.compile(r"&[\w.]+=")
_COMMENT = re.compile(r"\s(?:#|//|;)")

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
# A name and its value as two settings, as for containers, in XML and JSON.
_PAIR = (
    r"(?P<before>[nNkK](?<!\w.)(?:(?<=[nN])ame|(?<=[kK])ey)"
    r"[\\\"']{0,4}[ \t]{0,4}[:=][ \t]{0,4}[\\\"']{0,4}"
    r"(?P<name>[A-Za-z][\w.-]{2,80})[\\\"']{0,4}"
    r"(?:>|[\s,]{1,60}"
    r"[\\\"']{0,4}(?:value|Value)[\\\"']{0,4}[ \t]{0,4}[:=][ \t]{0,4})[\\\"']{0,4})"
    r"(?P<value>[^\s\"'<>\\,]{4,400})"
)
# A key after a command that stores it.
_STORED = (
    r"\b(wandb[ \t]+login[ \t]+(?:--[\w-]{1,40}[ \t]+){0,8}"
    r"|aws[ \t]+configure[ \t]+set[ \t]+[\w.-]{0,60}(?:secret_access_key|session_token)"
    r"[ \t]+[\"']?)([^\s\"'|;&\\-][^\s\"'|;&\\]{2,400})"
)
_OPTION = (
    r"(?P<name>-(?<![\w-]-)-?[A-Za-z][\w.-]{1,60})"
    r"(?P<sign>[ \t]{1,4}(?:\\\r?\n[ \t]{0,40})?)"
    r"(?P<value>\"[^\"\n]{1,400}\"|'[^'\n]{1,400}'|[^\s\"'\\`]{1,4000})"
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
    lowered = _lower(text)
    if " -" in lowered:
        masked = mask_options(text, lowered, MASK)
        if masked != text:
            text, lowered = masked, _lower(masked)
    if not _HINTS.search(lowered):
        return text
    for hints, substituted, pattern, by in _FORMS:
        if any(map(lowered.__contains__, hints)):
            masked = substituted(compiled(pattern), by, text, lowered, hints)
            if masked != text:
                text, lowered = masked, _lower(masked)
    return _Assignments(text, lowered, is_settings=is_settings, bare=bare).masked()


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
    while hint := _IN_NAMES.search(lowered, passed):
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
    is_secret = is_secret_word(value, Secrecy.SURE) or is_secret_line(value)
    return found[1] + MASK if is_secret else found[0]


def _masked_spaced(found: re.Match[str]) -> str:
    sure = secrecy(found["name"])
    value = found["value"].rstrip()
    is_secret = sure and is_secret_word(value.strip("\"'"), sure)
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
    value = _without_signs(found["value"])
    if not looks_random(value) or not is_secret_word(value, Secrecy.PERHAPS):
        return found[0]
    return found["before"] + MASK + found["value"][len(value) :]


def _masked_pair(found: re.Match[str]) -> str:
    sure = secrecy(found["name"])
    return found["before"] + MASK if sure and is_secret_word(found["value"], sure) else found[0]


def _masked_stored(found: re.Match[str]) -> str:
    return found[0] if is_stand_in(found[2]) else found[1] + MASK


def _masked_option(found: re.Match[str]) -> str:
    sure, value = secrecy(found["name"]), found["value"]
    if not sure or value.startswith("-"):
        return found[0]
    quote = value[0] if value[0] in "\"'" else ""
    if not is_secret_word(value.strip("\"'"), sure):
        return found[0]
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
    (("value", "name", "key"), _anywhere, _PAIR, _masked_pair),
    (("wandb", "aws configure"), _at_hints, _STORED, _masked_stored),
)  # fmt: skip


class _Assignments:
    """Masks the values of secret names, from the beginning to the end."""

    def __init__(self, text: str, lowered: str, *, is_settings: bool, bare: str) -> None:
        self._text = text
        self._lowered = lowered
        self._is_settings = is_settings
        self._bare = bare
        self._parts: list[str] = []
        self._done = 0
        self._run_end = 0
        self._names_in_run = 0
        self._last_name = -1

    def masked(self) -> str:
        text, place = self._text, 0
        is_secret = False
        while found := self._next(place, is_near=is_secret):
            begin, passed, place = found.start(), place, found.end()
            name, close, sign = found.group("name", "close", "sign")
            sure = secrecy(name)
            is_secret = bool(sure)
            if sure and (close == "]" or name.startswith(_TYPES)):
                is_secret = not self._is_type(found, passed)
            # In ARNs and names of types, a colon does not assign.
            if not is_secret or (sign == ":" and text.endswith(":", 0, begin)):
                continue
            if text.endswith("${", 0, begin):
                ended = self._mask_default(found, sure)
            else:
                ended = self._mask(found, sure)
            place = max(place, ended)
            self._last_name = begin
        self._parts.append(text[self._done :])
        return "".join(self._parts)

    def _next(self, place: int, *, is_near: bool) -> re.Match[str] | None:
        """Return the next assignment to a name that may be one of a secret, or one before it.

        Args:
            place: The position to begin at.
            is_near: Whether such a name follows soon, so that no time is saved by a search for it.
        """
        if is_near:
            return _ASSIGNMENT.search(self._text, place)
        hint = _IN_NAMES.search(self._lowered, place)
        if hint is None:
            return None
        text, begin = self._text, hint.start()
        bound = max(place, begin - _LONGEST_NAME)
        while begin > bound and (text[begin - 1].isalnum() or text[begin - 1] in "_.-"):
            begin -= 1
        return _ASSIGNMENT.search(text, begin)

    def _is_type(self, found: re.Match[str], place: int) -> bool:
        """Check whether a name is the type of another one, as in `x: Optional[Secret] = 1`."""
        begin, text = found.start(), self._text
        line = max(place, text.rfind("\n", place, begin) + 1)
        others = _ASSIGNMENT.finditer(text, line, found.end("name") + _LONGEST_SIGN)
        return any(one.end() > begin for one in others if one.start() < begin)

    def _replace(self, begin: int, end: int, by: str) -> int:
        self._parts += (self._text[self._done : begin], by)
        self._done = end
        return end

    def _mask(self, found: re.Match[str], sure: Secrecy) -> int:
        """Mask the value after a name, and return the position of its end."""
        begin, sign = found.end(), found["sign"].strip()
        if sign == ">":
            return self._mask_element(found, begin)
        opened = _OPEN.match(self._text, begin)
        if opened is not None:
            ended = self._mask_quoted(found, opened, sure)
            if ended is not None:
                return ended
        if sign == "," or (found["close"] and sign == "!="):
            return begin
        if block := _BLOCK.match(self._text, begin):
            return self._mask_block(found, block.end())
        if self._is_settings:
            ended = self._mask_list(begin, sure)
            if ended is not None:
                return ended
        return self._mask_bare(found, begin, sure)

    def _mask_default(self, name: re.Match[str], sure: Secrecy) -> int:
        """Mask a default in `${NAME:-default}`; `+` and `?` precede no value of the variable."""
        operator = compiled(_OPERATOR).match(self._text, name.end("name"))
        if operator is None:
            return self._mask(name, sure)
        begin = operator.end()
        found = compiled(_DEFAULT).match(self._text, begin) if operator["sign"] in "-=" else None
        is_secret = is_secret_setting if self._is_settings else is_secret_literal
        if found is None or not is_secret(without_variables(found["value"]), sure):
            return begin
        return self._replace(*found.span("value"), MASK)

    def _mask_element(self, found: re.Match[str], begin: int) -> int:
        value = compiled(_ELEMENT).match(self._text, begin)
        if value is None or self._text[found.start() - 1 : found.start()] != "<":
            return begin
        if not is_secret_setting(value[0], secrecy(found["name"])):
            return begin
        return self._replace(begin, value.end(), MASK)

    def _mask_quoted(
        self, found: re.Match[str], opened: re.Match[str], sure: Secrecy
    ) -> int | None:
        """Mask a value in quotes; None if no quotes open here."""
        quote, begin = opened["quote"], opened.end()
        if len(quote) == 1:
            closing = _UNTIL[quote].match(self._text, begin)
            end = -1 if closing is None else closing.end() - 1
            # 'password=' + x + '&b': the sign itself is in quotes.
            if not found["close"] and self._is_within(quote, found.start(), opened.start()):
                return begin
        else:
            end = self._text.find(quote, begin, begin + _VALUE_BOUND)
        if end < 0:
            return None
        value = self._text[begin:end]
        if found["sign"].strip() == ",":
            # The second of two arguments, or the next of a list.
            is_secret = bool(found["close"]) and is_secret_literal(value, Secrecy.PERHAPS)
        elif self._is_settings:
            is_secret = is_secret_setting(value, sure)
        else:
            is_secret = is_secret_literal(value, sure)
        return self._replace(begin, end, MASK) if is_secret else begin

    def _is_within(self, quote: str, begin: int, end: int) -> bool:
        """Check whether a quote at the end closes an earlier one in the same line."""
        bound = max(0, end - _LINE_BOUND)
        line = max(self._text.rfind("\n", bound, begin), bound - 1)
        return self._text.count(quote, line + 1, end) % 2 == 1

    def _mask_block(self, found: re.Match[str], begin: int) -> int:
        """Mask the lines of a YAML block, which are indented more than its name."""
        line = self._text.rfind("\n", 0, found.start()) + 1
        indent = _indent(self._text[line : found.start()])
        place = begin
        while place < len(self._text):
            end = self._text.find("\n", place)
            end = len(self._text) if end < 0 else end
            row = self._text[place:end]
            inner = _indent(row)
            if row.strip() and inner <= indent:
                break
            if row.strip() and not is_placeholder(row.strip()):
                self._replace(place + inner, end, MASK)
            place = end + 1
        return min(place, len(self._text))

    def _mask_list(self, begin: int, sure: Secrecy) -> int | None:
        """Mask the items of a list, in lines or in brackets; None if no list begins here."""
        if self._text.startswith("[", begin):
            pattern, place = compiled(_ARRAY_ITEM), begin + 1
        elif lines := compiled(_LIST).match(self._text, begin):
            pattern, place = compiled(_ITEM), lines.end() - 1
        else:
            return None
        while item := pattern.match(self._text, place):
            kind = item.lastgroup or ""
            if is_secret_setting(item[kind].strip("\"'"), sure):
                by = self._bare if kind == "bare" else MASK
                self._replace(item.start(kind), item.end(kind), by)
            place = item.end()
        return place

    def _mask_bare(self, found: re.Match[str], begin: int, sure: Secrecy) -> int:
        if self._is_tired(begin):
            return self._run_end
        begins_line = self._begins_line(found.start())
        is_variable = found["name"].isupper() and found["sign"] == "="
        before = self._text[found.start() - 1 : found.start()]
        if begins_line and before not in _QUOTES and (value := _REST.match(self._text, begin)):
            shown = _without_comment(value[0])
            if self._is_secret_line(shown, sure, is_variable=is_variable):
                return self._replace(begin, begin + len(shown), self._bare)
        word = compiled(_SHELL_WORD if is_variable else _WORD).match(self._text, begin)
        if word is None:
            return begin
        shown = _without_signs(word[0])
        is_secret = is_secret_setting if self._is_settings and begins_line else is_secret_word
        is_call = self._text.startswith(("(", "["), word.end()) and "${" not in shown
        judged = shown[:_VALUE_BOUND]
        parts = dict.fromkeys((judged, _first_part(judged)))
        if (is_variable or not is_call) and any(is_secret(one, sure) for one in parts):
            return self._replace(begin, begin + len(shown), self._bare)
        return begin

    def _begins_line(self, name: int) -> bool:
        bound = max(0, name - _LINE_BOUND)
        line = self._text.rfind("\n", max(bound, self._last_name), name) + 1
        if not line and self._last_name >= bound:
            return False  # another name precedes this one
        return compiled(_BEGINS_LINE).fullmatch(self._text, line or bound, name) is not None

    def _is_tired(self, begin: int) -> bool:
        """Check whether a sequence without spaces contained too many names."""
        if begin >= self._run_end:
            run = _RUN.match(self._text, begin)
            self._run_end = begin if run is None else run.end()
            self._names_in_run = 0
        self._names_in_run += 1
        return self._names_in_run > _NAMES_IN_A_RUN and self._run_end > begin

    def _is_secret_line(self, value: str, sure: Secrecy, *, is_variable: bool) -> bool:
        """Check whether the whole rest of a line is a secret."""
        if self._is_settings:
            return value[:1] not in {"[", "{"} and is_secret_setting(value, sure)
        if is_placeholder(value) or ("&" in value and _QUERY.search(value)):
            return False
        if is_variable and " " not in value:
            return is_secret_setting(value, sure) and not is_stand_in(value)
        if sure is Secrecy.SURE and is_secret_line(value):
            return True
        return " " not in value and not is_code(value) and is_secret_word(value, sure)


def _without_comment(rest: str) -> str:
    """Return the rest of a line without a comment, or without the signs at its end."""
    found = _COMMENT.search(rest)
    value = rest if found is None else rest[: found.start()].rstrip()
    return value[: len(rest.rstrip(" \t,;"))]


def _without_signs(word: str) -> str:
    """Return a word without the signs that follow it; `}` may end a `${NAME}`."""
    shown = word.rstrip(".,;:)]}\\")
    if "${" not in shown:
        return shown
    closing = re.match(r"\}*", word[len(shown) :][: shown.count("{") - shown.count("}")])
    return shown + (closing[0] if closing else "")


def _first_part(word: str) -> str:
    """Return the variable that a word begins with, or the text before its first one."""
    if variable := compiled(_EXPANSION).match(word):
        return variable[0]
    text, sign, _ = word.partition("${")
    return text + sign[:1]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
