"""A secret name and its value as two settings, as for containers, in XML, JSON and Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runstore.capture.secrets.assignments import Assignments
from runstore.capture.secrets.enclosing import enclosing_name
from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.values import MASK, compiled, is_secret_literal, is_secret_word

_QUOTES = r"[\\\"']{0,4}"
_SIGN = rf"{_QUOTES}[ \t]{{0,4}}[:=][ \t]{{0,4}}"
# Also ParameterKey and ParameterValue of CloudFormation.
_ALONE = r"(?:(?<!\w.)|(?<=Parameter.))"
_NAME = (
    rf"[nNkK]{_ALONE}(?:(?<=[nN])ame|(?<=[kK])ey){_SIGN}{_QUOTES}(?P<name>[A-Za-z][\w.-]{{2,80}})"
)
_GAP = r"(?:[\s,]|#[^\n]{0,200}(?=\n)){1,80}"
# Other settings between the two.
_OTHERS = (
    rf"(?:{_GAP}{_QUOTES}(?!(?:Parameter)?[vV]alue\b)\w{{1,40}}{_SIGN}"
    r"[^\n,:{}\[\]<>]{0,100}){0,2}"
)
_VALUE = rf"[vV]{_ALONE}alue(?P<close>{_QUOTES})[ \t]{{0,4}}(?P<sign>[:=])[ \t]{{0,4}}"
_LONGEST_VALUE = 400
_WORD_OF_ELEMENT = rf"[^\s<>]{{3,{_LONGEST_VALUE}}}(?=</)"
# Perhaps the first line of a block of YAML, or the first item of a list.
_WORD = (
    r"(?:[|>][+-]?[ \t]{0,40}\r?\n\s{1,200}|\[(?:[\s,\[]|\"\"|''){0,200}|\r?\n[ \t]{1,200}- +)?"
    r"\\{0,3}[\"']?(?P<value>[^\s\"',{}\[\]\\]{3,400})"
)


class Pairs(Assignments):
    """Masks the values of names in settings beside them.

    Attributes:
        begins: How these settings begin, in lowercase.
        pattern: Everything up to the value.
    """

    begins: tuple[str, ...]
    pattern: str

    def __init__(self, text: str, lowered: str, *, is_settings: bool, bare: str) -> None:
        super().__init__(text, lowered, is_settings=is_settings, bare=bare)
        # The last one comes first.
        self._places = sorted(
            (place for one in self.begins for place in _places(one, lowered)), reverse=True
        )

    def _next(self, place: int, *, is_near: bool) -> re.Match[str] | None:  # noqa: ARG002 - any
        while self._places:
            begin = self._places.pop()
            if begin >= place and (found := compiled(self.pattern).match(self._text, begin)):
                return found
        return None

    def _is_secret_text(self, value: str, sure: Secrecy) -> bool:
        if self._is_settings:
            return super()._is_secret_text(value, sure)
        return (is_secret_literal if " " in value else is_secret_word)(value, sure)


def _places(word: str, lowered: str) -> Iterator[int]:
    place = lowered.find(word)
    while place >= 0:
        yield place
        place = lowered.find(word, place + 1)


class _NameFirst(Pairs):
    begins = ("name", "key")
    pattern = rf"{_NAME}{_QUOTES}{_OTHERS}{_GAP}{_QUOTES}(?:Parameter)?{_VALUE}"


class _ValueFirst(Pairs):
    begins = ("value",)
    pattern = (
        rf"{_VALUE}"
        rf"(?=(?:(?P<quote>\\{{0,3}}[\"'])[^\"'\\\n]{{1,{_LONGEST_VALUE}}}(?P=quote)"
        rf"|[^\s\"',{{}}\[\]<>][^\n,{{}}<>]{{0,{_LONGEST_VALUE}}}?)"
        rf"{_GAP}{_QUOTES}(?:Parameter)?{_NAME}(?![\w.-]))"
    )


class _Element(Pairs):
    """<property name="password">X</property>."""

    begins = ("name=", "key=")
    pattern = rf"{_NAME}(?P<close>{_QUOTES})(?P<sign>>)"

    def _mask_element(self, found: re.Match[str], begin: int) -> int:
        sure = secrecy(found["name"])
        value = compiled(_WORD_OF_ELEMENT).match(self._text, begin)
        if value is not None and self._is_secret_text(value[0], sure):
            return self._replace(begin, value.end(), MASK)
        return self._mask_bare(found, begin, sure)


class _Inner(Pairs):
    """Values of settings in a secret one: `password: {value: X}`."""

    begins = ("value", "default", "fn::sub", "fn::join")
    pattern = (
        rf"(?<!\w)(?:[vV]alue|[dD]efault|Fn::(?:Sub|Join))(?P<close>{_QUOTES})[ \t]{{0,4}}"
        r"(?P<sign>[:=])(?P<name>)[ \t]{0,4}"
    )

    def _secrecy(self, found: re.Match[str]) -> Secrecy:
        value = compiled(_WORD).match(self._text, found.end())
        if value is None or not is_secret_word(value["value"], Secrecy.SURE):
            return Secrecy.NONE
        sure = secrecy(enclosing_name(self._text, found.start()))
        return sure if sure is Secrecy.SURE else Secrecy.NONE


class _Variable(Pairs):
    """variable "password" { default = "X" } of Terraform, also with a list or a heredoc."""

    begins = ("variable ",)
    pattern = (
        r"\bvariable[ \t]{1,40}\"?(?P<name>[\w-]{2,100})(?P<close>\"?)\s{0,40}\{"
        r"(?:[^{}\"]|\"[^\"\n]{0,400}\"|\{[^{}]{0,400}\}){0,2000}?"
        r"\bdefault[ \t]{0,40}(?P<sign>=)[ \t]{0,40}(?=[\"\[]|<<)"
    )

    def _is_secret_text(self, value: str, sure: Secrecy) -> bool:
        return is_secret_literal(value, sure)


class _LongKey(Pairs):
    """? password, and in the next line : X, in YAML."""

    begins = ("? ",)
    pattern = (
        r"\?[ \t]{1,40}[\"']?(?P<name>[\w.-]{2,100})(?P<close>[\"']?)[ \t]{0,40}"
        r"(?:#[^\n]{0,200})?\r?\n[ \t]{0,200}(?P<sign>:)[ \t]{1,40}"
    )

    def _secrecy(self, found: re.Match[str]) -> Secrecy:
        is_yaml = self._bare != MASK and self._begins_line(found.start())
        return super()._secrecy(found) if is_yaml else Secrecy.NONE


# By a part of each text with such settings.
PAIRS: dict[str, tuple[type[Pairs], ...]] = {
    "value": (_NameFirst, _ValueFirst, _Inner),
    "default": (_Inner, _Variable),
    "fn::": (_Inner,),
    "? ": (_LongKey,),
    '">': (_Element,),
    "'>": (_Element,),
}
