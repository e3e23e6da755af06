"""Values after names of secrets, as in settings and code of any language."""

from __future__ import annotations

import re
from collections.abc import Callable

from runstore.capture.secrets.enclosing import enclosing_name
from runstore.capture.secrets.names import Secrecy, secrecy, secrecy_of_key
from runstore.capture.secrets.values import (
    MASK,
    compiled,
    is_code,
    is_placeholder,
    is_secret_line,
    is_secret_literal,
    is_secret_setting,
    is_secret_word,
    is_stand_in,
    is_url_without_secret,
    looks_random,
    without_signs,
    without_variables,
)

_VALUE_BOUND = 4000
_LINE_BOUND = 1000
_TYPE = (
    r"(?:&?str|&?String|string|bytes|Secret\w{1,10}|Final|Optional|typing\.\w{1,10}|Any)"
    r"(?:\[[A-Za-z_.]{1,30}\])?(?:[ ]?\|[ ]?None)?"
)
# Each name of a secret contains one of these; after the short ones, only a version may follow.
IN_NAMES = re.compile(
    r"pass|pw|secret|key|tok|auth|cred|cookie|bearer|session|conn"
    r"|(?:pat|sas|otp|pin|dsn)(?![acdf-mquw-z])"
)
_KEYS = ("key", "Key", "KEY")
_KEY = r"\\{0,7}[\"']?(?P<value>[A-Za-z0-9_+/=-]{16,200})(?![\w.+/=-])"
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
_BLOCK = re.compile(
    rf"[|>](?:[+-]?[0-9]?|[0-9][+-])[ \t]{{0,{_LINE_BOUND}}}(?:#[^\n]{{0,{_LINE_BOUND}}})?\r?\n"
)
# Lines of a value in Terraform and other languages.
_HEREDOC = (
    r"(?m)<<[-~]?(?P<quote>[\"']?)(?P<name>\w{1,40})(?P=quote)[ \t]{0,40}\r?\n"
    r"(?=(?:[^\n]*\n){0,100}?[ \t]{0,200}(?P=name)[ \t]{0,40}\r?$)"
)
# Before a value in YAML: its type, and a name for it.
_PROPERTIES = r"(?:(?:!![a-z]{1,20}|!Sub|!Join|&[\w-]{1,100})(?:[ \t]+|(?=\r?\n)))+"
# A value in the next line, which is no comment, item or another name.
_NEXT_LINE = (
    rf"(?:#[^\n]{{0,{_LINE_BOUND}}})?(?:\r?\n){{1,3}}(?P<indent>[ \t]{{1,200}})"
    r"(?![\s#&*!|>]|[-?:](?:\s|$)|(?:\"[^\"\n]{0,100}\"|'[^'\n]{0,100}'"
    r"|[^\"':\n]{1,100}(?:::[^\"':\n]{1,100})?):(?:\s|$))"
    rf"(?P<value>[^\r\n]{{1,{_VALUE_BOUND}}})"
)
_ITEMS = r"[ \t]*(?:- +)*"
_LIST = r"[ \t]*\r?\n(?=[ \t]*- )"
_ITEM = r"\n[ \t]*- (?P<bare>[^\r\n:]{3,400})\r?(?=\n|$)"
# The beginning of a list in brackets, perhaps with another one in it.
_ARRAY = r"\[(?:[\s,\[]|\"\"|''){0,200}"
# An item of it, after the comma and comments before it.
_ARRAY_ITEM = (
    rf"(?:[\s,]|#[^\n]{{0,{_LINE_BOUND}}}\n){{0,{_LINE_BOUND}}}"
    rf"(?:\"(?P<double>[^\"\\\n]{{1,{_VALUE_BOUND}}})\"|'(?P<single>[^'\n]{{1,{_VALUE_BOUND}}})'"
    rf"|(?P<bare>(?:![\w:.]{{1,40}}[ ]{{1,4}})?[^\s,\]\"'\[{{}}#]{{1,{_VALUE_BOUND}}}))"
)
# A word does not end at a bound.
_REST = re.compile(rf"[^\r\n]{{1,{_VALUE_BOUND}}}\S*")
# ${NAME:-default}, where the default may be composed of other variables, a few levels deep.
_EXPANSION = r"\$\{[^\s{}]{0,4000}\}"
for _ in range(8):
    _EXPANSION = rf"\$\{{(?:[^\s{{}}$]|\$(?!\{{)|{_EXPANSION}){{0,{_VALUE_BOUND}}}\}}"
# After some variables, a word is read without looking for their ends.
_SHELL_WORD, _WORD = (
    rf"(?:[^{ends}$]+|(?=\$))(?:(?:{_EXPANSION}|\$(?!\{{))[^{ends}$]*){{0,40}}(?:\$[^{within}]*)?"
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
_ENDS_OF_LINES = r"(?:\\{1,4}[nrt])+\Z"
_QUERY = re.compile(r"&[\w.]+=")
_COMMENT = re.compile(r"\s(?:#|//|;)")


class Assignments:
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
        """Return the text with secrets masked."""
        text, place = self._text, 0
        is_secret = False
        while found := self._next(place, is_near=is_secret):
            begin, passed, place = found.start(), place, found.end()
            name, close, sign = found.group("name", "close", "sign")
            sure = self._secrecy(found)
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
        hint = IN_NAMES.search(self._lowered, place)
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
        # A value in the next line, of several lines or of several items begins with a sign.
        is_word = self._text[begin : begin + 1].isalnum()
        if sign == ":" and not is_word:
            begin = self._begin_of_value(found, begin, sure)
        opened = _OPEN.match(self._text, begin)
        if opened is not None:
            ended = self._mask_quoted(found, opened, sure)
            if ended is not None:
                return ended
        if sign == "," or (found["close"] and sign == "!="):
            return begin
        ended = None if is_word else self._mask_several(found, begin, sure)
        return self._mask_bare(found, begin, sure) if ended is None else ended

    def _mask_several(self, found: re.Match[str], begin: int, sure: Secrecy) -> int | None:
        """Mask a value of several lines or items; None if no such value begins here."""
        if block := _BLOCK.match(self._text, begin):
            indent = self._column(found)
            return self._mask_lines(
                block.end(), lambda row: _indent(row) <= indent, is_placeholder
            )
        is_heredoc = self._text.startswith("<<", begin)
        if is_heredoc and (opening := compiled(_HEREDOC).match(self._text, begin)):
            name, begin = opening["name"], opening.end()
            self._mask_lines(
                begin,
                lambda row: row.strip() == name,
                lambda row: not self._is_secret_text(row, sure),
            )
            # There may be other names in its lines.
            return max(begin, self._done)
        return self._mask_list(begin, sure)

    def _begin_of_value(self, found: re.Match[str], begin: int, sure: Secrecy) -> int:
        """Return the position of a value after a colon, which may be in the next line."""
        is_yaml = self._bare != MASK
        if is_yaml and (properties := compiled(_PROPERTIES).match(self._text, begin)):
            begin = properties.end()
        following = compiled(_NEXT_LINE).match(self._text, begin)
        if following is None or not self._begins_line(found.start()):
            return begin
        # In other texts, a sentence may follow.
        value = following["value"].strip("\"' ")
        is_value = is_yaml or (
            sure is Secrecy.SURE
            and (value.isalnum() or looks_random(value))
            and is_secret_word(value, sure)
        )
        is_inner = len(following["indent"]) > self._column(found)
        return following.start("value") if is_inner and is_value else begin

    def _column(self, found: re.Match[str]) -> int:
        """Return how far the line of a name is indented, with the signs of items of lists."""
        line = self._text.rfind("\n", 0, found.start()) + 1
        inner = compiled(_ITEMS).match(self._text, line)
        return 0 if inner is None else inner.end() - line

    def _secrecy(self, found: re.Match[str]) -> Secrecy:
        """Return how secret a value is, according to its name or to the name around a `key`."""
        name = found["name"]
        if name not in _KEYS:
            return secrecy(name)
        value = compiled(_KEY).match(self._text, found.end())
        if value is None or not looks_random(value["value"]):
            return Secrecy.NONE
        return secrecy_of_key(enclosing_name(self._text, found.start()))

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
            # The second of two arguments, or the next of a list; a sentence says what it means.
            is_value = found["name"].startswith("-") and " " not in value
            is_secret = bool(found["close"]) and (
                is_secret_literal(value, Secrecy.PERHAPS)
                or (is_value and is_secret_word(value, sure))
            )
        else:
            is_secret = self._is_secret_text(value, sure)
        if not is_secret:
            return begin
        # The number of lines does not change.
        by = compiled(r"\S[^\r\n]*").sub(MASK, value) if "\n" in value else MASK
        return self._replace(begin, end, by)

    def _is_secret_text(self, value: str, sure: Secrecy) -> bool:
        """Check whether a value in quotes is a secret."""
        return (is_secret_setting if self._is_settings else is_secret_literal)(value, sure)

    def _is_within(self, quote: str, begin: int, end: int) -> bool:
        """Check whether a quote at the end closes an earlier one in the same line."""
        bound = max(0, end - _LINE_BOUND)
        line = max(self._text.rfind("\n", bound, begin), bound - 1)
        return self._text.count(quote, line + 1, end) % 2 == 1

    def _mask_lines(
        self, place: int, is_end: Callable[[str], bool], is_kept: Callable[[str], bool]
    ) -> int:
        """Mask the lines of a value up to another line, and return the position of their end."""
        while place < len(self._text):
            end = self._text.find("\n", place)
            end = len(self._text) if end < 0 else end
            row = self._text[place:end]
            if row.strip() and is_end(row):
                break
            if row.strip() and not is_kept(row.strip()):
                self._replace(place + _indent(row), end, MASK)
            place = end + 1
        return min(place, len(self._text))

    def _mask_list(self, begin: int, sure: Secrecy) -> int | None:
        """Mask the items of a list, in lines or in brackets; None if no list begins here."""
        if array := compiled(_ARRAY).match(self._text, begin):
            pattern, place = compiled(_ARRAY_ITEM), array.end()
        elif not self._is_settings:
            return None
        elif lines := compiled(_LIST).match(self._text, begin):
            pattern, place = compiled(_ITEM), lines.end() - 1
        else:
            return None
        while item := pattern.match(self._text, place):
            kind = item.lastgroup or ""
            value = item[kind].strip("\"'")
            # In code, a bare word is a name, and others describe something.
            is_value = self._is_settings or (kind != "bare" and not value.isalpha())
            if is_value and self._is_secret_text(value, sure):
                by = self._bare if kind == "bare" else MASK
                self._replace(item.start(kind), item.end(kind), by)
            place = item.end()
        if self._is_settings:
            return place
        # In code, there may be other names in the list.
        return self._done if self._done > begin else None

    def _mask_bare(self, found: re.Match[str], begin: int, sure: Secrecy) -> int:
        is_tired = self._is_tired(begin)
        if is_tired or self._is_no_value(begin):
            return self._run_end if is_tired else begin
        begins_line = self._begins_line(found.start())
        is_variable = found["name"].isupper() and found["sign"] == "="
        if (
            begins_line
            and self._text[found.start() - 1 : found.start()] not in _QUOTES
            and (value := _REST.match(self._text, begin))
        ):
            shown = _without_comment(value[0])
            if self._is_secret_line(shown, sure, is_variable=is_variable):
                return self._replace(begin, begin + len(shown), self._bare)
        word = compiled(_SHELL_WORD if is_variable else _WORD).match(self._text, begin)
        if word is None:
            return begin
        shown = without_signs(word[0])
        if "\\" in shown and self._text[word.end() : word.end() + 1] in _QUOTES:
            shown = compiled(_ENDS_OF_LINES).sub("", shown)  # of a line of code in JSON
        is_secret = is_secret_setting if self._is_settings and begins_line else is_secret_word
        has_variables = "${" in shown
        is_call = self._text.startswith(("(", "["), word.end()) and not has_variables
        if is_call and not is_variable:
            return begin
        judged = shown[:_VALUE_BOUND]
        if is_secret(judged, sure) or (has_variables and is_secret(_first_part(judged), sure)):
            return self._replace(begin, begin + len(shown), self._bare)
        return begin

    def _is_no_value(self, begin: int) -> bool:
        """Check whether a URL without secrets begins here, or a text of several lines."""
        text, bound = self._text, begin + _LINE_BOUND
        if text[begin : begin + 1] in _QUOTES and not text[begin + 1 : begin + 2].strip():
            return True
        return text.find("://", begin, bound) >= 0 and is_url_without_secret(text[begin:bound])

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


def _first_part(word: str) -> str:
    """Return the variable that a word begins with, or the text before its first one."""
    if variable := compiled(_EXPANSION).match(word):
        return variable[0]
    text, sign, _ = word.partition("${")
    return text + sign[:1]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
