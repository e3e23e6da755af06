"""Needle: what is looked for in lines, plain or as a regular expression."""

from __future__ import annotations

from runstore.errors import UsageError
from runstore.model.query.patterns import Regex
from runstore.model.text.required_literals import Needed, needed_by_regex, needed_by_text

NEEDLE_LIMIT = 1_000
REGEX_TIME_S = 30.0
Span = tuple[int, int]


class Needle:
    """What a line has to hold.

    Attributes:
        text: As it was asked for.
        needed: What a text has to hold that has such a line; for an index.

    Args:
        text: A part of a line, or a regular expression.
        is_regexp: Which of both.
        ignores_case: Whether capitals are small letters, of any alphabet.
        time_s: Seconds that a regular expression may take, in all lines together; None for 30.

    Raises:
        FilterError: It is no regular expression.
        UsageError: It is empty, too long, or of several lines.
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
        """Tell at once of many lines whether one may hold it; True when only a look can tell.

        Raises:
            FilterError: The expression took too long.
        """
        if self._regex is not None:
            return not self._is_of_a_line or self._regex.is_found_in(text)
        return self._folded in text.casefold() if self._ignores_case else self.text in text

    def may_be_in_bytes(self, data: bytes) -> bool:
        """Tell the same, more quickly, of lines as they are kept, with times and colours."""
        if b"\x1b" in data:
            return True
        is_exact = not self._ignores_case and "\ufffd" not in self.text  # that of broken bytes
        if self._regex is None and is_exact:
            return self.text.encode(errors="replace") in data
        return True

    def spans(self, line: str) -> tuple[Span, ...]:
        """Return where it is in a line: begins and ends; nothing where it is not.

        Raises:
            FilterError: The expression took too long, in all lines together.
        """
        if self._regex is not None:
            return tuple(self._regex.spans(line))
        if not self._ignores_case:
            return tuple(_spans(line, self.text))
        folded = line.casefold()
        found = _spans(folded, self._folded)
        if not found or len(folded) == len(line):
            return tuple(found)
        # A letter such as ß folds to two: back to the letters of the line.
        places = [at for at, one in enumerate(line) for _ in one.casefold()]
        return tuple((places[begin], places[end - 1] + 1) for begin, end in found)


def _check(text: str) -> None:
    if not text:
        raise UsageError("There is nothing to look for: the text is empty.")
    if "\n" in text:
        raise UsageError(
            "A line holds no line's end, so no line can hold this text.",
            hint="Look for one line of it.",
        )
    if len(text) > NEEDLE_LIMIT:
        raise UsageError(
            f"A text to look for has at most {NEEDLE_LIMIT:,} characters, not {len(text):,}.",
            hint="A part of it finds the same lines.",
        )


def _spans(text: str, part: str) -> list[Span]:
    found, at = [], text.find(part)
    while at >= 0:
        found.append((at, at + len(part)))
        at = text.find(part, at + len(part))
    return found
