"""Metrics in the output of a program: lines that match a pattern, or lines of JSON.

A pattern is a line as the program prints it, with fields in braces, such as
`step {step}: loss {loss:.4f}`. The grammar is documented in `docs/guides/run-any-command.md`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from itertools import pairwise
from typing import Any

from runstore.errors import UsageError
from runstore.model.logged.values import to_float
from runstore.model.text.output import SEQUENCE
from runstore.user_warnings import warn
from runstore.value_classes import NamedTuple

JSON = "json"
_STEP = "step"
# Longer lines rarely report metrics, and are slow to search.
_LONGEST_LINE_BYTES = 1 << 12
_LONGEST_JSON_BYTES = 1 << 16
_DEEPEST = 8
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}|[{}]")
# A format of Python, as in the print statement of a program.
_FORMAT = re.compile(r"[^A-Za-z{}%]*[defgnEFG%]?")
_SPACES = re.compile(r"\s+")
_SPACES_OF_LINE = re.compile(rb"\s+")
_GAP = ".{0,200}?"
# Fortran writes 5.0D-03.
_DIGITS = r"[+-]?(?:\d(?:[_COMMA]?\d){0,40}\.?\d{0,40}|\.\d{1,40})(?:[eEdD][+-]?\d{1,5})?"
# A full stop behind a number such as `7.`, which has it already.
_STOP = r"(?:(?<=\d\.)|\.)"
_NO_NUMBER = r"[+-]?(?i:inf(?:inity)?|nan)"
# Or else it is a word such as `information`; not if the pattern has a letter there.
_NO_WORD = r"(?!\w)"
# Behind the last number of a match: it is a part of a longer one, such as 1,234.5 or 0x1f.
_GOES_ON = re.compile(rb"\d|[.,]\d|(?<=0)(?<![\d.]0)[xX][\da-fA-F]")
_COLOURS = re.compile(SEQUENCE.pattern.encode())

Values = dict[str, float]


class _Pattern(NamedTuple):
    """A pattern of one line.

    Attributes:
        text: As the user wrote it.
        regex: Finds it in a line whose white space is single spaces; group `f<n>` is field n.
        fields: Names of the fields, `step` among them.
        percents: Whether a field is a percentage, which is written with a sign.
        literal: A part that each matching line has.
        ends_in_number: Whether a match ends with a number.
    """

    text: str
    regex: re.Pattern[bytes]
    fields: tuple[str, ...]
    percents: tuple[bool, ...]
    literal: bytes
    ends_in_number: bool


def compiled(text: str) -> _Pattern:
    """Return a pattern that can be searched for.

    Raises:
        UsageError: It has no field, a field twice, or a format that is not for numbers.
    """
    tokens = _tokens(text)
    fields = [(token.name, token.form) for token in tokens if token.kind is _Kind.NUMBER]
    names = tuple(name for name, _ in fields)
    if not names:
        raise _wrong(text, "it has no field, such as {loss}")
    if len(set(names)) < len(names):
        raise _wrong(text, "it has a field twice")
    words = [word for one in tokens if one.kind is _Kind.TEXT for word in one.name.split(" ")]
    return _Pattern(
        text,
        re.compile(_expression(tokens).encode()),
        names,
        tuple(form.endswith("%") for _, form in fields),
        max(words, key=len, default="").encode(),
        tokens[-1].kind is _Kind.NUMBER and not tokens[-1].form.endswith("%"),
    )


class _Kind(Enum):
    TEXT = "text"
    NUMBER = "number"
    GAP = "gap"


class _Token(NamedTuple):
    """A part of a pattern: a text, the name and format of a number, or a gap."""

    kind: _Kind
    name: str = ""
    form: str = ""


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    literal, place = "", 0
    for found in _FIELD.finditer(text):
        literal += text[place : found.start()]
        place = found.end()
        name, form = found[1], found[2] or ""
        if found[0] in {"{{", "}}"}:
            literal += found[0][0]
            continue
        if name is None or not _FORMAT.fullmatch(form):
            raise _wrong(text, f"{found[0]!r} is not a field of a number")
        tokens += _text(literal)
        literal = ""
        tokens.append(_Token(_Kind.NUMBER, name, form) if name else _Token(_Kind.GAP))
    return tokens + _text(literal + text[place:])


def _text(literal: str) -> list[_Token]:
    return [_Token(_Kind.TEXT, _SPACES.sub(" ", literal))] if literal else []


def _expression(tokens: Sequence[_Token]) -> str:
    """Return the regular expression of a pattern.

    Each number, and each gap up to the number or text behind it, matches in one way only: no line
    takes long to search.
    """
    pairs = pairwise(tokens)
    expressions = _Expressions(
        {one.name for one, after in pairs if after.name[:1].isalpha() and after.kind is _Kind.TEXT}
    )
    parts: list[str] = []
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        part = expressions.of(token)
        if token.kind is _Kind.GAP:
            following = _following(rest)
            del rest[: len(following)]
            inner = "".join(map(expressions.of, following))
            # A gap at an end of the pattern matches anything.
            part = expressions.once(f"{_GAP}{inner}") if inner and parts else inner
        elif not parts:
            part = _not_within_a_word(token) + part
        parts += [part] if part else []
    return "".join(parts)


def _following(rest: Sequence[_Token]) -> Sequence[_Token]:
    """Return the tokens that end a gap: a text, a number, or a text with a number."""
    count = 0
    while count < len(rest) and rest[count].kind is _Kind.TEXT:
        count += 1
    has_number = count < len(rest) and rest[count].kind is _Kind.NUMBER
    return rest[: count + has_number]


def _not_within_a_word(first: _Token) -> str:
    """Return the condition for the start of a match: `loss` is not a part of `val_loss`."""
    if first.kind is _Kind.NUMBER:
        return r"(?<![\w.])"
    return r"(?<![\w/.-])" if re.match(r"\w", first.name) else ""


class _Expressions:
    """Regular expressions of tokens; groups `f0`, `f1` … are the numbers.

    Args:
        before_letters: Names of the numbers that a letter of the pattern follows.
    """

    def __init__(self, before_letters: Collection[str]) -> None:
        self._before_letters = before_letters
        self._fields = self._groups = 0
        self._follows_digits = False

    def of(self, token: _Token) -> str:
        """Return the expression of a token; empty for a gap, which depends on its end."""
        follows_digits, self._follows_digits = self._follows_digits, False
        if token.kind is _Kind.TEXT and follows_digits and token.name.startswith("."):
            return _STOP + re.escape(token.name[1:])
        if token.kind is _Kind.TEXT:
            return re.escape(token.name)
        if token.kind is _Kind.GAP:
            return ""
        name = f"f{self._fields}"
        self._fields += 1
        digits = _DIGITS.replace("COMMA", "," if "," in token.form else "")
        sign = " ?%" if token.form.endswith("%") else ""
        self._follows_digits = not sign
        end = "" if token.name in self._before_letters else _NO_WORD
        return rf" ?(?=(?P<{name}>{digits}|{_NO_NUMBER}{end}))(?P={name}){sign}"

    def once(self, expression: str) -> str:
        """Return an expression that is not tried again in another way.

        Source: `re`, Python 3.11: `(?>...)`, which 3.10 does not have.
        """
        name = f"a{self._groups}"
        self._groups += 1
        return f"(?=(?P<{name}>{expression}))(?P={name})"


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(
        f"--metrics {text!r:.200} is not a pattern: {why}.",
        kept="Nothing was recorded.",
        hint="Write for example: --metrics 'step {step}: loss {loss}', or --metrics json",
    )


class MetricLines:
    """Looks for metrics in the output of a command, line by line.

    Args:
        patterns: Patterns, or `json`.
        log: Logs values of one step; a step of None counts on.

    Raises:
        UsageError: A pattern is wrong.
    """

    def __init__(
        self, patterns: Sequence[str], log: Callable[[Values, int | None], object]
    ) -> None:
        self._reads_json = JSON in patterns
        self._patterns = [compiled(text) for text in patterns if text != JSON]
        self._log = log
        self._waiting: dict[str, bytes] = {}
        self._step: int | None = None
        self._missing = set(patterns)
        # By the text of a pattern: a field and a number that it would cut short; the count.
        self._longer: dict[str, tuple[str, str, int]] = {}

    def feed(self, stream: str, data: bytes) -> None:
        """Log the metrics of the lines that are complete now; output may be cut anywhere."""
        data = self._waiting.pop(stream, b"") + data
        end = data.rfind(b"\n") + 1
        # Of a longer line only its end can be a report: a progress bar rewrites it.
        self._waiting[stream] = data[end:][-_LONGEST_JSON_BYTES:]
        self._look(data[:end])

    def end(self) -> None:
        """Look at the last lines, and warn of patterns that no line matched."""
        for rest in self._waiting.values():
            self._look(rest)
        self._waiting.clear()
        for text, (name, number, count) in sorted(self._longer.items()):
            lines = "1 line was" if count == 1 else f"{count:,} lines were"
            warn(
                f"{lines} not logged by --metrics {text!r:.200}, because of numbers such as"
                f" {number!r}. For thousands separators, write: {{{name}:,}}"
            )
        for text in sorted(self._missing - self._longer.keys()):
            what = "was a JSON object with numbers" if text == JSON else "matched"
            warn(f"No line of the output {what}: --metrics {text!r:.200} logged nothing.")

    def _look(self, data: bytes) -> None:
        if not self._reads_json and not any(one.literal in data for one in self._patterns):
            return
        for line in data.split(b"\n"):
            if line:
                self._look_at(line)

    def _look_at(self, line: bytes) -> None:
        if b"\r" in line:  # the state in which a progress bar was left
            line = line.rstrip(b"\r").rpartition(b"\r")[2]
        if b"\x1b" in line:
            line = _COLOURS.sub(b"", line)
        values: Values = {}
        step: int | None = None
        if self._reads_json and len(line) <= _LONGEST_JSON_BYTES:
            values, step = _of_json(line)
            if values:
                self._missing.discard(JSON)
        if len(line) <= _LONGEST_LINE_BYTES and self._patterns:
            line = _SPACES_OF_LINE.sub(b" ", line)
            for pattern in self._patterns:
                found = pattern.regex.search(line) if pattern.literal in line else None
                if found is not None and self._is_whole(pattern, found, line):
                    self._missing.discard(pattern.text)
                    step = _take(pattern, found, values, step)
        if values:
            self._log(values, self._step if step is None else step)
        elif step is not None:
            self._step = step  # of the lines that follow

    def _is_whole(self, pattern: _Pattern, found: re.Match[bytes], line: bytes) -> bool:
        """Check that the last number of a match does not go on behind it."""
        if not (pattern.ends_in_number and _GOES_ON.match(line, found.end())):
            return True
        begin = found.start(f"f{len(pattern.fields) - 1}")
        number = line[begin:].split()[0].decode(errors="replace")
        before = self._longer.get(pattern.text, (pattern.fields[-1], f"{number:.40}", 0))
        self._longer[pattern.text] = *before[:2], before[2] + 1
        return False


def _take(
    pattern: _Pattern, found: re.Match[bytes], values: Values, step: int | None
) -> int | None:
    """Take the values of a match, and return the step."""
    for place, (name, is_percent) in enumerate(zip(pattern.fields, pattern.percents, strict=True)):
        digits = found[f"f{place}"].replace(b",", b"").rstrip(b"_")
        number = float(digits.lower().replace(b"d", b"e"))
        if name != _STEP:
            values[name] = number / 100 if is_percent else number
        elif number.is_integer():
            step = int(number)
    return step


def _of_json(line: bytes) -> tuple[Values, int | None]:
    """Return the numbers of a JSON object, or of a mapping as Python prints it, and its step."""
    text = line.strip()
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return {}, None
    found: Any = None
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
    if found is None:
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            found = ast.literal_eval(text.decode())
    if not isinstance(found, dict):
        return {}, None
    values = dict(_numbers(found, ""))
    step = values.pop(_STEP, None)
    return values, int(step) if step is not None and step.is_integer() else None


def _numbers(found: Mapping[Any, Any], start: str, depth: int = 0) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a mapping; inner mappings have names such as `train/loss`."""
    for key, value in found.items():
        name = f"{start}{key}"
        if isinstance(value, Mapping) and depth < _DEEPEST:
            yield from _numbers(value, f"{name}/", depth + 1)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, to_float(value)
