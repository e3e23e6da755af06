"""Texts that are cut for a column of a table and still differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.cli.comparisons.lines import distinct_texts


def cut(texts, width):
    return [one if len(one) <= width else f"{one[: width - 1]}…" for one in texts]


def test_short_texts_stay_as_they_are():
    assert distinct_texts(("a", "b", "a"), 5) == ("a", "b", "a")


def test_words_that_long_texts_share_are_left_out():
    """An option stays with its value."""
    texts = [f"train.py --alpha 1e-4 --lr {lr} --hidden 64" for lr in ("0.1", "0.2")]

    assert distinct_texts(texts, 16) == ("… --lr 0.1 …", "… --lr 0.2 …")


def test_the_common_beginning_of_a_long_word_is_cut():
    texts = [f"/a/very/long/path/to/some/file_{name}.bin" for name in ("cat", "dog")]

    shown = distinct_texts(texts, 16)

    assert [one.partition("file_")[2] for one in shown] == ["cat.bin", "dog.bin"]
    assert all(one.startswith("…") for one in shown)


def test_texts_that_differ_at_several_places_show_each_place():
    """No sign that has to be looked up stands for a difference."""
    texts = [f"train.py --lr {lr} --data /home/somebody/data --seed {seed}"
             for lr in ("0.1", "0.2") for seed in (1, 2)]  # fmt: skip

    shown = cut(distinct_texts(texts, 24), 24)

    assert len(set(shown)) == 4
    assert not any("#" in one or "(" in one for one in shown)


def test_windows_that_look_the_same_are_numbered():
    texts = [f"{'a' * 50}{place * 'b'}{'a' * 50}" for place in (0, 1)] * 2

    shown = cut(distinct_texts(texts, 8), 8)

    assert len(set(shown)) == 2


@pytest.mark.parametrize("width", [6, 8, 20])
@given(texts=st.lists(st.text("ab", max_size=40), min_size=1, max_size=6, unique=True))
def test_different_texts_look_different(texts, width):
    assert len(set(cut(distinct_texts(texts, width), width))) == len(texts)
