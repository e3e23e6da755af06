"""Secrets in Python source: literals and comments are masked, never code.

This needs its own lexer, which also reads fragments of patches and unfinished code, and locates
each literal. Only text between the quotes of a literal is replaced, so masked code has the same
tokens as before.
Source: The Python Language Reference 3.14, "Lexical analysis".
"""

from __future__ import annotations

import re

from runstore.capture.secrets.keys import mask_keys
from runstore.capture.secrets.names import Secrecy, secrecy, secrecy_of_key
from runstore.capture.secrets.programs import (
    PROGRAM_NAMES,
    PROGRAMS,
    known_program,
    masked_option,
    masked_value,
)
from runstore.capture.secrets.text import mask_plain
from runstore.capture.secrets.values import MASK, compiled, is_secret_in_code, looks_random

_TOKEN = re.compile(
    r"(?P<prefix>[A-Za-z]{0,3})(?P<quote>\"\"\"|'''|\"|')"
    r"|(?P<comment>#[^\n]*)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>:=|[=!<>]=|[-+*/%@&|^]=|->|[=:,;()\[\]{}\n\\]|[^\s\w]|\d\w*)"
)
# The text of a literal, up to its closing quotes if there are any.
_BODIES = {
    "'": re.compile(r"[^'\\\n]*(?:\\.[^'\\\n]*)*", re.DOTALL),
    '"': re.compile(r'[^"\\\n]*(?:\\.[^"\\\n]*)*', re.DOTALL),
    "'''": re.compile(r"[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*", re.DOTALL),
    '"""': re.compile(r'[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*', re.DOTALL),
}
_DEEPEST = 200
_LOGINS = frozenset({"login", "authenticate", "signin", "sign_in", "log_in", "HTTPBasicAuth"})
_IS_PYTHON = (
    r"(?m)^[ \t]*(?:from [\w.]+ import |import \w+(?:\.\w+)*(?:[ ]as \w+)?[ \t]*$"
    r"|(?:async )?def \w+\(|class \w+[(:]|@\w[\w.]*(?:\(.*)?$"
    r"|if __name__ ==|(?:if|elif|for|while|with|try|else)\b.*:[ \t]*$)"
)
# A command of a shell, or a magic of IPython, in a line of a notebook.
_COMMAND = re.compile(r"!{1,2}[\w./~{$(]|%{1,2}[A-Za-z]\w*(?=\s|\Z)")
_CELL_OF_PYTHON = re.compile(r"%%(?:time|timeit|capture|prun|memit|python3?)\b|(?!%%)")
_BEFORE_COMMAND = re.compile(r"[ \t]*(?:\w[\w, ]*=[ \t]*)?")
_NEXT_CELL = "\n# In ["
_PAIRS = {")": "(", "]": "[", "}": "{"}


def is_python(text: str) -> bool:
    """Check whether a text looks like Python code."""
    return re.search(_IS_PYTHON, text) is not None


class _Frame:
    """State of the lexer in a bracket or a statement.

    Attributes:
        bracket: The bracket; empty for a statement.
        sure: Confidence that the name of the next value marks a secret.
        is_direct: Whether the value is the literal itself, and not an argument of a call.
        around: Confidence that the name of the bracket marks a secret.
        first: The first literal in the bracket.
        callee: The function that is called with the bracket.
        name: The name of the dictionary in the bracket.
        program: The program of the words of a command in the bracket.
        named: Confidence that a name in the bracket marks the `value` beside it as secret.
        word: The last name or literal, which may be the name of the next value.
        is_key: Whether that is a literal.
        is_annotated: Whether a type is between name and value.
        keyword: The name of the argument.
        targets: Confidence for each name before an equals sign, as in `a, b = ...`.
        values: Confidence for each of the values after it.
    """

    # Few brackets have them.
    name = program = ""
    named = Secrecy.NONE

    def __init__(
        self,
        bracket: str = "",
        around: Secrecy = Secrecy.NONE,
        *,
        is_direct: bool = True,
        callee: str = "",
    ) -> None:
        self.bracket = bracket
        self.sure = self.around = around
        self.is_direct = is_direct
        self.first: str | None = None
        self.callee = callee
        self.word = ""
        self.is_key = False
        self.is_annotated = False
        self.keyword = ""
        self.targets: list[Secrecy] = []
        self.values: list[Secrecy] = []

    def equals(self, sign: str) -> None:
        """Use the word before an equals sign as the name of the next value."""
        if not self.is_annotated:
            is_beside = self.word == "value" and self.bracket
            self.sure = self.named if is_beside else secrecy(self.word)
        if sign == "=" and self.targets:
            self.sure, *self.values = [*self.targets, self.sure]
            self.targets = []
        self.is_annotated = False
        self.keyword = self.word
        # In `f(x, password="a")` the literal is the value, although in a call.
        self.is_direct = True

    def colon(self) -> None:
        """Use the word before a colon as a name: of a dictionary's value, or with a type."""
        if self.bracket == "{":
            word = self.keyword = self.word
            if word == "value":
                self.sure = self.named
            else:
                self.sure = secrecy_of_key(self.name) if word == "key" else secrecy(word)
        elif self.bracket in {"", "("} and not self.is_key:
            self.sure = secrecy(self.word)
            self.is_annotated = bool(self.sure)
        else:
            self.sure = Secrecy.NONE

    def separates(self, sign: str) -> None:
        """Forget the name at the end of an argument, an element or a statement."""
        self.is_annotated = False
        self.keyword = ""
        if sign == "," and not self.bracket and not self.values:
            self.targets.append(secrecy(self.word))
        elif sign != ",":
            self.targets, self.values = [], []
        self.sure = self.values.pop(0) if self.values else self.around
        self.is_direct = not self.around


class _Masker:
    def __init__(self, text: str) -> None:
        self.text = text
        self.frames = [_Frame()]
        self.parts: list[str] = []
        self.done = 0
        self.before = ""
        self.deeper = 0
        self.unclosed: dict[str, int] = {}

    def masked(self) -> str:
        place, text = 0, self.text
        while found := _TOKEN.search(text, place):
            place = found.end()
            kind = found.lastgroup
            if kind == "quote":
                place = self._quoted(found["quote"], place)
            elif kind == "name":
                self.frames[-1].word, self.frames[-1].is_key = found[0], False
                self.before = "name"
            elif kind == "comment":
                self._replace(found.start() + 1, place, _inner(text[found.start() + 1 : place]))
            elif found[0] in {"!", "%"} and (end := self._end_of_command(found.start())):
                self._replace(found.start(), end, mask_plain(text[found.start() : end]))
                place = end
            else:
                self._sign(found[0])
        self.parts.append(text[self.done :])
        return "".join(self.parts)

    def _quoted(self, quote: str, begin: int) -> int:
        """Read a literal, and return the position of the next token."""
        # In an unterminated literal, escaped quotes do not begin another one either.
        if begin <= self.unclosed.get(quote, 0):
            return begin
        body = _BODIES[quote].match(self.text, begin)
        end = begin if body is None else body.end()
        if not self.text.startswith(quote, end):
            self.unclosed[quote] = end
            return begin
        self._literal(begin, end)
        return end + len(quote)

    def _end_of_command(self, begin: int) -> int:
        """Return the end of a command of a shell or of IPython; 0 if there is none."""
        text = self.text
        line = text.rfind("\n", 0, begin) + 1
        if (
            not _COMMAND.match(text, begin)
            or len(self.frames) > 1
            or not _BEFORE_COMMAND.fullmatch(text, line, begin)
            or text.endswith("\\\n", 0, line)
        ):
            return 0
        if not _CELL_OF_PYTHON.match(text, begin):
            end = text.find(_NEXT_CELL, begin)
            return len(text) if end < 0 else end
        end = text.find("\n", begin)
        while end > 0 and text[end - 1] == "\\":
            end = text.find("\n", end + 1)
        return len(text) if end < 0 else end

    def _replace(self, begin: int, end: int, by: str) -> None:
        if self.text[begin:end] != by:
            self.parts += (self.text[self.done : begin], by)
            self.done = end

    def _literal(self, begin: int, end: int) -> None:
        frame = self.frames[-1]
        value = self.text[begin:end]
        is_second = frame.bracket in {"(", "["} and frame.first is not None and self.before == ","
        sure, is_direct = frame.sure, frame.is_direct
        if frame.keyword == "default":
            sure, is_direct = frame.around if frame.first is None else secrecy(frame.first), True
        elif frame.callee in _LOGINS and not frame.sure:
            sure, is_direct = Secrecy.PERHAPS, False
        elif self.before == "," and frame.is_key and frame.word.startswith("-"):
            sure = secrecy(frame.word)  # the words of a command
        elif not sure and is_second and frame.first is not None:
            sure, is_direct = secrecy(frame.first), False
        is_secret = sure and is_secret_in_code(value, sure if is_direct else Secrecy.PERHAPS)
        is_secret = is_secret and (is_direct or looks_random(value))
        if frame.keyword in {"name", "key"} and not is_secret:
            frame.named = secrecy(value)
        is_word = frame.program or value in PROGRAM_NAMES or "/" in value
        masked = self._masked_word(frame, value) if is_word and not is_secret else None
        by = masked or (MASK if is_secret else _inner(value))
        if "\n" in value and by.count("\n") != value.count("\n"):
            by = compiled(r"\S[^\r\n]*").sub(MASK, value)  # the number of lines does not change
        self._replace(begin, end, by)
        if frame.first is None:
            frame.first = value
        frame.word, frame.is_key = value[-100:], True
        self.before = "literal"

    def _masked_word(self, frame: _Frame, value: str) -> str | None:
        """Return a masked word of a command in a list; None if it is no secret."""
        if frame.bracket not in {"(", "["}:
            return None
        options = PROGRAMS.get(frame.program)
        option = frame.word if frame.is_key and self.before == "," else ""
        frame.program = known_program(value, frame.program, option)
        if options is None:
            return None
        masked = masked_value(value, option, options)
        if masked is None:
            masked = masked_option(value, options)
        if (options.is_first and masked) or value.startswith(options.sources):
            frame.program = ""
        return masked

    def _sign(self, sign: str) -> None:
        frame = self.frames[-1]
        if sign in "([{":
            self._open(frame, sign)
        elif sign in _PAIRS:
            self._close(sign)
        elif sign in {"=", ":=", "+=", "==", "!="}:
            frame.equals(sign)
        elif sign == ":":
            frame.colon()
        elif sign in {",", ";"} or (sign == "\n" and len(self.frames) == 1):
            frame.separates(sign)
        if sign != "\n":
            self.before = sign

    def _open(self, frame: _Frame, bracket: str) -> None:
        # In `x = ("a" "b")` the bracket contains the value; in `x = f("a")` it does not.
        is_direct = frame.is_direct and self.before not in {"name", ")", "]", "literal"}
        sure = Secrecy.NONE if bracket == "{" else frame.sure
        if len(self.frames) < _DEEPEST:
            callee = frame.word if bracket == "(" and self.before == "name" else ""
            inner = _Frame(bracket, sure, is_direct=is_direct, callee=callee)
            if bracket == "{" and self.before in {":", "="}:
                inner.name = frame.word
            self.frames.append(inner)
        else:
            self.deeper += 1

    def _close(self, bracket: str) -> None:
        if self.deeper:
            self.deeper -= 1
        elif len(self.frames) > 1:
            inner = self.frames.pop()
            if bracket == "]" and inner.first is not None:
                outer = self.frames[-1]
                is_nested = inner.first == "key" and outer.is_key
                outer.word = f"{outer.word}.key" if is_nested else inner.first[-100:]
                outer.is_key = True


def _inner(text: str) -> str:
    """Mask the text of a literal or a comment."""
    return mask_plain(text) if len(text) > 7 else text  # noqa: PLR2004 - no secret with its name


def mask_python(text: str) -> str:
    """Return Python source with the secrets in its literals and comments masked."""
    return _Masker(mask_keys(text)).masked()
