"""A query from its text: `params.lr > 0.01 and status = 'error' order by metrics.loss.last`.

The grammar is lark's; what a name means stands in `query_fields.py`. MLflow's filter strings are
a part of the language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any as AnyValue

from runstore.errors import FilterError
from runstore.model.query.build import Builder, Mistake
from runstore.model.query.tree import EVERYTHING, Query

TEXT_LIMIT = 10_000

GRAMMAR = r"""
start: [condition] [ORDER BY key ("," key)*]

?condition: both (OR both)*            -> any
?both: one (AND one)*                  -> all
?one: NOT one                          -> negation
    | "(" condition ")"
    | comparison

comparison: field COMPARES value       -> compare
    | field [NOT] WORD value           -> compare_word
    | field [NOT] IN "(" value ("," value)* ")" -> among
    | field IS [NOT] NOTHING           -> missing

key: field [ASC | DESC]

field: (NAME | BACKTICKED) accessor*
accessor: "." (PART | BACKTICKED | STRING)  -> dotted
    | "[" (PART | STRING) "]"          -> bracketed

value: STRING                          -> string
    | (DATE | VERSION | QUANTITY)      -> unquoted
    | NUMBER                           -> number
    | NAME                             -> bare

COMPARES: "==" | "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">" | "!~" | "~"
AND.2: /and(?![\w\/-])/i
OR.2: /or(?![\w\/-])/i
NOT.2: /not(?![\w\/-])/i
IN.2: /in(?![\w\/-])/i
IS.2: /is(?![\w\/-])/i
ORDER.2: /order(?=\s+by(?![\w\/-]))/i
BY.2: /by(?![\w\/-])/i
ASC.2: /asc(?![\w\/-])/i
DESC.2: /desc(?![\w\/-])/i
WORD.2: /(?:contains|ilike|like)(?![\w\/-])/i
NOTHING.2: /(?:missing|null|none)(?![\w\/-])/i
NAME: /[^\W\d][\w\/-]*/
PART: /\w[\w\/@:+-]*/
BACKTICKED: /`[^`]+`/
STRING: /'(?:[^']|'')*'|"(?:[^"]|"")*"/
DATE.3: /\d{4}-\d{2}(?:-\d{2}(?:T\d{2}(?::\d{2}(?::[\d.]+)?)?(?:Z|[+-][\d:]{2,5})?)?)?(?![\w:-])/
VERSION.4: /\d+\.\d+(?:\.\d+)+(?:[\w.+-]*\w)?/
QUANTITY.2: /\d+(?:\.\d+)?\s?(?:ms|sec|min|s|m|h|d|w)(?!\w)/i
NUMBER: /[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w)|[+-]?inf(?!\w)|nan(?!\w)/
%ignore /\s+/
"""

# What may stand at a place, in the words of a person.
_EXPECTED: Mapping[str, str] = {
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "IN": "in",
    "IS": "is missing",
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
    "COMPARES": "= != < <= > >= ~",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": ",",
    "DOT": ".",
    "LSQB": "[",
    "RSQB": "]",
}


def parse_query(text: str, *, now: datetime | None = None) -> Query:
    """Return the query that a text asks for.

    Args:
        text: The filter, the order, or both; empty for everything, the newest run first.
        now: What `3 days ago` counts from, aware; None for the present.

    Raises:
        FilterError: The text is no query; the message shows the place and what may stand there.
    """
    if len(text) > TEXT_LIMIT:
        raise FilterError(
            f"A filter has at most {TEXT_LIMIT:,} characters, not {len(text):,}.",
            hint="Ask in several steps.",
        )
    if not text.strip():
        return Query(text=text)
    from lark.exceptions import UnexpectedInput, VisitError

    builder = Builder(now)
    try:
        tree = _parser().parse(text)
        where, order = builder.transform(tree)
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    except VisitError as error:
        if not isinstance(error.orig_exc, Mistake):
            raise
        raise shown(text, error.orig_exc) from None
    except Mistake as mistake:
        raise shown(text, mistake) from None
    except RecursionError:
        raise FilterError("The filter is nested too deeply.") from None
    return Query(where or EVERYTHING, tuple(order), text)


@lru_cache(maxsize=1)
def _parser() -> AnyValue:
    from lark import Lark

    return Lark(GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=True)


def shown(text: str, mistake: Mistake) -> FilterError:
    """Return the error with the text and a caret under the place."""
    return FilterError(
        f"{mistake.why}\n{_pointed(text, mistake.at)}",
        hint=mistake.hint,
    )


def _pointed(text: str, at: int) -> str:
    """Return the line of a place, cut to what surrounds it, and a caret below."""
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[begin : len(text) if end < 0 else end].replace("\t", " ")
    at -= begin
    if at > _BEFORE:
        cut = at - _BEFORE
        line, at = "…" + line[cut + 1 :], _BEFORE
    return f"  {line[:_SHOWN]}\n  {' ' * at}^"


_BEFORE, _SHOWN = 60, 100


def _unexpected(text: str, error: AnyValue) -> FilterError:
    at = error.pos_in_stream if error.pos_in_stream is not None else len(text)
    expected: Sequence[str] = (
        getattr(error, "accepts", None) or getattr(error, "allowed", None) or error.expected or ()
    )
    words = list(dict.fromkeys(_EXPECTED[one] for one in _EXPECTED if one in set(expected)))
    is_end = (
        type(error).__name__ == "UnexpectedEOF"
        or getattr(getattr(error, "token", None), "type", "") == "$END"
    )
    if is_end:
        at = len(text.rstrip())
    what = "The filter ends too early." if is_end else "The filter cannot be understood here."
    hint = f"Here may stand: {', '.join(words)}." if words else ""
    return shown(text, Mistake(what, at, hint or "Texts stand in quotes."))
