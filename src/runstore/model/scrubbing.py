"""Secrets to remove from a store: given texts, a pattern, or matches of today's rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from runstore.value_classes import dataclass, field

MASK = "***"
SHORTEST = 4
_LONG_LINE = 16
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)


class Wanted:
    """Given secrets, found in every form in which a store may contain them.

    Args:
        secrets: Texts; multi-line texts are also searched line by line.

    Attributes:
        needles: Texts of which every row with a secret contains one; None if any row may have one.
        reach: Maximum length of one occurrence, in bytes.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        lines = {
            line.strip()
            for secret in secrets
            for line in secret.splitlines()
            if "\n" in secret and len(line.strip()) >= _LONG_LINE
        }
        forms = {form for secret in {*secrets, *lines} for form in _forms(secret)}
        # The longest first, because one secret may begin with another.
        self.needles: tuple[str, ...] | None = tuple(sorted(forms, key=len, reverse=True))
        self._pattern = re.compile("|".join(map(re.escape, self.needles)))
        coded = sorted({code for form in forms for code in _codings(form)}, key=len, reverse=True)
        self._bytes = re.compile(b"|".join(map(re.escape, coded)))
        self.reach = max(map(len, coded))

    def masked(self, text: str) -> str:
        """Return a text without the secrets."""
        return self._pattern.sub(MASK, text)

    def masked_of(self, column: str) -> Callable[[str], str]:
        """Return the masking function for a column, such as `runs.error`."""
        del column
        return lambda text: masked_value(text, self.masked)

    def is_in(self, data: bytes) -> bool:
        """Check whether bytes contain a secret, in any of the usual encodings."""
        return self._bytes.search(data) is not None


class WantedPattern(Wanted):
    """Secrets that match a regular expression."""

    def __init__(self, pattern: str) -> None:
        self.needles = None
        self._pattern = re.compile(pattern)
        self._bytes = re.compile(pattern.encode(errors="surrogateescape"))  # bytes as typed
        self.reach = 1 << 12

    def is_in(self, data: bytes) -> bool:
        """Check whether bytes contain a match, in ASCII or UTF-16."""
        return super().is_in(data) or (b"\0" in data and super().is_in(data.replace(b"\0", b"")))


class WantedByRules(Wanted):
    """Secrets found by the rules that mask newly recorded texts.

    `by_column` masks the texts of columns of another kind.
    """

    def __init__(
        self, mask: Callable[[str], str], by_column: Mapping[str, Callable[[str], str]]
    ) -> None:
        self.needles = None
        self.reach = 0
        self._mask = mask
        self._by_column = by_column

    def masked_of(self, column: str) -> Callable[[str], str]:
        """Return the masking function for a column."""
        return self._by_column.get(column) or super().masked_of(column)

    def masked(self, text: str) -> str:
        """Return a text as it would be recorded today."""
        return self._mask(text)

    def is_in(self, data: bytes) -> bool:
        """Return False: saved files are left to their user."""
        del data
        return False


def _forms(secret: str) -> set[str]:
    """Return the forms of a secret: as text, in JSON, in JSON within JSON, and in a URL."""
    once = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    twice = {json.dumps(one)[1:-1] for one in once}
    return {secret, quote(secret, safe=""), *once, *twice}


def _codings(form: str) -> set[bytes]:
    found = set()
    for coding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
        try:
            found.add(form.encode(coding))
        except UnicodeEncodeError:
            continue
    return found


def masked_value(text: str, masked: Callable[[str], str]) -> str:
    """Return a stored text with secrets masked; JSON is otherwise left verbatim."""
    if text[:1] not in {"{", "["}:
        return masked(text)

    def of_token(found: re.Match[str]) -> str:
        token = found[0]
        if token[0] != '"':
            return token if masked(token) == token else f'"{MASK}"'
        try:
            before = json.loads(token, strict=False)
        except ValueError:
            return masked(token)
        # Captured texts are JSON within JSON.
        after = masked_value(before, masked)
        return token if after == before else json.dumps(after, ensure_ascii=token.isascii())

    after = _JSON_TOKEN.sub(of_token, text)
    # Text that only begins like JSON may contain a secret between its tokens.
    return after if after != text or _is_json(text) else masked(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Place:
    """A place with secrets.

    Attributes:
        what: The table and column, the artifact, or the file.
        fate: Outcome: `masked`, `replaced`, `removed` or `left`.
        count: Number of rows or files.
        note: Details, such as new digests or the reason that it is left.
    """

    what: str
    fate: str
    count: int = 1
    note: str = ""


@dataclass(slots=True)
class Scrubbed:
    """The result of a scrub.

    Attributes:
        places: The places with secrets.
        is_dry: Whether nothing was changed.
    """

    places: list[Place] = field(default_factory=list)
    is_dry: bool = False

    @property
    def left(self) -> list[Place]:
        """Places that still contain secrets."""
        return [one for one in self.places if one.fate == "left"]

    def add(self, what: str, fate: str, count: int = 1, note: str = "") -> None:
        """Add a place."""
        self.places.append(Place(what, fate, count, note))
