"""Metrics in the output of a program: lines that match a pattern, or lines of JSON.

A pattern is a line as the program prints it, with fields in braces, such as
`step {step}: loss {loss:.4f}`. The grammar is documented in `docs/guides/run-any-command.md`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from runstore.errors import UsageError
from runstore.model.text.output import SEQUENCE
from runstore.user_warnings import warn

JSON = "json"
_STEP = "step"
# Longer lines rarely report metrics, and are slow to search.
_LONGEST_LINE_BYTES = 1 << 12
_LONGEST_JSON_BYTES = 1 << 16
_GAPS_AT_MOST = 3
_DEEPEST = 8
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}|[{}]")
# A format of Python, as in the print statement of a program.
_FORMAT = re.compile(r"[^A-Za-z{}%]*[defgnEFG%]?")
_WORD = re.compile(r"\s+")
_GAP = ".{0,200}?"
_DIGITS = r"[+-]?(?:\d[\d_{comma}]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NO_NUMBER = r"[+-]?(?i:inf(?:inity)?|nan)"
_COLOURS = re.compile(SEQUENCE.pattern.encode())

Values = dict[str, float]


class _Pattern(NamedTuple):
    """A pattern of one line.

    Attributes:
        text: As the user wrote it.
        regex: Finds it in a line; group n is field n.
        fields: Names of the fields, `step` among them.
        percents: Whether a field is a percentage, which is written with a sign.
        literal: A part that each matching line has.
    """

    text: str
    regex: re.Pattern[bytes]
    fields: tuple[str, ...]
    percents: tuple[bool, ...]
    literal: bytes


def compiled(text: str) -> _Pattern:
    """Return a pattern that can be searched for.

    Raises:
        UsageError: It has no field, a field twice, or a format that is not for numbers.
    """
    parts: list[str] = []
    literals: list[str] = [""]
    fields: list[str] = []
    percents: list[bool] = []
    gaps = place = 0
    for found in _FIELD.finditer(text):
        literals[-1] += text[place : found.start()]
        place = found.end()
        if found[0] in {"{{", "}}"}:
            literals[-1] += found[0][0]
            continue
        name, form = found[1], found[2] or ""
        if name is None or not _FORMAT.fullmatch(form) or name in fields:
            raise _wrong(text, f"{found[0]!r} is not a field of a number, or is there twice")
        parts.append(_GAP if not name else _number(form))
        gaps += not name
        if name:
            fields.append(name)
            percents.append(form.endswith("%"))
        literals.append("")
    literals[-1] += text[place:]
    if not fields:
        raise _wrong(text, "it has no field, such as {loss}")
    if gaps > _GAPS_AT_MOST:
        raise _wrong(text, f"it has more than {_GAPS_AT_MOST} gaps")
    regex = _escaped(literals[0])
    for part, literal in zip(parts, literals[1:], strict=True):
        regex += part + _escaped(literal)
    if re.match(r"\w", literals[0]):
        regex = rf"(?<![\w/.-]){regex}"  # `loss` is not a part of `val_loss`
    words = [word for literal in literals for word in _WORD.split(literal)]
    longest = max(words, key=len, default="")
    return _Pattern(
        text, re.compile(regex.encode()), tuple(fields), tuple(percents), longest.encode()
    )


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(
        f"--metrics {text!r:.200} is not a pattern: {why}.",
        kept="Nothing was recorded.",
        hint="Write for example: --metrics 'step {step}: loss {loss}', or --metrics json",
    )


def _number(form: str) -> str:
    digits = _DIGITS.replace("{comma}", "," if "," in form else "")
    sign = r"\s?%" if form.endswith("%") else ""
    return rf"\s*({digits}|{_NO_NUMBER}){sign}"


def _escaped(literal: str) -> str:
    """Return the expression for a literal; any white space matches any other."""
    return r"\s+".join(map(re.escape, _WORD.split(literal)))


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

    def feed(self, stream: str, data: bytes) -> None:
        """Log the metrics of the lines that are complete now.

        Args:
            stream: `stdout` or `stderr`.
            data: New output; cut anywhere.
        """
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
        for text in sorted(self._missing):
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
        if len(line) <= _LONGEST_LINE_BYTES:
            for pattern in self._patterns:
                if pattern.literal in line and (found := pattern.regex.search(line)):
                    self._missing.discard(pattern.text)
                    step = _take(pattern, found, values, step)
        if values:
            self._log(values, self._step if step is None else step)
        elif step is not None:
            self._step = step  # of the lines that follow


def _take(
    pattern: _Pattern, found: re.Match[bytes], values: Values, step: int | None
) -> int | None:
    """Take the values of a match, and return the step."""
    for name, is_percent, text in zip(
        pattern.fields, pattern.percents, found.groups(), strict=True
    ):
        number = float(text.replace(b",", b""))
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
            with suppress(OverflowError):
                yield name, float(value)
