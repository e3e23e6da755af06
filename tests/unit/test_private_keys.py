"""Private keys over several lines: their lines go, and all around them stays."""

import pytest

from runstore.capture.secrets.keys import mask_keys

# Put together here, so that no scanner takes this file for a leak.
BEGIN, END = "-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----"
LINE = "MIIEvQIBADANBgkqhkiG9w0B"
WORD = "abcdefghijklmnopqrstuvwx"  # a line of a key may look so; a word of code as well


def masked(*lines):
    return mask_keys("\n".join(lines)).split("\n")


@pytest.mark.parametrize("before", ["", "  ", "+", "-", " \t", "+    '", '"'])
def test_the_lines_of_a_key_go_and_its_marks_stay(before):
    after = "\\n'," if before.endswith("'") else ""

    assert masked("x = 1", BEGIN, before + LINE + after, before + LINE + after, END, LINE) == [
        "x = 1",
        BEGIN,
        before + "***" + after,
        before + "***" + after,
        END,
        LINE,
    ]


@pytest.mark.parametrize("line", [LINE, WORD, "A1", "ab+d", "=abcd", "Ab1=="])
def test_any_line_of_a_key_goes_where_its_end_is_near(line):
    assert masked(BEGIN, line, END) == [BEGIN, "***", END]
    assert masked(BEGIN, line, LINE, LINE, END) == [BEGIN, "***", "***", "***", END]


def test_the_end_of_an_earlier_key_says_nothing_of_the_next_line():
    found = masked(BEGIN, LINE, END, BEGIN, WORD, "f()")

    assert found == [BEGIN, "***", END, BEGIN, WORD, "f()"]


@pytest.mark.parametrize("line", [LINE, "a" * 15 + "1", "a" * 15 + "+", "a" * 15 + "/"])
def test_the_first_line_of_a_key_without_an_end_is_known_by_its_look(line):
    assert masked(BEGIN, line, LINE, "def f():", LINE) == [BEGIN, "***", "***", "def f():", LINE]


@pytest.mark.parametrize("line", [WORD, "a" * 14 + "1", "return", "pass", "raise_that(x)"])
def test_code_behind_a_mark_stays(line):
    assert masked(f"if text == '{BEGIN}':", line, LINE, LINE, LINE) == [
        f"if text == '{BEGIN}':",
        line,
        LINE,
        LINE,
        LINE,
    ]


def test_the_last_lines_of_a_key_may_be_words():
    assert masked(BEGIN, LINE, WORD, "ab", "", LINE, "x = 1", WORD) == [
        BEGIN,
        "***",
        "***",
        "***",
        "",
        "***",
        "x = 1",
        WORD,
    ]


def test_what_comes_before_a_key_stays():
    assert masked(LINE, WORD, BEGIN, LINE, END) == [LINE, WORD, BEGIN, "***", END]


def test_two_keys_are_two():
    assert masked(BEGIN, LINE, END, WORD, BEGIN, LINE, END) == [
        BEGIN,
        "***",
        END,
        WORD,
        BEGIN,
        "***",
        END,
    ]


@pytest.mark.parametrize(
    "header", ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES,0123", "Comment: mine", "X-Own: 7"]
)
def test_the_headers_of_a_key_go(header):
    assert masked(BEGIN, header, "", LINE, END) == [BEGIN, "***", "", "***", END]
    assert masked(BEGIN, header, *["x"] * 4) == [BEGIN, "***", *["x"] * 4], "its end is not near"


def test_a_key_of_putty_goes_with_its_hash():
    lines = ["PuTTY-User-Key-File-3: ssh-rsa", "Private-Lines: 2", LINE, LINE]

    assert masked(*lines, "Private-MAC: 0123456789abcdef", LINE) == [
        *lines[:2],
        "***",
        "***",
        "Private-MAC: ***",
        LINE,
    ]
    assert masked("Private-Lines: 2" + LINE, "x") == ["Private-Lines: 2***", "x"]


@pytest.mark.parametrize("between", [LINE, f"\\n{LINE}\\n{LINE}\\n"])
def test_a_key_on_one_line_goes(between):
    assert mask_keys(f"'{BEGIN}{between}{END}' x") == f"'{BEGIN}***{END}' x"


def test_line_ends_alone_are_no_key():
    text = f"'{BEGIN}" + "\\n" * 20 + f"{END}' x"

    assert mask_keys(text) == text


@pytest.mark.parametrize("text", [LINE, f"private key\n{LINE}", "BEGIN PUBLIC KEY\n" + LINE])
def test_a_text_without_a_mark_stays(text):
    assert mask_keys(text) == text
