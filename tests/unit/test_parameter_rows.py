"""Parameter values as flat rows, for queries, and as one line, for lists."""

from __future__ import annotations

import enum
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
from hypothesis import given

import strategies
from runstore.model.params.build import parameter_set
from runstore.model.values import clean_text


class Colour(enum.Enum):
    RED = 1


@given(strategies.parameter_mappings)
def test_flat_rows_are_unique_and_every_engine_takes_them(values):
    rows = parameter_set(values).flat()

    keys = [key for key, _, _ in rows]
    assert len(keys) == len(set(keys))
    for key, number, text in rows:
        assert clean_text(key) == key
        assert number is None or number == number  # noqa: PLR0124 - NaN
        assert text is None or clean_text(text) == text


@given(strategies.parameter_mappings)
def test_preview_is_one_line_of_its_width(values):
    line = parameter_set(values).preview(40)

    assert len(line) <= 40
    assert len(line.splitlines()) <= 1


def test_flat_rows_of_every_kind():
    values = {
        "a": {"b": 1, "c.d": True, 5: "five"},
        "list": [1, {"x": "y"}],
        "long": list(range(33)),
        "empty": [[], {}],
        "none": None,
        "big": 2**60,
        "huge": 10**400,
        "nan": float("nan"),
        "minus": float("-inf"),
        "path": PurePosixPath("a/b"),
        "day": date(2026, 1, 2),
        "pause": timedelta(minutes=1, seconds=30),
        "half": Fraction(1, 2),
        "text": "a\0\ud800",
    }

    rows = {key: (number, text) for key, number, text in parameter_set(values).flat()}

    assert rows == {
        "a.b": (1, None),
        'a."c.d"': (1, "true"),
        "a[5]": (None, "five"),
        "list[0]": (1, None),
        "list[1].x": (None, "y"),
        "long": (None, str(list(range(33))).replace(" ", "")),
        "empty[0]": (None, "[]"),
        "empty[1]": (None, "{}"),
        "none": (None, None),
        "big": (2.0**60, str(2**60)),
        "huge": (float("inf"), str(10**400)),
        "nan": (None, "nan"),
        "minus": (float("-inf"), "-inf"),
        "path": (None, "a/b"),
        "day": (None, "2026-01-02"),
        "pause": (90, "0:01:30"),
        "half": (0.5, "1/2"),
        "text": (None, "a\ufffd\ufffd"),
    }


def test_keys_that_become_equal_when_cleaned_stay_two_rows():
    rows = parameter_set({"a\0": 1, "a\ufffd": 2}).flat()

    assert {key for key, _, _ in rows} == {"a\ufffd", "a\ufffd~2"}


def test_very_long_keys_are_shortened_in_rows_alone():
    values = {"k" * 10_000: 1, "k" * 9_999: 2}

    found = parameter_set(values)

    assert found.values == values
    assert [len(key) for key, _, _ in found.flat()] == [417, 417]


def test_preview_shows_what_fits():
    found = parameter_set({"lr": 0.1, "layers": 2, "path": Path("a/b"), "text": "z" * 99})

    assert found.preview(30) == "layers=2 lr=0.1 path=a/b …"
    assert found.preview(50) == "layers=2 lr=0.1 path=a/b text=zzzzzzzzzzzzzzzzzzz…"
    assert found.preview(16) == "layers=2 …"
    assert parameter_set({"lr": 0.1}).preview(6) == "lr=0.1"


def test_preview_shows_texts_in_the_place_of_tags():
    found = parameter_set(
        {"a": np.array([1, 2]), "b": [Path("x/y")], "c": {2, 1}, "d": {3: Colour.RED}, "e": True}
    )

    assert found.preview() == 'a=[1,2] b=["x/y"] c=[1,2] d={"3":"RED"} e=true'
