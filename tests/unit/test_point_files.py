"""Files of points in flight: the format record by record, and files that were cut or made up."""

import os
import resource
import struct
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from open_files import open_below
from runstore.storage.files.host import host_number
from runstore.storage.files.safe_files import UnsafeFileError
from runstore.storage.metrics.chunks import Columns
from runstore.storage.metrics.point_files import PointFile, next_room
from runstore.storage.metrics.point_reading import points_in, read_points, settled, writer_of
from runstore.storage.metrics.point_records import LARGEST_BYTES, MARK, KeyOf
from runstore.storage.metrics.table import is_abandoned

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")

HEAD, POINT, SERIES, END, PART = 0, 1, 2, 3, 16
LOSS = KeyOf(-1, "loss")


def record(step, time, value, number, kind, mark=MARK):
    return struct.pack("<qqdIHH", step, time, value, number, kind, mark)


def head(*, version=2, pid=7, begin=32.0, host=0, kind=HEAD, mark=MARK):
    return record(version, pid, begin, host, kind, mark)


def part(text, number, index=0):
    return struct.pack("<24sIHH", text, number, PART + index, MARK)


def named(key=b"loss", number=0, set_index=-1):
    """Return the records that name a series with a short key."""
    return record(len(key), set_index, 0.0, number, SERIES) + part(key, number)


def points_of(read):
    return {key: [list(column) for column in columns] for key, columns in read.points.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.points"


@pytest.fixture(params=[True, False], ids=["mapped", "written"])
def file(request, path):
    made = PointFile(path, 6, mapped=request.param)
    yield made
    made.seal()


# Written


def test_a_file_is_its_records(file, path):
    assert file.say_series(LOSS, 3)
    assert file.write(3, 5, 1_000, 0.5)
    assert file.write_many(3, Columns([6, 7], [1_001, 1_002], [0.25, 0.125])) == 2
    file.seal()

    assert path.read_bytes().rstrip(b"\0") == (
        head(pid=os.getpid(), host=host_number())
        + named(number=3)
        + record(5, 1_000, 0.5, 3, POINT)
        + record(6, 1_001, 0.25, 3, POINT)
        + record(7, 1_002, 0.125, 3, POINT)
        + record(0, 0, 0.0, 0, END)
    ).rstrip(b"\0")


@pytest.mark.parametrize(("mapped", "size"), [(True, 8 * 32), (False, 32)])
def test_room_for_all_records_is_allocated_where_it_is_mapped(path, mapped, size):
    file = PointFile(path, 6, mapped=mapped)

    assert path.stat().st_size == size  # the head, six records, the end
    assert (file.memory is not None) is mapped
    file.seal()


@pytest.mark.parametrize("length", [0, 1, 23, 24, 25, 48, 49, 72])
def test_a_key_of_any_length_is_written_in_parts(file, path, length):
    series = KeyOf(2, "k" * length)

    assert file.say_series(series, 4)
    assert file.write(4, 1, 2, 3.0)
    file.seal()

    assert points_of(read_points(path)) == {series: [[1], [2], [3.0]]}


def test_a_full_file_takes_no_more_and_says_its_end(file, path):
    file.say_series(LOSS, 0)

    written = [file.write(0, step, step, 1.0) for step in range(6)]
    file.seal()

    assert written == [True] * 4 + [False] * 2
    assert path.stat().st_size == 8 * 32
    assert path.read_bytes()[-32:] == record(0, 0, 0.0, 0, END)
    read = read_points(path)
    assert (points_of(read), read.is_sealed) == (
        {LOSS: [[0, 1, 2, 3], [0, 1, 2, 3], [1.0] * 4]},
        True,
    )


def test_a_key_that_does_not_fit_is_refused(path):
    file = PointFile(path, 2)

    assert file.say_series(KeyOf(-1, "k" * 25), 0) is False
    assert file.write(0, 1, 1, 1.0) is False
    file.seal()


def test_many_points_are_written_while_there_is_room(file, path):
    points = Columns([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [0.5] * 6)
    file.say_series(LOSS, 0)

    assert file.write_many(0, points, 1) == 4
    assert file.write_many(0, points, 5) == 0
    file.seal()

    assert points_of(read_points(path)) == {LOSS: [[2, 3, 4, 5], [2, 3, 4, 5], [0.5] * 4]}


def test_nothing_is_written_of_no_points(file):
    assert file.write_many(0, Columns([], [], [])) == 0
    assert next(file.places) == 32


def test_points_go_around_places_that_another_thread_took(file, path):
    file.say_series(LOSS, 0)
    file.places = iter([96, 160, 192])

    assert file.write_many(0, Columns([1, 2, 3], [1, 2, 3], [0.5] * 3)) == 3
    file.seal()

    read = read_points(path)
    assert points_of(read) == {LOSS: [[1, 2, 3], [1, 2, 3], [0.5] * 3]}
    assert (read.is_sealed, read.torn) == (True, 1), "the other thread was killed"


def test_a_sealed_file_takes_nothing(file, path):
    file.say_series(LOSS, 0)
    file.seal()
    before = path.read_bytes()

    assert file.write(0, 1, 1, 1.0) is False
    assert file.write_many(0, Columns([1], [1], [1.0])) == 0
    file.places = iter([96, 160])
    assert file.write_many(0, Columns([1, 2], [1, 2], [1.0, 1.0])) == 0
    assert file.say_series(LOSS, 1) is False
    file.seal()

    assert path.read_bytes() == before


def test_a_sealed_file_is_not_opened_again(file, path):
    file.seal()
    before = open_below(path.parent)

    with pytest.raises(OSError, match="sealed"):
        file.sync()

    assert open_below(path.parent) == before


def test_a_file_is_let_go_of(path):
    before = open_below(path.parent)

    for mapped in (True, False):
        file = PointFile(path, 6, mapped=mapped)
        file.write(0, 1, 1, 1.0)
        file.sync()
        file.discard()
        file.discard()

    assert open_below(path.parent) == before
    assert not path.exists()


def test_a_disk_that_is_full_keeps_nothing_of_a_file(path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    before = open_below(path.parent)

    with pytest.raises(OSError, match="No space"):
        PointFile(path, 6)

    assert not path.exists()
    assert open_below(path.parent) == before


def test_a_disk_that_refuses_the_last_mark_ends_no_program(path, monkeypatch):
    """The points are there; without the mark, the file ends with its run."""
    file = PointFile(path, 6)
    file.say_series(LOSS, 0)
    file.write(0, 1, 2, 0.5)

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)

    file.seal()

    read = read_points(path)
    assert (points_of(read), read.is_sealed) == ({LOSS: [[1], [2], [0.5]]}, False)
    assert not file.write(0, 2, 3, 0.5)


def test_a_file_that_is_there_is_not_written(path):
    path.write_text("mine")

    with pytest.raises(FileExistsError):
        PointFile(path, 6)

    assert path.read_text() == "mine"


def test_a_file_that_is_sealed_in_the_middle_of_a_write_is_complete(path, monkeypatch):
    """A signal handler ends the run while a point is on its way."""
    file = PointFile(path, 6, mapped=False)
    file.say_series(LOSS, 0)
    pwrite = os.pwrite

    def interrupted(descriptor, data, place):
        monkeypatch.setattr(os, "pwrite", pwrite)
        file.seal()
        return pwrite(descriptor, data, place)

    monkeypatch.setattr(os, "pwrite", interrupted)

    assert file.write(0, 1, 2, 0.5)

    read = read_points(path)
    assert (points_of(read), read.is_sealed) == ({LOSS: [[1], [2], [0.5]]}, True)
    file.close()
    assert open_below(path.parent) == []


def test_a_program_that_closes_all_its_files_loses_no_point(path):
    file = PointFile(path, 6, mapped=False)
    file.say_series(LOSS, 0)
    os.close(file._descriptor)

    assert file.write(0, 1, 2, 0.5)
    file.sync()
    file.seal()

    assert points_of(read_points(path)) == {LOSS: [[1], [2], [0.5]]}


def test_a_file_of_the_program_where_the_map_was_stays_open(path):
    """A daemon closes all descriptors; the next file that it opens gets one of their numbers."""
    file = PointFile(path, 6)
    number = file._of_memory
    assert number is not None
    other = os.open(path.with_name("mine"), os.O_RDWR | os.O_CREAT)
    os.close(number)
    os.dup2(other, number)

    file.seal()

    assert os.fstat(number).st_ino == os.fstat(other).st_ino
    for one in (number, other):
        os.close(one)


def test_a_file_that_took_its_place_is_not_written(path):
    file = PointFile(path, 6, mapped=False)
    os.close(file._descriptor)
    path.rename(path.with_name("moved"))
    path.write_text("mine")
    before = open_below(path.parent)

    with pytest.raises(FileNotFoundError, match="replaced"):
        file.write(0, 1, 2, 0.5)
    file.seal()

    assert path.read_text() == "mine"
    assert open_below(path.parent) == before


@pytest.mark.parametrize(
    ("points", "following"),
    [(0, 2_000), (2_000, 8_000), (8_000, 32_000), (32_000, 128_000), (128_000, 128_000)],
)
def test_files_grow_with_the_run(points, following):
    assert next_room(points) == following
    assert (2 + following) * 32 < LARGEST_BYTES


# Read


def test_a_file_names_its_writer(file, path):
    assert writer_of(path) == (os.getpid(), host_number())


@pytest.mark.parametrize(
    ("is_alive", "is_here", "is_old", "expected"),
    [
        (False, True, False, True),
        (True, True, True, False),
        (False, False, False, False),
        (True, False, False, False),
        (False, False, True, True),
        (True, False, True, True),
    ],
)
def test_a_process_of_another_host_is_not_looked_up_here(
    path, is_alive, is_here, is_old, expected
):
    """A process id says nothing on the other hosts that share a folder."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    pid = os.getppid() if is_alive else ended.pid
    path.write_bytes(head(pid=pid, host=host_number() ^ (not is_here)))
    if is_old:
        os.utime(path, (0, 0))

    assert is_abandoned(path) is expected


def test_a_killed_process_that_nobody_has_waited_for_has_left_its_file(path):
    """In containers whose first process waits for none, its id stays in use."""
    ended = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    ended.stdout.read()  # until its end
    deadline = time.monotonic() + 30
    path.write_bytes(head(pid=ended.pid))
    while not is_abandoned(path) and time.monotonic() < deadline:
        time.sleep(0.01)

    assert is_abandoned(path)
    ended.stdout.close()
    ended.wait()


@pytest.mark.parametrize("data", [b"", bytes(64)])
def test_a_file_without_a_head_is_abandoned_once_its_writer_had_time_for_it(path, data):
    """Otherwise the first points of a child that is about to write them would be lost."""
    path.write_bytes(data)

    assert not is_abandoned(path)
    os.utime(path, (0, time.time() - 100))
    assert is_abandoned(path)
    path.write_bytes(b"not ours")
    os.utime(path, (0, 0))
    assert not is_abandoned(path)


def test_a_file_says_who_writes_it_before_its_space_is_allocated(path, monkeypatch):
    """A process killed meanwhile, which takes long on a slow disk, leaves no unknown file."""
    during = []

    def watched(descriptor, start, size):
        during.append(writer_of(path))
        os.truncate(descriptor, start + size)

    monkeypatch.setattr(os, "posix_fallocate", watched, raising=False)

    PointFile(path, 10).discard()

    assert [one.pid for one in during] == [os.getpid()]


@pytest.mark.parametrize("data", [b"", head()[:31], head(mark=0), head(kind=POINT)])
def test_a_file_without_a_head_names_nobody(path, data):
    path.write_bytes(data)

    assert writer_of(path) is None
    assert writer_of(path.with_name("missing")) is None
    assert points_of(read_points(path)) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        head(version=0),
        head(version=3),
        head(mark=0x5AFF),
        head(kind=END),
        head(begin=0.0),
        head(begin=31.0),
        head(begin=48.0),
        head(begin=2.0**40),
        head(begin=float("nan")),
        head(begin=float("inf")),
    ],
)
def test_a_head_that_nobody_writes_leads_nowhere(path, wrong):
    path.write_bytes(wrong + named() + record(1, 2, 0.5, 0, POINT))

    assert read_points(path) == ({}, 0, False, 0)
    assert read_points(path, 96) == ({}, 96, False, 0)


def test_reading_goes_on_from_where_it_was(path):
    data = head() + named() + record(1, 10, 0.5, 0, POINT)
    path.write_bytes(data)
    first = read_points(path)
    path.write_bytes(data + record(2, 20, 0.25, 0, POINT))

    second = read_points(path, first.position)

    assert points_of(first) == {LOSS: [[1], [10], [0.5]]}
    assert points_of(second) == {LOSS: [[2], [20], [0.25]]}
    assert (first.position, second.position) == (4 * 32, 5 * 32)
    assert read_points(path, second.position) == ({}, 5 * 32, False, 0)
    assert read_points(path, 64 * 32) == ({}, 64 * 32, False, 0)


ORDERS = st.one_of(
    st.lists(st.integers(0, 3), min_size=1, max_size=40),  # as it comes
    st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.integers(1, 12)).map(
        lambda turns: turns[0] * turns[1]  # the same again and again
    ),
)


@given(order=ORDERS, cut=st.integers(0, 50), is_sealed=st.booleans(), numbers=st.integers(1, 4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_series_comes_back_from_any_position(path, order, cut, is_sealed, numbers):
    """Series with a number that nobody named are left out."""
    names = b"".join(named(b"k%d" % number, number) for number in range(numbers))
    points = [record(at, at * 10, at / 8, one, POINT) for at, one in enumerate(order)]
    path.write_bytes(
        head() + names + b"".join(points) + record(0, 0, 0.0, 0, END) * is_sealed + bytes(96)
    )
    cut = min(cut, len(order))

    read = read_points(path, len(head() + names) + 32 * cut if cut else 0, is_over=True)

    expected = {}
    for at, one in list(enumerate(order))[cut:]:
        if one < numbers:
            columns = expected.setdefault(KeyOf(-1, f"k{one}"), [[], [], []])
            for column, value in zip(columns, (at, at * 10, at / 8), strict=True):
                column.append(value)
    assert points_of(read) == expected
    assert read.is_sealed is is_sealed
    assert read.torn == sum(one >= numbers for one in order[cut:])
    assert read.position == len(head() + names) + 32 * (len(order) + is_sealed)


@pytest.mark.parametrize("is_over", [False, True])
def test_an_unfinished_record_is_waited_for_while_its_writer_lives(path, is_over):
    data = head() + named() + record(1, 10, 0.5, 0, POINT)
    data += record(2, 20, 0.25, 0, POINT, mark=0) + record(3, 30, 0.125, 0, POINT)
    path.write_bytes(data)

    read = read_points(path, is_over=is_over)

    if is_over:
        assert points_of(read) == {LOSS: [[1, 3], [10, 30], [0.5, 0.125]]}
        assert (read.position, read.torn, read.is_sealed) == (6 * 32, 1, False)
    else:
        assert points_of(read) == {LOSS: [[1], [10], [0.5]]}
        assert (read.position, read.torn, read.is_sealed) == (4 * 32, 0, False)


def test_an_unfinished_record_of_a_sealed_file_is_lost(path):
    path.write_bytes(
        head() + named() + record(1, 1, 1.0, 0, POINT, mark=0) + record(0, 0, 0.0, 0, END)
    )

    assert read_points(path) == ({}, 5 * 32, True, 1)


@pytest.mark.parametrize("count", [0, 1, 126, 300])
@pytest.mark.parametrize(
    "seen", [record(0, 0, 0.5, 0, POINT), record(7, 0, 0.5, 0, POINT), bytes(32), bytes(9), b""]
)
def test_a_record_that_was_written_as_it_was_read_is_left_for_the_next_time(count, seen):
    """Its mark, which is written last, may be seen without what was written before it."""
    before = head() + named() + record(1, 10, 0.25, 0, POINT) * count
    after = before + record(7, 70, 0.5, 0, POINT)
    reads = iter([before + seen + bytes(5000), after + bytes(5000)])

    contents = settled(reads.__next__)

    assert points_in(contents) == points_in(before)
    assert settled(lambda: after) == after


def test_a_record_of_unknown_kind_is_none(path):
    path.write_bytes(head() + named() + record(1, 1, 1.0, 0, 15) + record(2, 2, 2.0, 0, POINT))

    assert read_points(path) == ({}, 3 * 32, False, 0)
    assert points_of(read_points(path, is_over=True)) == {LOSS: [[2], [2], [2.0]]}


@pytest.mark.parametrize("cut", [1, 8, 16, 31])
def test_of_a_file_that_is_cut_within_a_record_the_others_are_read(path, cut):
    records = head() + named() + record(1, 10, 0.5, 0, POINT) + record(2, 11, 0.6, 0, POINT)
    path.write_bytes(records[:-cut])
    kept = {LOSS: [[1], [10], [0.5]]}

    read, last = read_points(path), read_points(path, is_over=True)

    assert (points_of(read), read.position, read.torn) == (kept, len(records) - 32, 0)
    assert (points_of(last), last.position, last.torn) == (kept, len(records) - 32, 1)


@pytest.mark.parametrize("cut", [1, 16, 31])
def test_a_file_that_is_cut_within_its_head_is_not_read(path, cut):
    path.write_bytes(head()[:-cut])

    assert read_points(path, is_over=True) == ({}, 0, False, 0)


def test_points_that_a_full_disk_takes_in_part_are_those_that_count(path):
    """It takes as much as it has room for, and says no more than that."""
    file = PointFile(path, 100, mapped=False)
    file.say_series(LOSS, 0)
    points = Columns([*range(20)], [*range(20)], [float(one) for one in range(20)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 32 + 5 * 32 + 7, before[1]))
    try:
        written = file.write_many(0, points)
        with pytest.raises(OSError, match="too large"):
            file.write_many(0, points, written)
        with pytest.raises(OSError, match="too large"):
            file.write(0, 7, 7, 7.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert written == 5
    assert points_of(read_points(path, is_over=True)) == {
        LOSS: [[*range(5)], [*range(5)], [float(one) for one in range(5)]]
    }


def test_points_around_those_of_another_thread_that_a_full_disk_takes_in_part(path):
    file = PointFile(path, 100, mapped=False)
    file.say_series(LOSS, 0)
    # The other thread takes a place among those of the first.
    file.places = iter([*range(3 * 32, 6 * 32, 32), *range(7 * 32, 17 * 32, 32)])
    points = Columns([*range(10)], [*range(10)], [float(one) for one in range(10)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (9 * 32 + 7, before[1]))
    try:
        written = file.write_many(0, points)
        with pytest.raises(OSError, match="too large"):
            file.write_many(0, points, written)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert written == 5
    assert points_of(read_points(path, is_over=True)) == {
        LOSS: [[*range(5)], [*range(5)], [float(one) for one in range(5)]]
    }


@pytest.mark.parametrize("room", [0, 1, 127, 128, 129, 300])
def test_room_that_was_never_used_holds_nothing(path, room):
    data = head() + named() + record(1, 10, 0.5, 0, POINT)
    path.write_bytes(data + bytes(32 * room))

    read = read_points(path, is_over=True)

    assert points_of(read) == {LOSS: [[1], [10], [0.5]]}
    assert (read.position, read.torn) == (len(data), 0)


@pytest.mark.parametrize(
    "series",
    [
        record(4, -1, 0.0, 0, SERIES),
        part(b"loss", 0),
        record(25, -1, 0.0, 0, SERIES) + part(b"l" * 24, 0),
        record(25, -1, 0.0, 0, SERIES) + part(b"l" * 24, 0, 0) + part(b"l", 0, 2),
        record(4, -1, 0.0, 0, SERIES) + part(b"loss", 0, 1),
        record(-1, -1, 0.0, 0, SERIES) + part(b"loss", 0),
        named(number=1),
    ],
    ids=["no text", "no name", "one of two", "one of three", "no first", "negative", "another's"],
)
def test_points_of_a_series_that_nobody_named_are_lost(path, series):
    path.write_bytes(head() + series + record(1, 10, 0.5, 0, POINT))

    read = read_points(path, is_over=True)

    assert (read.points, read.torn) == ({}, 1)


def test_series_are_told_apart_by_their_numbers(path):
    path.write_bytes(
        head()
        + named(b"loss", 0)
        + named(b"acc", 2**32 - 1, set_index=3)
        + record(1, 10, 0.5, 2**32 - 1, POINT)
        + record(2, 20, 0.25, 0, POINT)
        + record(3, 30, 0.125, 2**32 - 1, POINT)
    )

    assert points_of(read_points(path)) == {
        LOSS: [[2], [20], [0.25]],
        KeyOf(3, "acc"): [[1, 3], [10, 30], [0.5, 0.125]],
    }


def test_a_name_that_is_no_text_is_shown_as_far_as_it_goes(path):
    path.write_bytes(head() + named(b"a\xffb") + record(1, 10, 0.5, 0, POINT))

    assert list(read_points(path).points) == [KeyOf(-1, "a\ufffdb")]


def test_a_file_that_is_too_large_is_refused(path):
    path.write_bytes(head())
    os.truncate(path, LARGEST_BYTES + 32)

    with pytest.raises(UnsafeFileError, match="larger"):
        read_points(path)
    assert writer_of(path) is None


# The first format: the series stand together behind the head


def in_front(key, number, set_index=-1):
    return record(len(key), set_index, 0.0, number, SERIES) + key.ljust(
        -(-len(key) // 32) * 32, b"\0"
    )


@pytest.mark.parametrize("key", [b"a", b"k" * 31, b"k" * 32, b"k" * 33, b"k" * 64])
def test_a_file_of_the_first_format_is_read(path, key):
    table = in_front(key, 0) + in_front(b"acc", 1, set_index=2)
    path.write_bytes(
        head(version=1, begin=32.0 + len(table))
        + table
        + record(1, 10, 0.5, 0, POINT)
        + record(2, 20, 0.25, 1, POINT)
    )

    assert points_of(read_points(path)) == {
        KeyOf(-1, key.decode()): [[1], [10], [0.5]],
        KeyOf(2, "acc"): [[2], [20], [0.25]],
    }


def test_a_name_of_the_first_format_that_is_no_text_is_shown_as_far_as_it_goes(path):
    table = in_front(b"a\xffb", 0)
    path.write_bytes(
        head(version=1, begin=32.0 + len(table)) + table + record(1, 10, 0.5, 0, POINT)
    )

    assert list(read_points(path).points) == [KeyOf(-1, "a\ufffdb")]


def test_a_file_that_ends_exactly_at_its_table_has_no_points(path):
    table = in_front(b"k" * 32, 0)
    path.write_bytes(head(version=1, begin=32.0 + len(table)) + table)

    assert read_points(path) == ({}, 32 + len(table), False, 0)


def test_a_file_that_ends_within_its_table_has_no_points(path):
    path.write_bytes(head(version=1, begin=32.0 * 5) + in_front(b"k" * 32, 0))

    assert read_points(path) == ({}, 32 * 5, False, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        record(4, -1, 0.0, 0, SERIES, mark=0),
        record(4, -1, 0.0, 0, POINT),
        record(-1, -1, 0.0, 0, SERIES),
        record(2**40, -1, 0.0, 0, SERIES),
    ],
)
def test_a_table_that_nobody_writes_is_read_up_to_there(path, wrong):
    table = in_front(b"acc", 1) + wrong + b"loss".ljust(32, b"\0")
    path.write_bytes(
        head(version=1, begin=32.0 + len(table))
        + table
        + record(1, 10, 0.5, 0, POINT)
        + record(2, 20, 0.25, 1, POINT)
    )

    read = read_points(path, is_over=True)

    assert points_of(read) == {KeyOf(-1, "acc"): [[2], [20], [0.25]]}
    assert read.torn == 1


def test_reading_a_file_takes_time_in_proportion_to_its_series(path):
    """Thousands of them, as of each layer of a model, took the square."""

    def seconds(series):
        names = [named(b"k%d" % number, number) for number in range(series)]
        path.write_bytes(head() + b"".join(names) + record(0, 1, 0.5, series - 1, POINT))
        best = float("inf")
        for _ in range(5):
            began = time.perf_counter()
            assert list(read_points(path).points) == [KeyOf(-1, f"k{series - 1}")]
            best = min(best, time.perf_counter() - began)
        return best

    assert seconds(8_000) < 8 * 5 * seconds(1_000)
