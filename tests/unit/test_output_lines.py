"""What is kept of output: lines as they would be seen, progress bars in their last state."""

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstore.storage.files.output import OutputFile, Tail, is_being_written, read_lines


def kept(path, *fed):
    file = OutputFile(path)
    for stream, data in fed:
        file.feed(stream, data)
    file.close()
    return [(line.stream[3:], line.text) for line in read_lines([path])]


def out(path, *fed):
    return [text for _, text in kept(path, *((b"o", data) for data in fed))]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.output"


def test_lines_may_be_cut_anywhere(path):
    assert out(path, b"one\ntw", b"o", b"\n", b"\nthr", b"ee") == ["one", "two", "", "three"]


def test_streams_are_interleaved_by_their_first_character(path):
    fed = [(b"o", b"a"), (b"e", b"warn\n"), (b"o", b"b\n"), (b"e", b"x\n")]

    assert kept(path, *fed) == [("out", "ab"), ("err", "warn"), ("err", "x")]


def test_a_progress_bar_is_its_last_state(path):
    bar = [f"\r{n:3}%|{'#' * (n // 10):10}|".encode() for n in range(101)]

    assert out(path, b"start\n", *bar, b"\n", b"end\n") == ["start", "100%|##########|", "end"]


def test_nested_bars_are_as_many_lines_as_bars(path):
    """As tqdm draws them: a line down for the inner one, and back up."""
    fed = [b"\router 0"]
    for outer in range(3):
        fed += [b"\n", b"\rinner %d" % outer, b"\x1b[A", b"\router %d" % (outer + 1)]
    fed += [b"\n\n", b"done\n"]

    assert out(path, *fed) == ["outer 3", "inner 2", "done"]


def test_lines_erased_and_drawn_again_are_kept_once(path):
    """As rich draws a live display of two lines."""
    drawn = [b"\r\x1b[2K\x1b[1A\x1b[2Ka %d\nb %d" % (n, n) for n in range(1, 5)]

    assert out(path, b"a 0\nb 0", *drawn, b"\nend\n") == ["a 4", "b 4", "end"]


def test_windows_line_ends_and_backspaces(path):
    assert out(path, b"one\r\ntwo\r\n", b"x|\x08/\x08-\x08ok\n") == ["one", "two", "xok"]


def test_colours_stay(path):
    assert out(path, b"\x1b[3", b"1mred\x1b[0m\n") == ["\x1b[31mred\x1b[0m"]


def test_a_line_without_end_is_cut_in_pieces(path):
    lines = out(path, *[b"x" * 100_000] * 30)

    assert sum(map(len, lines)) == 3_000_000
    assert len(lines) >= 2


def test_any_bytes_are_kept_as_text(path):
    lines = out(path, bytes(range(256)).replace(b"\r", b"").replace(b"\x08", b"") + b"\n")

    assert "".join(lines).startswith("\x00\x01")


@settings(max_examples=2 * settings().max_examples)
@given(
    st.lists(st.tuples(st.sampled_from([b"o", b"e"]), st.binary(max_size=40)), max_size=20),
    st.lists(
        st.sampled_from([b"\n", b"\r", b"\x1b[A", b"\x1b[2K", b"\x1b[", b"A", b"ab", b"\x08"])
    ),
)
def test_a_file_is_well_formed_whatever_is_printed(tmp_path_factory, fed, moves):
    path = tmp_path_factory.mktemp("any") / "x.output"
    file = OutputFile(path)
    for stream, data in [*fed, *((b"o", move) for move in moves)]:
        file.feed(stream, data)
        text = path.read_bytes()
        assert all(re.match(rb"\d+\.\d{6} [oe] ", line) for line in text.split(b"\n") if line), (
            text
        )
    file.close()

    assert path.read_bytes() == b"" or path.read_bytes().endswith(b"\n")


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(st.text(alphabet="ab\n", max_size=12), max_size=30))
def test_plain_text_is_kept_to_the_letter(tmp_path_factory, parts):
    path = tmp_path_factory.mktemp("plain") / "x.output"
    text = "".join(parts)

    lines = out(path, *(part.encode() for part in parts))

    assert lines == (text.removesuffix("\n").split("\n") if text else [])


def test_a_follower_sees_each_line_once(path):
    file = OutputFile(path)
    tail = Tail(path)
    seen = []
    for n in range(500):
        file.feed(b"o", b"line %d\n" % n)
        if n % 7 == 0:
            seen += tail.lines()[0]
    file.feed(b"o", b"open")
    new, last = tail.lines()

    assert [line.text for line in seen + new] == [f"line {n}" for n in range(500)]
    assert last.text == "open"
    file.close()
    assert [line.text for line in tail.lines()[0]] == ["open"]
    tail.close()


def test_who_writes_is_known(path):
    file = OutputFile(path)
    assert is_being_written(path)

    file.close()

    assert not is_being_written(path)


@pytest.mark.parametrize("instead", ["closed", "pipe", "another file", "the same file"])
def test_a_descriptor_that_the_program_reused_is_noticed(tmp_path, instead):
    """A program closes all descriptors, and gets their numbers for its own files."""
    file = OutputFile(tmp_path / "u.1.output")
    file.feed(b"o", b"before\n")
    assert file.is_open
    number = next(one for one in range(256) if _is_at(one, tmp_path / "u.1.output"))
    read_end, write_end = os.pipe()
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    again = os.open(tmp_path / "u.1.output", os.O_RDWR)
    if instead == "closed":
        os.close(number)
    else:
        os.dup2(
            {"pipe": write_end, "another file": other, "the same file": again}[instead], number
        )

    assert not file.is_open

    for one in (read_end, write_end, other, again):
        os.close(one)
    if instead != "closed":
        os.close(number)


def _is_at(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
