"""Patterns: what a regular expression needs of a text, and what it takes to be tried."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.errors import FilterError
from runstore.model.query.patterns import Regex, unrolled_size
from runstore.model.text.required_literals import needed_text

# Pieces of expressions, sound and broken ones.
SIGNS = r"a b c 1 - _ # \. \d \b [ab] [^a] . ^ $ * + ? {2} {1,} (ab) (a|bc) ( ) | [ ]a] { } \\"
PIECES = st.sampled_from([*SIGNS.split(" "), "(?:a)", "(?i)", r"\x61", "{e<=1}"])


NEEDED = [
    ("warm.p", "warm"),
    ("warm.?up", "warm"),
    ("(cold|hot) start", " start"),
    ("(ab)+c", "ab"),
    (r"\d+ epochs", " epochs"),
    (r"v1\.2", "v1.2"),
    ("abc*", "ab"),
    ("abc+", "abc"),
    ("abc{2}", "abcc"),
    ("a|bc", ""),
    ("warm(er|est)", "warme"),
    ("(one) cut|one more", "one "),
    ("(?i)warm", ""),
    ("(?i:w)arm", "arm"),
    ("(?x) w a r m  # spaces", "warm"),
    ("a{2,}b{0,3}c", "aa"),
    (r"[a--b]c", ""),
    ("(a(b))c", "abc"),
    ("(?:foo){e<=1}", ""),
    ("[[:alpha:]]x", ""),
    (r"\x41b", "Ab"),
    (r"\p{L}b", ""),
]


def test_the_text_that_an_expression_needs_is_read_from_it():
    assert [(pattern, needed_text(pattern)) for pattern, _ in NEEDED] == NEEDED


@given(pieces=st.lists(PIECES, max_size=6), text=st.text("abc1 -_#.\\{}", max_size=12))
def test_no_text_matches_that_lacks_what_is_needed(pieces, text):
    """A filter looks for the needed text first, and asks the expression only where it is."""
    import regex

    pattern = "".join(pieces)
    try:
        found = regex.search(pattern, text)
    except (regex.error, re.error):
        return  # no expression

    if found:
        assert needed_text(pattern) in text


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        ("a{3}b", 4),
        ("a{2,}b{1,99999999}", 3),
        (r"\{9}[{9}]{2}", 5),
        ("(a{10}b){10}{2}", 220),
        (r"[]{9}\]]{2}(?:x|y{3}){5}", 37),
        (")a{4})", 6),
        ("x{0}", 0),
    ],
)
def test_required_repeats_count(pattern, size):
    assert unrolled_size(pattern) == size


@pytest.mark.parametrize(
    "pattern", ["a{99999999}", "(ab){999999}", "((x{100}){100}){100}", "[a]{" + "9" * 900 + "}"]
)
def test_expressions_that_would_fill_the_memory_are_refused(pattern):
    with pytest.raises(FilterError, match="the limit is 100,000"):
        Regex(pattern)
