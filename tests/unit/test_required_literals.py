"""What a text has to hold to match: never more than it does hold, and enough to be of use."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstore.errors import FilterError
from runstore.model.query.patterns import Regex, is_like
from runstore.model.text.line_pattern import Needle
from runstore.model.text.required_literals import (
    Every,
    fold,
    needed_by_like,
    needed_by_regex,
    needed_by_text,
)

EXAMPLES = settings().max_examples  # as many as the profile tries, or some times as many
letters = st.sampled_from(
    [*"abiIkKsSßİ\u0131\u017f\u212a%_.*\\x0é", "\ufb05", "CUDA", "oom", " ", "\0", "\n", "🚀"]
)
texts = st.lists(letters, max_size=12).map("".join)


def is_there(needed, text):
    """Tell whether a folded text holds what is needed."""
    if isinstance(needed, str):
        return needed in text
    parts = [is_there(part, text) for part in needed.parts]
    return all(parts) if isinstance(needed, Every) else any(parts)


def literals(needed):
    """Return the texts that are needed, in no order that matters."""
    if isinstance(needed, str):
        return [needed]
    return [text for part in needed.parts for text in literals(part)]


@given(text=texts, part=texts)
def test_what_a_text_holds_it_holds_folded(text, part):
    assert fold(part) in fold(f"{text}{part}{text}")
    assert is_there(needed_by_text(part), fold(f"{text}{part}{text}"))


@settings(max_examples=EXAMPLES * 3)
@given(text=texts, pattern=texts, ignores_case=st.booleans())
def test_a_text_that_is_like_a_pattern_holds_what_is_needed(text, pattern, ignores_case):
    if is_like(text, pattern, ignores_case=ignores_case):
        assert is_there(needed_by_like(pattern), fold(text))


def slowly_like(text, pattern):
    """The meaning of `like` in its simplest form, without escapes."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(slowly_like(text[at:], pattern[1:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in {"_", text[0]} and slowly_like(text[1:], pattern[1:])


@settings(max_examples=EXAMPLES * 5)
@given(text=st.text("ab\n.", max_size=9), pattern=st.text("ab%_\n.", max_size=7))
def test_like_means_what_it_says(text, pattern):
    assert is_like(text, pattern) == slowly_like(text, pattern)


PIECES = st.sampled_from(
    [
        "abc", "a", "i", "ss", "ß", ".", "\\.", "\\w", "\\b", "^", "$", "\\Z", "[ab]", "[^a]",
        "(abc|xyz)", "(?:ab)+", "(?i:abc)", "(?i)", "(?x) ", "a{2,3}", "a{2}", "(ab){0,2}", "x*",
        "x+?", "a?", "(?=a)", "(?!b)", "(?<=a)", "(a)\\1", "|", "{e<=1}", "(?:abc){e<=1}",
        "[[:alpha:]]", "\\p{L}", "(?>a|ab)", "(a", ")", "(((", "K", "k", "\\n", "c(?#d)e",
        "\\{", "[{]",
    ]
)  # fmt: skip
expressions = st.lists(PIECES, min_size=1, max_size=5).map("".join)
subjects = st.lists(
    st.sampled_from(
        ["abc", "ABC", "xyz", "a", "aab", "İ", "\u0131", "ss", "ß", "\u212a", "k", "\n", " ", "b"]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=EXAMPLES * 8)
@given(pattern=expressions, text=subjects, ignores_case=st.booleans())
def test_a_text_that_matches_holds_what_the_expression_needs(pattern, text, ignores_case):
    try:
        regex = Regex(pattern, ignores_case=ignores_case)
    except FilterError:
        return  # no expression at all
    parsed = needed_by_regex(pattern, ignores_case=ignores_case)

    if regex.is_found_in(text):
        assert is_there(parsed.needed, fold(text))
    if parsed.is_of_a_line and any(map(regex.is_found_in, text.split("\n"))):
        assert regex.is_found_in(text)


@pytest.mark.parametrize(
    ("pattern", "needed"),
    [
        ("CUDA (out|error) of", ["cuda out", "cuda error", " of"]),
        ("nan|inf", ["nan", "inf"]),
        ("loss: (nan|inf)$", ["loss: nan", "loss: inf"]),
        (r"loss 0\.0{3}", ["loss 0.000"]),
        ("ab+c", ["ab", "c"]),
        (r"\bToken\b.*limit", ["token", "limit"]),
        (r'\{"loss"', ['{"loss"']),
        ("[ab]cd?e", ["c", "e"]),
        ("a.*", ["a"]),
        (".*", []),
        ("(?:foo){e<=1}", []),
        ("[[:alpha:]]xyz", []),
        ("((((a{4}){4}){4}){4}){4}", ["aaaa"]),
    ],
)
def test_words_of_an_expression_are_found(pattern, needed):
    assert literals(needed_by_regex(pattern).needed) == needed


def test_ascii_letters_match_what_folds_like_them():
    """The library's own idea of case agrees with the index, for all letters that are used."""
    import regex

    everything = "".join(
        map(chr, (n for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000))
    )
    like_letters = "".join(regex.findall(r"[\x00-\x7f]", everything, regex.IGNORECASE))
    for letter in (chr(n) for n in range(128)):
        if letter not in "iI\n":
            same = regex.findall(regex.escape(letter), like_letters, regex.IGNORECASE)
            assert {fold(one) for one in same} == {fold(letter)}


# Needles


@pytest.mark.parametrize(
    ("text", "line", "ignores_case", "found"),
    [
        ("nan", "loss nan, nan", False, ["nan", "nan"]),
        ("aa", "aaaa", False, ["aa", "aa"]),
        ("NaN", "loss nan", False, []),
        ("NaN", "loss nan", True, ["nan"]),
        ("STRASSE", "die Straße.", True, ["Straße"]),
        ("s", "ß", True, ["ß", "ß"]),
        ("ß", "SS", True, ["SS"]),
        ("ﬁ", "FILE", True, ["FI"]),
        ("i\u0307x", "İX", True, ["İX"]),
        ("é", "e\u0301", False, []),  # letters as they are written
        ('" * AND NEAR(', 'x" * AND NEAR(1', False, ['" * AND NEAR(']),
        ("🚀", "to 🚀 and", False, ["🚀"]),
        ("\udcff", "\ufffd", False, []),
    ],
)
def test_a_plain_needle_is_found_where_it_is(text, line, ignores_case, found):
    needle = Needle(text, ignores_case=ignores_case)

    assert [line[begin:end] for begin, end in needle.spans(line)] == found
    assert needle.may_be_in(f"before\n{line}") == bool(found)
    assert needle.may_be_in_bytes(line.encode(errors="replace")) or not found


@settings(max_examples=EXAMPLES * 3)
@given(text=texts.filter(lambda text: text and "\n" not in text), before=texts, after=texts)
def test_a_needle_is_found_whatever_is_around_it(text, before, after):
    line = f"{before}{text}{after}".replace("\n", " ")
    for ignores_case in (False, True):
        needle = Needle(text, ignores_case=ignores_case)
        spans = needle.spans(line.swapcase() if ignores_case and line.isascii() else line)

        assert spans
        assert all(0 <= begin < end <= len(line) for begin, end in spans)
        assert is_there(needle.needed, fold(line))
