"""The grammar of filters: parses a text to a tree of rules, without resolving names.

    query:      [condition] ["order" "by" key ("," key)*]
    condition:  both ("or" both)*
    both:       one ("and" one)*
    one:        "not" one | "(" condition ")" | comparison
    comparison: field sign value
              | field ["not"] ("like" | "ilike" | "contains") value
              | field ["not"] "in" "(" value ("," value)* ")"
              | field "is" ["not"] ("missing" | "null" | "none")
    key:        field ["asc" | "desc"]
    field:      name ("." part | "[" part "]")*

The parser is handwritten: importing a parser library and compiling this grammar took longer than
the rest of a search.
"""

from __future__ import annotations

import re
from functools import cache

from runstore.value_classes import NamedTuple

BRACKETS_LIMIT = 100
_WORD_END = r"(?![\w/-])"
# Patterns by kind of token. If several kinds match, the first one wins.
_SPELLINGS = {
    "NOT": "(?i:not)" + _WORD_END,
    "AND": "(?i:and)" + _WORD_END,
    "OR": "(?i:or)" + _WORD_END,
    "IN": "(?i:in)" + _WORD_END,
    "IS": "(?i:is)" + _WORD_END,
    "ORDER": r"(?i:order)(?=\s+(?i:by)" + _WORD_END + ")",
    "BY": "(?i:by)" + _WORD_END,
    "ASC": "(?i:asc)" + _WORD_END,
    "DESC": "(?i:desc)" + _WORD_END,
    "WORD": "(?i:contains|ilike|like)" + _WORD_END,
    "NOTHING": "(?i:missing|null|none)" + _WORD_END,
    "COMPARES": "==|=|!=|<>|<=|>=|<|>|!~|~",
    "LPAR": r"\(",
    "RPAR": r"\)",
    "LSQB": r"\[",
    "RSQB": r"\]",
    "COMMA": ",",
    "DOT": r"\.",
    "VERSION": r"\d+\.\d+(?:\.\d+)+(?:[\w.+-]*\w)?",
    "DATE": (
        r"\d{4}-\d{2}(?:-\d{2}(?:T\d{2}(?::\d{2}(?::[\d.]+)?)?(?:Z|[+-][\d:]{2,5})?)?)?(?![\w:-])"
    ),
    "QUANTITY": r"-?\d+(?:\.\d+)?\s?(?i:ms|sec|min|s|m|h|d|w)(?!\w)",
    "NUMBER": (r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w)|[+-]?inf(?!\w)|nan(?!\w)"),
    # `mnist#7`, `mnist#-1`, `mnist#7~b456`, a reference with such an ending, and a uid.
    "RUN": (
        r"[^\W\d][\w/-]*(?:#-?\d+(?:~[0-9a-f]{4,12})?|~[0-9a-f]{4,12})(?![\w/#~-])"
        r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])"
    ),
    "STRING": r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""",
    "NAME": r"[^\W\d][\w/-]*",
    "PART": r"\w[\w/@:+-]*",
    "BACKTICKED": "`[^`]+`",
}
# Names of tokens for users, in the order of a hint. Signs that continue a name are left out.
_EXPECTED = {
    "COMPARES": "= != < <= > >= ~",
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "IN": "in",
    "IS": "is missing, is not missing",
    "ORDER": "order by",
    "BY": "by",
    "ASC": "asc",
    "DESC": "desc",
    "WORD": "like, ilike, contains",
    "NOTHING": "missing",
    "NAME": "a name",
    "PART": "a name",
    "BACKTICKED": "a name",
    "STRING": "a text in quotes",
    "QUANTITY": "a number",
    "DATE": "a date",
    "VERSION": "a version",
    "NUMBER": "a number",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": "a comma",
    "RSQB": "]",
}
# Signs of programming languages, longer ones first, and what they are called here.
_SIGNS = {
    "&&": "and",
    "||": "or",
    "=>": ">=",
    "=<": "<=",
    "&": "and",
    "|": "or",
    "!": "not",
}
_VALUES = {
    "RUN": "bare",
    "VERSION": "unquoted",
    "DATE": "unquoted",
    "QUANTITY": "unquoted",
    "NUMBER": "number",
    "STRING": "string",
    "NAME": "bare",
}


class Mistake(Exception):  # noqa: N818 - a part of a FilterError that does not know the text yet
    """A mistake in a filter.

    Args:
        why: A sentence.
        at: The position in the text, from 0.
        hint: A suggestion.
        near: The probable intended name or word; empty if there is none.
    """

    def __init__(self, why: str, at: int, hint: str = "", near: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.at = at
        self.hint = hint
        self.near = near


class Token(NamedTuple):
    """A word or sign of a filter, and its position from 0."""

    kind: str
    text: str
    at: int


class Tree(NamedTuple):
    """A rule of the grammar with its parts.

    Attributes:
        rule: The name of the method of `Builder` for it.
        parts: Tokens, trees, and None for an omitted option.
    """

    rule: str
    parts: tuple[Token | Tree | None, ...]


def tree_of(text: str) -> Tree:
    """Parse a filter that is not empty.

    Raises:
        Mistake: The text is invalid; the hint lists the tokens allowed at the position.
    """
    return _Reader(text).query()


def kinds_after(text: str) -> tuple[frozenset[str], Tree | None]:
    """Return the kinds of tokens that may follow the start of a filter; none after a mistake.

    Returns:
        The kinds, and the field being compared, if any.
    """
    reader = _Reader(text)
    try:
        reader.query()
    except (Mistake, RecursionError):
        if reader.is_behind(len(text)):
            return reader.wanted, reader.compared
        return frozenset(), None
    return reader.wanted, None


@cache
def _pattern(kinds: tuple[str, ...]) -> re.Pattern[str]:
    some = "|".join(f"(?P<{kind}>{_SPELLINGS[kind]})" for kind in kinds)
    return re.compile(rf"(?:{some})\s*")


class _Reader:
    """Parses a filter from left to right; each method parses one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = len(text) - len(text.lstrip())
        self._open = 0
        self._wanted: set[str] = set()  # at the present position
        self.compared: Tree | None = None

    @property
    def wanted(self) -> frozenset[str]:
        """The kinds of tokens allowed at the present position."""
        return frozenset(self._wanted)

    def is_behind(self, at: int) -> bool:
        """Check whether everything up to a position was parsed."""
        return self._at >= at

    def query(self) -> Tree:
        order = self._next("ORDER")
        condition = None
        if order is None:
            condition = self._condition()
            order = self._next("ORDER")
        keys = []
        if order is not None:
            self._expect("BY")
            keys.append(self._key())
            while self._next("COMMA"):
                keys.append(self._key())
        if self._at < len(self._text):
            raise self._mistake()
        return Tree("start", (condition, *keys))

    def _condition(self) -> Tree:
        parts: list[Token | Tree] = [self._both()]
        while word := self._next("OR"):
            parts += word, self._both()
        return Tree("any", tuple(parts))

    def _both(self) -> Tree:
        parts: list[Token | Tree] = [self._one()]
        while word := self._next("AND"):
            parts += word, self._one()
        return Tree("all", tuple(parts))

    def _one(self) -> Tree:
        negations = []
        while word := self._next("NOT"):
            negations.append(word)
        bracket = self._next("LPAR")
        one = self._comparison() if bracket is None else self._bracketed(bracket)
        for word in reversed(negations):
            one = Tree("negation", (word, one))
        return one

    def _bracketed(self, bracket: Token) -> Tree:
        self._open += 1
        if self._open > BRACKETS_LIMIT:
            why = f"A filter has at most {BRACKETS_LIMIT} nested brackets."
            raise Mistake(why, bracket.at)
        inner = self._condition()
        self._expect("RPAR")
        self._open -= 1
        return inner

    def _comparison(self) -> Tree:
        field = self.compared = self._field()
        if sign := self._next("COMPARES"):
            return Tree("compare", (field, sign, self._value()))
        negation = self._next("NOT")
        if word := self._next("WORD"):
            return Tree("compare_word", (field, negation, word, self._value()))
        if word := self._next("IN"):
            return Tree("among", (field, negation, word, *self._values()))
        if negation is not None:
            raise self._mistake()
        word = self._expect("IS")
        return Tree("missing", (field, word, self._next("NOT"), self._expect("NOTHING")))

    def _values(self) -> list[Tree]:
        self._expect("LPAR")
        values = [self._value()]
        while self._next("COMMA"):
            values.append(self._value())
        self._expect("RPAR")
        return values

    def _value(self) -> Tree:
        token = self._expect(*_VALUES)
        return Tree(_VALUES[token.kind], (token,))

    def _key(self) -> Tree:
        self.compared = None
        return Tree("key", (self._field(), self._next("ASC", "DESC")))

    def _field(self) -> Tree:
        parts: list[Token | Tree] = [self._expect("NAME", "BACKTICKED")]
        while sign := self._next("DOT", "LSQB"):
            if sign.kind == "DOT":
                parts.append(Tree("dotted", (self._expect("PART", "BACKTICKED", "STRING"),)))
            else:
                parts.append(Tree("bracketed", (self._expect("PART", "STRING"),)))
                self._expect("RSQB")
        return Tree("field", tuple(parts))

    # Tokens

    def _next(self, *kinds: str) -> Token | None:
        """Return the next token if it is of one of these kinds, and advance; otherwise None."""
        found = _pattern(kinds).match(self._text, self._at)
        if found is None or found.lastgroup is None:
            self._wanted.update(kinds)
            return None
        token = Token(found.lastgroup, found.group(found.lastgroup), self._at)
        self._at = found.end()
        self._wanted.clear()
        return token

    def _expect(self, *kinds: str) -> Token:
        token = self._next(*kinds)
        if token is None:
            raise self._mistake()
        return token

    def _mistake(self) -> Mistake:
        is_end = self._at == len(self._text)
        why = "The filter ends too early." if is_end else "The filter cannot be understood here."
        words = dict.fromkeys(word for kind, word in _EXPECTED.items() if kind in self._wanted)
        hint = self._of_sign() or f"Expected: {', '.join(words)}."
        return Mistake(why, len(self._text.rstrip()) if is_end else self._at, hint)

    def _of_sign(self) -> str:
        """Return a hint if a sign of another language is here; its start may have been read."""
        for sign, word in _SIGNS.items():
            is_begun = len(sign) > 1 and self._text[: self._at + 1].endswith(sign)
            if is_begun or self._text.startswith(sign, self._at):
                return f"Write {word!r} instead of {sign!r}."
        return ""
