"""Prefilters of texts in SQL: conditions that the text of every match fulfils.

The server compares a simplified form of the bytes: without escape sequences, with ASCII letters in
lower case, and with an octal number for each byte above ASCII, so that invalid UTF-8 and the
collation of the database do not matter. The texts that pass are checked on this machine.
"""
# ruff: noqa: S608 - nothing but constants of this file, and marks of parameters, are put into SQL

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from runstore.model.text.required_literals import Every, Needed, Some
from runstore.model.values import clean_text

# Characters whose fold contains ASCII letters; a test compares them with Python's.
FOLDED_TO_ASCII = (
    "\xdf\u0130\u0149\u017f\u01f0\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u212a"
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
# The last character that has another case.
_LAST_CASED = 0x1E943
_LITERAL_AT_MOST = 1_000
# pg_trgm takes letters and digits alone, which numbers of bytes are as well.
_TRIGRAM = re.compile("[a-z0-9]{3}")
# Escape sequences as `model/text/output.py` removes them; a backslash is two in this form.
_SEQUENCES = r"\e\[[0-9;:?]*[ -/]*([@-Z[]|\\\\|[]^-~])|\e\][^\x07\e\n]*(\x07|\e\\\\)"


def _quoted(text: str) -> str:
    # This form of a string does not depend on `standard_conforming_strings`.
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _escaped(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode())


def _simplified(text: str) -> str:
    """Return the simplified form of the column `text` as SQL."""
    folded = f'lower({text} COLLATE "C")'
    for one in FOLDED_TO_ASCII:
        fold = "".join(c if c.isascii() else _escaped(c) for c in one.casefold())
        folded = f"replace({folded}, {_quoted(_escaped(one))}, {_quoted(fold)})"
    is_ascii = f"strpos({text}, {_quoted(chr(92))}) = 0"
    return f'CASE WHEN {is_ascii} THEN lower({text} COLLATE "C") ELSE {folded} END'


def _plain(text: str) -> str:
    has_none = f"strpos({text}, {_quoted(chr(27))}) = 0"
    plain = f"regexp_replace({text} COLLATE \"C\", {_quoted(_SEQUENCES)}, '', 'g')"
    return f"CASE WHEN {has_none} THEN {text} ELSE {plain} END"


# The bytes of a row `p` of contents. A part begins with the end of the one before, so that no line
# is cut. The empty text makes the server fetch the contents once.
PRINTED_BODY = """CASE p.part WHEN 0 THEN p.body || ''::bytea ELSE coalesce((
        SELECT substring(q.body FROM greatest(1, octet_length(q.body) - 65535)) || p.body
        FROM object_parts q WHERE q.digest = p.digest AND q.part = p.part - 1
    ), p.body) END"""


def simplified_in(rows: str, *, is_printed: bool) -> str:
    """Return SQL for rows with the simplified form of their bytes, as the table `t`.

    The rows have the columns `id`, `part`, `size` and `body`; output is searched without escape
    sequences.
    """
    # OFFSET 0 makes the server compute each step once.
    plain = _plain("e.text") if is_printed else "e.text"
    return f"""(
        SELECT s.id, s.part, s.size, {_simplified("s.text")} AS text FROM (
            SELECT e.id, e.part, e.size, {plain} AS text FROM (
                SELECT b.id, b.part, b.size, encode(b.body, 'escape') AS text
                FROM ({rows}) b
                WHERE {{raw}} OFFSET 0
            ) e OFFSET 0
        ) s OFFSET 0
    ) t"""


class Prefilter:
    """A condition on the column `t.text` that the texts of all matches fulfil.

    Attributes:
        strict: The condition on a text that contains a whole match, as SQL; None for none.
        loose: The condition on one of several texts that contain a match together; None for none.
        has_trigrams: Whether an index of trigrams finds both.
        raw: A condition on the bytes `b.body` that is faster; `true` for none.

    Args:
        needed: The folded texts that a match must contain.
        exact: A text that a match must contain with the same case; empty for none.
    """

    def __init__(self, needed: Needed, exact: str = "") -> None:
        self._values: dict[str, object] = {}
        self.raw = self._of_bytes(exact)
        self.strict = self._of(needed)
        loose = _one_of_each(needed)
        self.loose = self._of(loose)
        self.has_trigrams = _has_trigrams(needed) and _has_trigrams(loose)

    @property
    def parameters(self) -> Mapping[str, object]:
        """The values of the parameters, by name."""
        return self._values

    def _of_bytes(self, exact: str) -> str:
        if not exact or "\ufffd" in clean_text(exact):  # for invalid bytes
            return "true"
        self._values |= {"exact": exact.encode(), "escape": b"\x1b"}
        return (
            "(b.body IS NULL OR position(:exact IN b.body) > 0 OR position(:escape IN b.body) > 0)"
        )

    def _of(self, needed: Needed) -> str | None:
        if isinstance(needed, str):
            return self._of_literal(needed)
        parts = [self._of(part) for part in needed.parts]
        asked = [part for part in parts if part is not None]
        if isinstance(needed, Every):
            return f"({' AND '.join(asked)})" if asked else None
        if len(asked) < len(parts):
            return None
        return f"({' OR '.join(asked)})" if asked else "false"

    def _of_literal(self, literal: str) -> str | None:
        pattern, is_regex = pattern_of(literal)
        if not pattern:
            return None
        name = f"text_{len(self._values)}"
        self._values[name] = pattern
        return f"t.text {'~' if is_regex else '~~'} :{name}"


def _one_of_each(needed: Needed) -> Needed:
    """Return requirements on one text if the others may be in other texts."""
    if isinstance(needed, str):
        return needed
    parts = tuple(_one_of_each(part) for part in needed.parts)
    if isinstance(needed, Some) or not parts:
        return Some(parts) if isinstance(needed, Some) else needed
    return max(parts, key=_precision)


def _has_trigrams(needed: Needed) -> bool:
    if isinstance(needed, str):
        return _TRIGRAM.search(pattern_of(needed)[0]) is not None
    parts = map(_has_trigrams, needed.parts)
    return any(parts) if isinstance(needed, Every) else all(parts)


def _precision(needed: Needed) -> int:
    """Return the length of the shortest text that fulfils requirements, roughly."""
    if isinstance(needed, str):
        return len(needed)
    lengths = [_precision(part) for part in needed.parts]
    return max(lengths, default=0) if isinstance(needed, Every) else min(lengths, default=99)


def pattern_of(literal: str) -> tuple[str, bool]:
    """Return the pattern of simplified texts that contain a folded text; empty if all may.

    Also whether it is a regular expression instead of one for LIKE.
    """
    pieces = [_sources(one) for one in literal[:_LITERAL_AT_MOST]]
    if not any(pieces):
        return "", False
    if all(len(piece) < 2 for piece in pieces):  # noqa: PLR2004 - one way to write it
        texts = ("".join(piece) for piece in pieces)
        like = "".join(re.sub(r"([\\%_])", r"\\\1", text) or "%" for text in texts)
        return f"%{like}%", False
    return "".join(_ways(piece) for piece in pieces), True


def _ways(sources: tuple[str, ...]) -> str:
    if not sources:
        return ".*"
    texts = [re.sub(r"([^A-Za-z0-9 ])", r"\\\1", one) for one in sources]
    return texts[0] if len(texts) == 1 else f"({'|'.join(texts)})"


@lru_cache(maxsize=512)
def _sources(folded: str) -> tuple[str, ...]:
    """Return all simplified forms of characters with this fold; empty if they are not known."""
    if folded.isascii():
        return ("\\\\",) if folded == "\\" else (folded,)
    sources, parts = _cases()
    if folded == "\ufffd" or folded in parts:  # for invalid bytes, or within a longer fold
        return ()
    return tuple(map(_escaped, (folded, *sources.get(folded, ()))))


@lru_cache(maxsize=1)
def _cases() -> tuple[Mapping[str, tuple[str, ...]], frozenset[str]]:
    """Return the other characters of each fold, and the characters of folds of several."""
    sources: dict[str, tuple[str, ...]] = {}
    parts: set[str] = set()
    for one in map(chr, range(0x80, _LAST_CASED + 1)):
        fold = one.casefold()
        if len(fold) > 1:
            parts.update(fold)
        elif fold != one:
            sources[fold] = (*sources.get(fold, ()), one)
    return sources, frozenset(parts)
