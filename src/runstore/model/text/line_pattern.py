"""Needle: a text or a regular expression to search lines for."""

from __future__ import annotations

from runstore.errors import UsageError
from runstore.model.query.patterns import Regex
from runstore.model.text.required_literals import Needed, needed_by_regex, needed_by_text

NEEDLE_LIMIT = 1_000
REGEX_TIME_S = 30.0
Span = tuple[int, int]


class Needle:
    """A text or a regular expression to search lines for.

    Attributes:
        text: The text of the query.
        needed: The texts that a match must contain, for an index.
        exact: A text that each match contains as it is, with the same case; empty for none.

    Args:
        text: A part of a line, or a regular expression.
        is_regexp: Whether it is a regular expression.
        ignores_case: Whether to ignore case, in any alphabet.
        time_s: Time limit of a regular expression over all lines, in seconds; None for 30.

    Raises:
        FilterError: It is not a valid regular expression.
        UsageError: It is empty, too long, or has several lines.
    """

    def __init__(
        self,
        text: str,
        *,
        is_regexp: bool = False,
        ignores_case: bool = False,
        time_s: float | None = None,
    ) -> None:
        _check(text)
        self.text = text
        self._ignores_case = ignores_case
        self._folded = text.casefold()
        self._regex: Regex | None = None
        self._is_of_a_line = True
        self.exact = "" if is_regexp or ignores_case else text
        if is_regexp:
            self._regex = Regex(
                text, ignores_case=ignores_case, time_s=REGEX_TIME_S if time_s is None else time_s
            )
            parsed = needed_by_regex(text, ignores_case=ignores_case)
            self.needed: Needed = parsed.needed
            self._is_of_a_line = parsed.is_of_a_line
        else:
            self.needed = needed_by_text(text)

    def may_be_in(self, text: str) -> bool:
        """Check many lines at once; True if any may match, so that each must be checked.

        Raises:
            FilterError: The expression took too long.
        """
        if self._regex is not None:
            return not self._is_of_a_line or self._regex.is_found_in(text)
        return self._folded in text.casefold() if self._ignores_case else self.text in text

    def may_be_in_bytes(self, data: bytes) -> bool:
        """Check stored lines, with times and colours, in the same way but faster."""
        if b"\x1b" in data:
            return True
        is_exact = not self._ignores_case and "\ufffd" not in self.text  # marks invalid bytes
        if self._regex is None and is_exact:
            return self.text.encode(errors="replace") in data
        return True

    def spans(self, line: str) -> tuple[Span, ...]:
        """Return the begin and end of each match in a line; empty if there is none.

        Raises:
            FilterError: The expression took too long over all lines.
        """
        if self._regex is not None:
            return tuple(self._regex.spans(line))
        if not self._ignores_case:
            return tuple(_spans(line, self.text))
        folded = line.casefold()
        found = _spans(folded, self._folded)
        if not found or len(folded) == len(line):
            return tuple(found)
        # A character such as ß folds to two: map positions back to the line.
        places = [at for at, one in enumerate(line) for _ in one.casefold()]
        return tuple((places[begin], places[end - 1] + 1) for begin, end in found)


def _check(text: str) -> None:
    if not text:
        raise UsageError("The text to search for is empty.")
    if "\n" in text:
        raise UsageError(
            "The text to search for has several lines, and lines are searched one by one.",
            hint="Search for one of its lines.",
        )
    if len(text) > NEEDLE_LIMIT:
        raise UsageError(
            f"The text to search for has {len(text):,} characters; the limit is {NEEDLE_LIMIT:,}.",
            hint="Search for a part of it.",
        )


def _spans(text: str, part: str) -> list[Span]:
    found, at = [], text.find(part)
    while at >= 0:
        found.append((at, at + len(part)))
        at = text.find(part, at + len(part))
    return found
