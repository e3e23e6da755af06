"""The grammar of filters: what is one, its tree, and the place and hint of a mistake.

The grammar is written a second time here, for a parser library, and both read the same texts.
"""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runstore.errors import FilterError
from runstore.model.query.grammar import Mistake, Token, Tree, tree_of
from runstore.model.query.parse import parse_query

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
KEYWORDS = {
    "AND", "OR", "NOT", "IN", "IS", "ORDER", "BY", "ASC", "DESC", "WORD", "NOTHING", "COMPARES",
    "VERSION", "DATE", "QUANTITY", "NUMBER", "STRING", "NAME", "PART", "BACKTICKED",
}  # fmt: skip
PIECES = [
    "params", "lr", "not", "and", "or", "in", "is", "order by", "order", "by", "asc", "desc",
    "like", "ilike", "contains", "missing", "null", "none", "NOT", "And", "oRdEr  bY", "notes",
    "nota", "in-a", "or/b", "=", "==", "!=", "<>", "<=", "<", ">", "~", "!~", "(", ")", "[", "]",
    ",", ".", "0.1", "-1", "+.5e3", "1_000", "nan", "inf", "-inf", "infx", "nan-x", "10 s", "3d",
    "2 min", "2026-11-26", "2026-11", "2026-11-26T10:30", "2026-11-26T10:30:00.5+01:00",
    "2026-1126", "10:30", "1.2.3", "1.2.3rc1+cu118", "3.10", "007", "1e999", "'it''s'", '"a""b"',
    "'open", '"', "`val/acc`", "`", "val/acc", "a-b", "a:b@c+d", "ünï", "Ⅷ", "²", "x²", "#", "\\",
    "\t", "\n", "\x1f", "\u3000", " ", "", "mnist#-1", "9ff9", "params.lr < 0.1",
    "status = 'error'",
    "params['a b'][0].`c`", "(a = 1 or b = 2)", "not (", "a in (1, 'b', c)", "a is not missing",
]  # fmt: skip
CLAUSES = [
    "params.lr < 0.1", "status = 'error'", "a in (1, 'b', c)", "a is not missing",
    "a not like 'b%'",
    "params['a b'][0].`c` ~ x", "(a = 1 or b = 2)", "not started > 2026-11-26", "a <> 10 s",
]  # fmt: skip
conditions = st.lists(
    st.tuples(
        st.sampled_from(CLAUSES), st.sampled_from([" and ", "or", " OR not ", ") and (", " "])
    ),
    min_size=1,
    max_size=6,
).map(lambda parts: "".join(word for part in parts for word in part) + "tags.a = 1")
texts = conditions | st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).flatmap(
    lambda pieces: st.sampled_from([" ", ""]).map(lambda space: space.join(pieces))
)


@pytest.fixture(scope="module")
def library():
    """The same grammar, read by a library."""
    lark = pytest.importorskip("lark")
    return lark.Lark(GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=True)


def by_library(library, text):
    """Return the tree in our form, or the place of the mistake."""
    from lark.exceptions import UnexpectedInput

    def ours(part):
        if part is None:
            return None
        if hasattr(part, "data"):
            kept = map(ours, part.children)
            if part.data == "start":
                kept = (one for one in kept if not isinstance(one, Token) and one is not None)
                return Tree("start", with_condition(tuple(kept)))
            return Tree(str(part.data), tuple(kept))
        return Token(part.type, str(part), part.start_pos)

    try:
        return ours(library.parse(text))
    except UnexpectedInput as error:
        is_end = getattr(getattr(error, "token", None), "type", "") == "$END"
        return len(text.rstrip()) if is_end else error.pos_in_stream


def with_condition(parts):
    """Return the parts of the whole, the first of which is its condition or None."""
    return parts if parts[:1] and parts[0].rule != "key" else (None, *parts)


def by_us(text):
    try:
        return tree_of(text)
    except Mistake as mistake:
        return mistake.at


@given(texts)
@example("(a = 1) and (not b is none or c in (1, 2)) order by a desc, metrics.loss.last")
@example("order by lr desc, metrics.loss.last")
@example("a = 1 order by order")
@example("(a = 1 order by b)")
@example("not not a is null")
@example("not = 1")
@example("order = 1")
@example("a not is missing")
@example("notes = 'an open text")
def test_both_readings_of_a_text_agree(library, text):
    if text.strip():
        assert by_us(text) == by_library(library, text)


def test_the_grammar_of_the_library_knows_all_that_is_read(library):
    """Neither of the two has a kind of token that the other lacks."""
    named = {one.name for one in library.terminals if one.name in KEYWORDS}

    assert named == KEYWORDS
    assert named <= set(re.findall(r"[A-Z]+", GRAMMAR))


@pytest.mark.parametrize(
    ("text", "at", "what", "hint"),
    [
        (
            "params.lr",
            9,
            "ends too early",
            "Expected: = != < <= > >= ~, not, in, is missing, is not missing, like, ilike, contai",
        ),
        (
            "params.lr >",
            11,
            "ends too early",
            "a name, a text in quotes, a number, a date, a vers",
        ),
        ("params.lr > 1 status", 14, "cannot be understood", "Expected: and, or, order by."),
        ("(a = 1", 6, "ends too early", "Expected: and, or, )."),
        ("a in (1", 7, "ends too early", "Expected: ), a comma."),
        ("a is 5", 5, "cannot be understood", "Expected: not, missing."),
        ("order by a desc b", 16, "cannot be understood", "Expected: a comma."),
        ("a = 1 and  ", 9, "ends too early", "Expected: not, a name, (."),
        ("= 1", 0, "cannot be understood", "Expected: not, order by, a name, (."),
        ("a = 1 && b = 2", 6, "cannot be understood", "Write 'and' instead of '&&'."),
        ("a = 1 | b = 2", 6, "cannot be understood", "Write 'or' instead of '|'."),
        ("a => 1", 3, "cannot be understood", "Write '>=' instead of '=>'."),
        ("!a = 1", 0, "cannot be understood", "Write 'not' instead of '!'."),
    ],
)
def test_a_mistake_shows_its_place_and_what_may_stand_there(text, at, what, hint):
    with pytest.raises(FilterError) as raised:
        parse_query(text)

    assert what in raised.value.what
    assert raised.value.what.endswith(f"\n  {' ' * at}^")
    assert hint in raised.value.hint


def test_brackets_within_each_other_are_limited():
    deep = 100

    assert parse_query("(" * deep + "run_number = 1" + ")" * deep).fields()
    with pytest.raises(FilterError, match="100 nested brackets"):
        parse_query("(" * (deep + 1) + "run_number = 1" + ")" * (deep + 1))


def test_a_long_filter_is_read():
    text = " or ".join(f"(run_number = {number})" for number in range(200))

    assert len(parse_query(text).where.parts) == 200
