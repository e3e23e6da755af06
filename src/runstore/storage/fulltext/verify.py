"""Checks of the texts themselves: whether a run's match a filter, and which lines do.

The index finds candidates; these checks decide. They are called from within a statement, for one
run after the other, newest first, and only until there are enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from runstore.model.query.evaluate import holds
from runstore.model.query.patterns import like_parts
from runstore.model.query.tree import Compare, Op
from runstore.model.text.line_pattern import Needle
from runstore.model.text.matches import ERROR, NOTES, OUTPUT, TRACEBACK, FoundLine
from runstore.model.text.output import OutputLine, plain_text
from runstore.model.text.required_literals import (
    NOTHING,
    Needed,
    Some,
    needed_by_like,
    needed_by_regex,
    needed_by_text,
)
from runstore.storage.files.output import line_in
from runstore.storage.fulltext.candidates import Document, TextCandidates
from runstore.storage.fulltext.index import FIELD_NUMBERS
from runstore.storage.fulltext.pieces import texts_in
from runstore.storage.fulltext.run_texts import Piece, RunTexts
from runstore.value_classes import replace


class Check:
    """A condition on the texts of a run that SQL cannot evaluate."""

    _candidates: TextCandidates | None
    _apart: set[int]

    def __call__(self, run_id: int) -> bool:
        """Check whether a run matches."""
        raise NotImplementedError

    def runs(self, at_most: int) -> set[int] | None:
        """Return the runs that may match; None if they may be many."""
        if self._candidates is None or len(self._apart) > at_most:
            return None
        found = self._candidates.runs(at_most)
        return None if found is None else found | self._apart


class OutputCheck(Check):
    """Check of a run's output against a comparison, without its negation."""

    def __init__(self, node: Compare, texts: RunTexts) -> None:
        self._node = replace(node, is_negated=False)
        self._texts = texts
        self._is_of_a_line = _is_of_a_line(node)
        self._apart = texts.apart | texts.live_runs
        self._candidates = texts.candidates(
            _needed(node),
            [OUTPUT],
            in_one_document=self._is_of_a_line,
            exact=str(node.value) if self._is_of_a_line and node.op is Op.CONTAINS else "",
        )

    def __call__(self, run_id: int) -> bool:
        """Check whether the output of a run matches."""
        if self._candidates is None or run_id in self._apart:
            return self._is_whole_text(run_id)
        documents = self._candidates.of_run(run_id)
        if not self._is_of_a_line:
            return bool(documents) and self._is_whole_text(run_id)
        if not documents:
            return False
        pieces = self._texts.output_pieces(run_id, documents)
        return any(holds(self._node, "\n".join(texts_in(piece.data))) for piece in pieces)

    def _is_whole_text(self, run_id: int) -> bool:
        text = self._texts.output_text(run_id)
        return text is not None and holds(self._node, text)


def _needed(node: Compare) -> Needed:
    """Return the texts that a match of a comparison must contain."""
    wanted = node.value
    if node.op is Op.IN:
        options = wanted if isinstance(wanted, tuple) else (wanted,)
        return Some(tuple(needed_by_text(str(one)) for one in options))
    if node.op in {Op.LIKE, Op.ILIKE}:
        return needed_by_like(str(wanted))
    if node.op is Op.MATCHES:
        return needed_by_regex(str(wanted)).needed
    return needed_by_text(str(wanted)) if node.op in {Op.CONTAINS, Op.EQUAL} else NOTHING


def _is_of_a_line(node: Compare) -> bool:
    """Check whether part of a single line decides: `contains 'x'`, `like '%x%'`."""
    text = str(node.value)
    if "\n" in text:
        return False
    if node.op in {Op.LIKE, Op.ILIKE}:
        parts, wild = like_parts(text), ("%", True)
        ends = parts[:1] == parts[-1:] == (wild,)
        return ends and len(parts) > 2 and not any(is_wild for _, is_wild in parts[1:-1])  # noqa: PLR2004 - both ends
    return node.op is Op.CONTAINS and bool(text)


class LineCheck(Check):
    """Search for the lines of runs that match a needle.

    Attributes:
        found: The matching lines by run, up to the limit and one more if there are more.

    Args:
        needle: The needle.
        fields: The fields to search, of `notes`, `error`, `traceback`, `output`.
        texts: The texts of the runs.
        lines: Maximum number of lines per run.
        context: Number of lines above and below.
    """

    def __init__(
        self,
        needle: Needle,
        fields: Sequence[str],
        texts: RunTexts,
        *,
        lines: int | None,
        context: int,
    ) -> None:
        self._needle = needle
        self._fields = fields
        self._texts = texts
        self._at_most = None if lines is None else lines + 1
        self._context = context
        self._candidates = texts.candidates(
            needle.needed, fields, in_one_document=True, exact=needle.exact
        )
        self._apart = texts.apart | texts.live_runs if OUTPUT in fields else texts.apart
        self.found: dict[int, list[FoundLine]] = {}

    def __call__(self, run_id: int) -> bool:
        """Check whether a run has matching lines, and keep them."""
        lines = list(islice(self._lines(run_id), self._at_most))
        if lines:
            self.found[run_id] = lines
        return bool(lines)

    def _lines(self, run_id: int) -> Iterator[FoundLine]:
        documents: Sequence[Document] | None = None
        if self._candidates is not None and run_id not in self._texts.apart:
            documents = self._candidates.of_run(run_id)
        yield from self._of_texts(run_id, documents)
        if OUTPUT in self._fields:
            number = FIELD_NUMBERS[OUTPUT]
            if documents is not None:
                documents = [one for one in documents if one.field == number]
            yield from self._of_output(run_id, documents)

    def _of_texts(self, run_id: int, documents: Sequence[Document] | None) -> Iterator[FoundLine]:
        fields = [one for one in (NOTES, ERROR, TRACEBACK) if one in self._fields]
        if documents is not None:
            there = {one.field for one in documents}
            fields = [one for one in fields if FIELD_NUMBERS[one] in there]
        if not fields:
            return
        texts = dict(
            zip((NOTES, ERROR, TRACEBACK), self._texts.notes_and_errors(run_id), strict=True)
        )
        seen: set[str] = set()
        for field in fields:
            for line in self._in_text(field, texts[field] or ""):
                # A traceback ends with the error.
                if field != TRACEBACK or line.text not in seen:
                    yield line
                if field == ERROR:
                    seen.add(line.text)

    def _in_text(self, field: str, text: str) -> Iterator[FoundLine]:
        if not text or not self._needle.may_be_in(text):
            return
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            spans = self._needle.spans(line)
            if spans:
                before = lines[max(0, number - 1 - self._context) : number - 1]
                after = lines[number : number + self._context]
                yield FoundLine(field, number, line, spans, tuple(before), tuple(after))

    # Output

    def _of_output(self, run_id: int, documents: Sequence[Document] | None) -> Iterator[FoundLine]:
        if documents is not None and not documents and not self._texts.is_live(run_id):
            return
        files = self._texts.output_files(run_id)
        if self._context or len(files) > 1:
            yield from self._in_lines(self._texts.output_lines(run_id))
        else:
            yield from self._in_pieces(self._texts.output_pieces(run_id, documents))

    def _in_pieces(self, pieces: Iterable[Piece]) -> Iterator[FoundLine]:
        for piece in pieces:
            if not self._needle.may_be_in_bytes(piece.data):
                continue
            texts = texts_in(piece.data)
            if not self._needle.may_be_in("\n".join(texts)):
                continue
            for place, text in enumerate(texts):
                spans = self._needle.spans(text)
                if spans:
                    line = line_in(piece.data, place, of=len(texts))
                    yield _printed(line, piece.first_line + place, text, spans)

    def _in_lines(self, lines: Iterator[OutputLine]) -> Iterator[FoundLine]:
        """Yield matching lines with their context, reading ahead only as far as necessary."""
        width = self._context
        before: deque[str] = deque(maxlen=width)
        ahead: deque[OutputLine] = deque(islice(lines, width))
        number = 0
        while True:
            ahead.extend(islice(lines, 1))
            if not ahead:
                return
            line = ahead.popleft()
            number += 1
            text = plain_text(line.text)
            spans = self._needle.spans(text)
            if spans:
                after = tuple(plain_text(one.text) for one in ahead)
                found = _printed(line, number, text, spans)
                yield replace(found, before=tuple(before), after=after)
            before.append(text)


def _printed(
    line: OutputLine, number: int, text: str, spans: tuple[tuple[int, int], ...]
) -> FoundLine:
    return FoundLine(OUTPUT, number, text, spans, at=line.at, stream=line.stream)
