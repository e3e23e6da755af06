"""What a run printed is read by windows of lines and searched, as if it were read whole."""

import random

import pytest

from runstore.errors import UsageError
from runstore.model.text.line_pattern import Needle
from runstore.reading.output.windows import STREAMS, hits_of, window_of
from runstore.storage.artifacts import OutputPart
from runstore.storage.files.output import LETTERS, OutputFile

BEGIN = 1_700_000_000_000_000


@pytest.fixture
def run(store):
    active = store.start("mnist", capture=False)
    active.finish()
    return store.get(active.uid)


def write_part(store, run, number, rows):
    folder = store.path / "spool"
    folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / f"{run.uid}.{number:020d}.output"
    path.write_bytes(b"".join(rows))
    return path


def row(micros, stream, text):
    return b"%d.%06d %s %s\n" % (*divmod(micros, 1_000_000), LETTERS[stream], text)


def random_rows(seed, count, *, mark=b"line"):
    chosen, at = random.Random(seed), BEGIN
    for number in range(count):
        at += chosen.choice((-5, 0, 1, 1, 10, 1000))
        yield row(at, chosen.choice(STREAMS), b"%s %d of %d \xff" % (mark, number, seed))
        if chosen.random() < 0.01:
            yield b"no line of ours\n"


def read(store, run, **asked):
    """Return a window once its lines are counted far enough."""
    while True:
        window = window_of(store.backend, run, patience_s=0, **asked)
        if window.lines or window.is_counted:
            return window


def find(store, run, text, **asked):
    """Return all hits, and how often it took to find them."""
    hits, after, looks = [], 0, 0
    while after is not None:
        found = hits_of(store.backend, run, Needle(text), after=after, patience_s=0, **asked)
        hits += found.hits
        after, looks = found.after, looks + 1
    return hits, looks


@pytest.mark.parametrize("streams", [STREAMS, ("stderr",), ("stdout", "logging")])
@pytest.mark.parametrize("parts", [1, 3])
def test_windows_are_the_lines_read_whole(store, run, parts, streams):
    for number in range(parts):
        write_part(store, run, number, random_rows(number, 4000))
    whole = [(n, line) for n, line in enumerate(run.output, 1) if line.stream in streams]

    for start in (0, 1, 999, len(whole) - 3, -1, -50, -len(whole) - 1):
        window = read(store, run, start=start, count=40, streams=streams)

        place = start if start >= 0 else max(0, len(whole) + start)
        assert [(one.number, one.line) for one in window.lines] == whole[place : place + 40]
        assert window.start == place


@pytest.mark.parametrize("streams", [STREAMS, ("stderr",)])
@pytest.mark.parametrize("parts", [1, 3])
def test_all_lines_that_hold_a_text_are_found(store, run, parts, streams):
    for number in range(parts):
        write_part(store, run, number, random_rows(number, 4000))
    whole = [(n, line) for n, line in enumerate(run.output, 1) if line.stream in streams]

    hits, looks = find(store, run, "line 39", streams=streams, limit=50)

    assert [(one.place, one.number, one.line) for one in hits] == [
        (place, number, line)
        for place, (number, line) in enumerate(whole)
        if "line 39" in line.text
    ]
    assert all(one.text[slice(*one.spans[0])] == "line 39" for one in hits)
    assert looks > 1


def test_counts_are_those_of_each_stream(store, run):
    write_part(store, run, 0, random_rows(0, 5000))

    window = read(store, run, start=-1, count=1)

    streams = [line.stream for line in run.output]
    assert window.counts == {name: streams.count(name) for name in STREAMS}
    assert window.is_counted
    assert not window.is_growing


def test_a_growing_output_is_read_as_far_as_it_goes(store, run):
    """Programs write over their last lines, such as progress bars, and over what they counted."""
    path = write_part(store, run, 0, [])
    path.unlink()
    chosen = random.Random(7)
    file = OutputFile(path)
    try:
        for number in range(300):
            text = chosen.choice((b"%d%%\r", b"line %d\n", b"x%d\n\x1b[3A", b"w" * 300 + b"%d\n"))
            file.feed(LETTERS[chosen.choice(STREAMS[:2])], text % number)
            if number % 10:
                continue
            whole = list(run.output)

            window = read(store, run, start=-20, count=20)

            assert window.is_growing
            assert [one.line for one in window.lines] == whole[-20:]
            assert sum(window.counts.values()) == len(whole)
    finally:
        file.close()
    assert [one.line for one in read(store, run, start=0, count=999).lines] == list(run.output)


def test_lines_in_the_past_of_another_process_are_taken_in(store, run):
    """A process that printed little, long ago, may print again: nothing is read twice."""
    write_part(store, run, 0, (row(BEGIN + n, "stdout", b"a%d" % n) for n in range(9000)))
    quiet = write_part(store, run, 1, [row(BEGIN + 5, "stderr", b"early")])
    read(store, run, start=-1, count=1)
    with quiet.open("ab") as file:
        file.write(row(BEGIN + 9500, "stderr", b"late"))

    window = read(store, run, start=-2, count=2)

    assert [one.line.text for one in window.lines] == ["a8999", "late"]
    assert [one.number for one in window.lines] == [9001, 9002]


def test_a_finished_output_is_read_from_where_it_was_moved(store):
    with store.start("mnist", capture=False) as active:
        path = write_part(store, active, 0, [row(BEGIN, "stdout", b"one")])
        assert [one.line.text for one in read(store, active, start=0, count=9).lines] == ["one"]
        kept = store.backend.objects.keep_file(path)
        store.backend.artifacts.put_output(active.uid, OutputPart(path.name, *kept))
        path.unlink()

    assert [one.line.text for one in read(store, active, start=0, count=9).lines] == ["one"]


def test_a_long_line_is_cut_and_says_its_length(store, run):
    write_part(store, run, 0, [row(BEGIN, "stdout", b"x" * 200_000), row(BEGIN, "stdout", b"y")])

    long, short = read(store, run, start=0, count=9, width=100).lines

    assert (long.line.text, long.length) == ("x" * 100, 200_000)
    assert (short.line.text, short.length) == ("y", 1)


def test_a_window_has_an_end_of_characters(store, run):
    rows = [row(BEGIN + n, "stdout", b"x" * 500_000) for n in range(9)]
    write_part(store, run, 0, rows)

    assert len(read(store, run, start=0, count=9, width=1_000_000).lines) == 3


def test_nothing_printed_is_nothing_to_read(store, run):
    window = window_of(store.backend, run, start=0, count=10)

    assert (window.lines, window.is_counted, window.size_bytes) == ((), True, 0)
    assert hits_of(store.backend, run, Needle("a")).hits == ()


def test_a_file_of_no_lines_has_none(store, run):
    write_part(store, run, 0, [b"garbage\n" * 20_000, b"no end"])

    window = read(store, run, start=0, count=10)

    assert (window.lines, window.is_counted) == ((), True)


def test_text_is_found_through_its_colours(store, run):
    write_part(store, run, 0, [row(BEGIN, "stdout", b"a \x1b[31mred\x1b[0m fox")])

    (hit,), _ = find(store, run, "red fox")

    assert hit.text[slice(*hit.spans[0])] == "red fox"


def test_a_stream_that_does_not_exist_is_an_error(store, run):
    with pytest.raises(UsageError, match="no stream 'stdin'"):
        window_of(store.backend, run, start=0, count=1, streams=["stdin"])
    with pytest.raises(UsageError, match="No stream"):
        hits_of(store.backend, run, Needle("a"), streams=[])
