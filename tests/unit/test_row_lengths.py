"""How much rows hold: the texts and bytes among their cells, whatever stands in them."""

import sqlite3

import pytest

from runstore.storage import rows, stored_runs


@pytest.mark.parametrize(
    ("row", "length"),
    [
        ((), 0),
        ((1, None, 0.5), 0),
        (("abc",), 3),
        ((1, "abc", None, b"1234", ""), 7),
        (("ünï", "😀", 2**60), 4),
        ((rows.TOO_LONG, "ab"), 2),
    ],
)
def test_texts_and_bytes_are_counted(row, length):
    assert rows.length_of_texts(row) == length
    assert rows.length_of_texts(list(row)) == length


def test_rows_of_any_kinds_are_counted():
    """More kinds than are remembered: each column may hold anything."""
    kinds = (1, 0.5, None, "ab", b"abc")
    for number in range(1000):
        row = tuple(kinds[number // 5**place % 5] for place in range(5))

        expected = sum(len(cell) for cell in row if isinstance(cell, (str, bytes)))
        assert rows.length_of_texts(row) == expected


def read(texts):
    return stored_runs._within_memory((number, text) for number, text in enumerate(texts))


def test_rows_of_a_sane_length_are_read(monkeypatch):
    monkeypatch.setattr(stored_runs, "LONGEST_READ", 10_000)

    assert read(["a" * 900] * 9) == list(enumerate(["a" * 900] * 9))


@pytest.mark.parametrize("letter", ["a", "é", "ж", "😀"])
def test_rows_that_are_too_long_together_are_refused(monkeypatch, letter):
    """Wide letters take more memory than narrow ones."""
    monkeypatch.setattr(stored_runs, "LONGEST_READ", 100_000)
    width = len((letter * 1001).encode("utf-32-le" if letter == "😀" else "utf-16-le")) // 1001
    width = 1 if letter in "aé" else width
    fits = 100_000 // width // 10 - 200

    assert len(read([letter * fits] * 10)) == 10
    with pytest.raises(sqlite3.DataError, match="too big"):
        read([letter * (fits + 400)] * 10)
