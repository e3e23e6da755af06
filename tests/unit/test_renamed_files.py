"""Which files moved: the same contents first, and then what is half the same or more."""

import pytest

from runstore.analysis.compare import renames as module
from runstore.analysis.compare.file_versions import FileState
from runstore.analysis.compare.renames import renames

FILE, PROGRAM, LINK = "100644", "100755", "120000"


def state(text, mode=FILE):
    return FileState.of_text(text, mode)


def lines(*numbers):
    return "".join(f"line {number}\n" for number in numbers)


def moved(gone, come):
    """Return what moved, from contents by path."""
    versions = [
        {path: one if isinstance(one, FileState) else state(one) for path, one in version.items()}
        for version in (gone, come)
    ]
    return dict(renames(*versions))


def test_the_same_contents_are_one_file():
    assert moved({"a.py": "x\n"}, {"b.py": "x\n", "c.py": "y\n"}) == {"a.py": "b.py"}


def test_of_several_copies_each_is_taken_once_in_order():
    gone, come = {"a": "x\n", "b": "x\n", "c": "x\n"}, {"m": "x\n", "n": "x\n"}

    assert moved(gone, come) == {"a": "m", "b": "n"}


def test_empty_files_are_alike_anyway():
    assert moved({"a/__init__.py": ""}, {"b/__init__.py": ""}) == {}


@pytest.mark.parametrize(
    ("new", "is_found"),
    [
        (lines(0, 1, 2, 3), True),
        (lines(0, 1, 8, 9), True),  # half of it
        (lines(0, 7, 8, 9), False),
        (lines(3, 2, 1, 0), True),
        (lines(0, 1, 2, 3, 4, 5, 6, 7), True),  # twice as long
        (lines(0, 1, 2, 3, 4, 5, 6, 7, 8), False),
        (lines(0), False),
        (lines(0, 1, 2, 6, 7, 8, 9), False),  # less than half of the longer one
    ],
)
def test_half_of_the_lines_is_enough(new, is_found):
    assert moved({"a": lines(0, 1, 2, 3)}, {"b": new}) == ({"a": "b"} if is_found else {})


def test_the_likest_file_is_taken_and_only_once():
    gone = {"a": lines(0, 1, 2, 3), "b": lines(0, 1, 2, 9)}
    come = {"near": lines(0, 1, 2, 4), "nearer": lines(0, 1, 2, 3, 4)}

    assert moved(gone, come) == {"a": "nearer", "b": "near"}
    assert moved(gone, {"near": come["near"]}) == {"a": "near"}


def test_what_is_the_same_is_not_given_to_what_is_similar():
    gone = {"a": lines(0, 1, 2, 4), "b": lines(0, 1, 2, 3)}

    assert moved(gone, {"c": lines(0, 1, 2, 3)}) == {"b": "c"}


def test_a_link_is_no_file_and_a_program_may_be():
    text = lines(0, 1, 2)

    assert moved({"a": text}, {"b": state(text, LINK)}) == {}
    assert moved({"a": state(text, LINK)}, {"b": lines(0, 1, 3)}) == {}
    assert moved({"a": text}, {"b": state(text, PROGRAM)}) == {"a": "b"}


def test_unknown_contents_move_nowhere():
    unknown = FileState(None, None, FILE)

    assert moved({"a": unknown}, {"b": unknown}) == {}
    assert moved({"a": unknown}, {"b": lines(1)}) == {}


def test_among_very_many_files_the_same_ones_are_found_still(monkeypatch):
    monkeypatch.setattr(module, "_TRIED", 2)
    gone = {"a": lines(0, 1), "b": lines(5), "c": lines(6, 7), "d": lines(8, 9)}

    assert moved(gone, {"x": lines(0, 2), "y": lines(5)}) == {"b": "y"}


def test_among_very_many_lines_too(monkeypatch):
    monkeypatch.setattr(module, "_LINES_TRIED", 3)

    assert moved({"a": lines(0, 1)}, {"x": lines(0, 2)}) == {}
    assert moved({"a": lines(0)}, {"x": lines(0)}) == {"a": "x"}
