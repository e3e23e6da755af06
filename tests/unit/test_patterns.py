"""Patterns: what a regular expression needs of a text, and what it takes to be tried."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.model.text.required_literals import needed_text

# Pieces of expressions, sound and broken ones.
SIGNS = r"a b c 1 - _ # \. \d \b [ab] [^a] . ^ $ * + ? {2} {1,} (ab) (a|bc) ( ) | [ ]a] { } \\"
PIECES = st.sampled_from([*SIGNS.split(" "), "(?:a)", "(?i)", r"\x61", "{e<=1}"])


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
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
    ],
)
def test_the_text_that_an_expression_needs_is_read_from_it(pattern, needed):
    assert needed_text(pattern) == needed


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
