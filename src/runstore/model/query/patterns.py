"""Pattern matching with bounded time for any pattern."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from runstore.errors import FilterError, MissingExtraError, genuine
from runstore.value_classes import NamedTuple

PATTERN_LIMIT = 1_000
REGEX_TIME_S = 5.0
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_QUANTIFIERS = "*+{?"
_AT_ONCE_LIMIT = 4_000  # characters that a simple pattern scans in no time
# Each alternative within a group may double the paths to try.
_CHOICES_LIMIT = 8
# The library writes required repeats out: a million of them need 300 MB and some seconds.
_UNROLLED_LIMIT = 100_000
# A set, an escaped character, a repeat, the begin or end of a group, or a character.
_PART = re.compile(
    r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|\{(?P<repeats>\d+)(?:,\d*)?\}|(?P<begin>\()|(?P<end>\))|.",
    re.DOTALL,
)
T = TypeVar("T")


def lower_ascii(text: str) -> str:
    """Convert A to Z to lower case, as databases without a locale do."""
    return text.translate(_ASCII_LOWER)


@lru_cache(maxsize=256)
def like_parts(pattern: str) -> tuple[tuple[str, bool], ...]:
    r"""Return the characters of a `like` pattern, each with whether it is a wildcard.

    `%` is any text, `_` any character; a backslash escapes the next character.
    """
    parts, escaped = [], False
    for one in pattern:
        if escaped or one not in "%_\\":
            parts.append((one, False))
            escaped = False
        elif one == "\\":
            escaped = True
        else:
            parts.append((one, True))
    if escaped:
        parts.append(("\\", False))
    return tuple(parts)


def is_like(text: str, pattern: str, *, ignores_case: bool = False) -> bool:
    """Check whether a text matches a `like` pattern, in time proportional to their product."""
    if ignores_case:
        text, pattern = lower_ascii(text), lower_ascii(pattern)
    first, *others = _like_pieces(pattern)
    if not others:
        return first.fullmatch(text) is not None
    begin = first.match(text)
    end = len(text) - others[-1].length
    if begin is None or end < first.length or others[-1].match(text, end) is None:
        return False
    # Between the two ends, the first position of each piece leaves the most text for the next.
    at = first.length
    for piece in others[:-1]:
        found = piece.search(text, at, end)
        if found is None:
            return False
        at = found.end()
    return True


class _LikePiece(NamedTuple):
    """The part between two `%`: its length, and its compiled pattern."""

    length: int
    match: Callable[..., re.Match[str] | None]
    search: Callable[..., re.Match[str] | None]
    fullmatch: Callable[..., re.Match[str] | None]


@lru_cache(maxsize=256)
def _like_pieces(pattern: str) -> tuple[_LikePiece, ...]:
    pieces: list[list[str]] = [[]]
    for one, is_wild in like_parts(pattern):
        if is_wild and one == "%":
            pieces.append([])
        else:
            pieces[-1].append("." if is_wild else re.escape(one))
    made = []
    for piece in pieces:
        compiled = re.compile("".join(piece), re.DOTALL)
        made.append(_LikePiece(len(piece), compiled.match, compiled.search, compiled.fullmatch))
    return tuple(made)


class Regex:
    """A regular expression with a time limit.

    Attributes:
        refusal: The error, once all searches together took too long.

    Args:
        pattern: The expression, in the syntax of the `regex` library, a superset of `re`.
        ignores_case: Whether to ignore case.
        time_s: Time limit over all searches, in seconds.

    Raises:
        FilterError: It is too long, or invalid.
    """

    def __init__(
        self, pattern: str, *, ignores_case: bool = False, time_s: float = REGEX_TIME_S
    ) -> None:
        if len(pattern) > PATTERN_LIMIT:
            raise FilterError(
                f"The regular expression is longer than {PATTERN_LIMIT:,} characters."
            )
        self.pattern = pattern
        self._compiled = compiled(pattern, ignores_case=ignores_case)
        # A call without a time limit takes a tenth of the time; a single quantifier cannot blow
        # up.
        quantifiers = sum(map(pattern.count, _QUANTIFIERS))
        has_few_choices = quantifiers == 0 and pattern.count("|") <= _CHOICES_LIMIT
        self._is_simple = quantifiers <= 1 and ("(" not in pattern or has_few_choices)
        self._time_s = self._left_s = time_s
        self.refusal: FilterError | None = None

    def is_found_in(self, text: str) -> bool:
        """Check whether the expression matches anywhere in a text.

        Raises:
            FilterError: All searches of this expression together took too long.
        """
        if self._is_simple and len(text) < _AT_ONCE_LIMIT:
            return self._compiled.search(text) is not None
        found: object = self._timed(lambda left: self._compiled.search(text, timeout=left))
        return found is not None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the begin and end of each match in a text.

        Raises:
            FilterError: All searches of this expression together took too long.
        """
        find = self._compiled.finditer
        return self._timed(lambda left: [one.span() for one in find(text, timeout=left)])

    def _timed(self, work: Callable[[float], T]) -> T:
        begin = time.perf_counter()
        try:
            found = work(self._left_s)
        except genuine(TimeoutError):
            self._left_s = 0.0
        else:
            self._left_s -= time.perf_counter() - begin
        if self._left_s <= 0:
            self.refusal = FilterError(
                f"The regular expression {self.pattern!r:.60} took more than"
                f" {self._time_s:.0f} seconds.",
                hint="Simplify it: nested repetitions are slow.",
            )
            raise self.refusal
        return found


def unrolled_size(pattern: str) -> int:
    """Return the number of parts of an expression with all required repeats written out."""
    sizes, last, at = [0], 0, 0
    while at < len(pattern):
        found = _PART.match(pattern, at)
        if found is None:
            break
        at = found.end()
        if found["repeats"]:
            more = last * (int(found["repeats"]) - 1)
            last += more
        elif found["begin"]:
            sizes.append(0)
            continue
        elif found["end"] and len(sizes) > 1:
            more = last = sizes.pop()
        else:
            more = last = 1
        sizes[-1] += more
    return sum(sizes)


def compiled(pattern: str, *, ignores_case: bool = False) -> Any:
    """Return a regular expression of the `regex` library.

    Raises:
        FilterError: It is invalid.
        MissingExtraError: The library is not installed.
    """
    try:
        import regex
    except ImportError as error:
        raise MissingExtraError(
            "Regular expressions require the package regex, which is not installed.",
            hint="Install it with: pip install regex; or search for a plain text.",
        ) from error
    if (size := unrolled_size(pattern)) > _UNROLLED_LIMIT:
        raise FilterError(
            f"{pattern!r:.60} requires {size:,} repeats; the limit is {_UNROLLED_LIMIT:,}.",
            hint="Use + or * instead.",
        )
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignores_case else 0)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise FilterError(
            f"{pattern!r:.60} is not a valid regular expression: {error}."
        ) from error
