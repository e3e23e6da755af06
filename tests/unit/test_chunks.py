"""Chunks of metric points: the format byte by byte, and chunks that are not as we write them."""

import math
import random
import struct
import zlib
from array import array
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.errors import StoreCorruptError
from runstore.storage.metrics import chunks, packing
from runstore.storage.metrics.chunks import (
    FILLED_UP,
    GAPS,
    POINTS_AT_MOST,
    SHORT,
    Columns,
    chunk_digest,
    count_in,
    extend,
    pack,
    taken_apart,
    unpack,
)

NOON = 1_795_780_800_000_000
YEAR_1, YEAR_9000 = -62_135_596_800_000_000, 221_845_392_000_000_000
COUNTED = Columns([5, 7, 9], [NOON, NOON + 3, NOON + 1], [0.5, -2.0, float("inf")])
EACH = Columns([9, 7, 8], [NOON, NOON - 3, NOON + 2**33], [0.5, -2.0, 4.0])


def listed(columns):
    return [list(column) for column in columns]


def test_counted_steps_and_near_times_are_packed_as_the_format_says():
    assert pack(COUNTED) == struct.pack(
        "<4BI qq q3I 3d", 1, 0, 0, 0, 3, 5, 2, NOON, 0, 3, 1, 0.5, -2.0, float("inf")
    )


def test_other_steps_and_far_times_are_packed_one_by_one():
    assert pack(EACH) == struct.pack(
        "<4BI 3q 3q 3d", 1, 1, 1, 0, 3, 9, 7, 8, *EACH.times, 0.5, -2.0, 4.0
    )


@pytest.mark.parametrize(
    ("steps", "layout", "difference"),
    [
        ([4], 0, 1),
        ([3, 2, 1], 0, -1),
        ([1, 1, 1], 1, None),
        ([1, 2, 4], 1, None),
        ([-(2**63), -1], 0, 2**63 - 1),
        ([-(2**63), 0], 1, None),
        ([0, -(2**63)], 0, -(2**63)),
        ([1, -(2**63)], 1, None),
    ],
)
def test_every_kind_of_steps_comes_back(steps, layout, difference):
    columns = Columns(steps, [NOON] * len(steps), [0.0] * len(steps))

    chunk = pack(columns)

    assert chunk[1] == layout
    assert taken_apart(chunk).steps.difference == difference
    assert listed(unpack(chunk)) == listed(columns)


@pytest.mark.parametrize(
    ("times", "layout"),
    [
        ([NOON, NOON + 2**32 - 1], 0),
        ([NOON, NOON + 2**32], 1),
        ([NOON, NOON - 1], 1),
        ([NOON, NOON], 0),
        ([YEAR_1, YEAR_9000], 1),
        ([YEAR_1], 0),
        ([YEAR_9000], 0),
    ],
)
def test_every_kind_of_times_comes_back(times, layout):
    columns = Columns(list(range(len(times))), times, [1.0] * len(times))

    chunk = pack(columns)

    assert chunk[2] == layout
    assert listed(unpack(chunk)) == listed(columns)


def test_the_parts_of_a_chunk_are_its_bytes():
    counted, each = taken_apart(pack(COUNTED)), taken_apart(pack(EACH))

    assert counted.points == each.points == 3
    assert counted.steps == (SHORT, 5, 2, b"")
    assert counted.times == (SHORT, NOON, None, struct.pack("<3I", 0, 3, 1))
    assert counted.values == struct.pack("<3d", *COUNTED.values)
    assert each.steps == (chunks.EACH, 0, None, struct.pack("<3q", *EACH.steps))
    assert each.times == (chunks.EACH, 0, None, struct.pack("<3q", *EACH.times))


def test_a_full_chunk_comes_back():
    assert POINTS_AT_MOST == 4096, "no reader takes more"
    columns = Columns(
        list(range(POINTS_AT_MOST)), [NOON] * POINTS_AT_MOST, [0.25] * POINTS_AT_MOST
    )

    assert listed(unpack(pack(columns))) == listed(columns)


@pytest.mark.parametrize("columns", [COUNTED, EACH], ids=["counted", "each"])
def test_a_chunk_that_is_cut_anywhere_is_damaged(columns):
    chunk = pack(columns)

    for length in range(len(chunk)):
        with pytest.raises(StoreCorruptError, match="truncated"):
            unpack(chunk[:length])


@pytest.mark.parametrize("version", [0, 3, 255])
def test_another_version_is_not_read(version):
    chunk = bytes([version]) + pack(COUNTED)[1:]

    with pytest.raises(StoreCorruptError, match=f"version {version} is unknown") as caught:
        taken_apart(chunk)

    assert caught.value.kept == "It was not changed."


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("layout", [2, 255])
def test_another_layout_is_not_read(place, layout):
    chunk = bytearray(pack(EACH))
    chunk[place] = layout

    with pytest.raises(StoreCorruptError, match="its layout is unknown"):
        taken_apart(bytes(chunk))


@pytest.mark.parametrize("chunk", [None, "text", 7, 0.5])
def test_a_cell_that_holds_no_bytes_is_no_chunk(chunk):
    with pytest.raises(StoreCorruptError, match="it is not a blob"):
        taken_apart(chunk)


@pytest.mark.parametrize("count", [0, POINTS_AT_MOST + 1])
def test_no_points_or_too_many_are_no_chunk(count):
    body = struct.pack("<qqq", 0, 1, NOON) + bytes(12 * count)

    with pytest.raises(StoreCorruptError):
        taken_apart(struct.pack("<4BI", 1, 0, 0, 0, count) + body)


@pytest.mark.parametrize("times", [[YEAR_1 - 1], [YEAR_9000 + 1], [NOON, YEAR_1 - 1, NOON + 1]])
def test_times_without_a_date_are_damaged(times):
    columns = Columns(list(range(len(times))), times, [1.0] * len(times))

    with pytest.raises(StoreCorruptError, match="its times are out of range"):
        taken_apart(pack(columns))


def test_steps_that_do_not_count_are_damaged():
    chunk = struct.pack("<4BI qqq 2I 2d", 1, 0, 0, 0, 2, 5, 0, NOON, 0, 0, 1.0, 1.0)

    with pytest.raises(StoreCorruptError, match="its steps are all equal"):
        unpack(chunk)


@pytest.mark.parametrize(("first", "difference"), [(2**63 - 1, 1), (-(2**63), -1)])
def test_steps_beyond_all_numbers_are_damaged(first, difference):
    chunk = struct.pack("<4BI qqq 2I 2d", 1, 0, 0, 0, 2, first, difference, NOON, 0, 0, 1.0, 1.0)

    with pytest.raises(StoreCorruptError, match="its steps overflow"):
        unpack(chunk)


@pytest.mark.parametrize("count", [1, POINTS_AT_MOST])
def test_a_header_tells_how_many_points_follow(count):
    assert count_in(struct.pack("<4BI", 1, 1, 1, 0, count)) == count


@pytest.mark.parametrize(
    ("chunk", "why"),
    [
        (None, "it has no header"),
        (bytes(7), "it has no header"),
        (struct.pack("<4BI", 1, 1, 1, 0, POINTS_AT_MOST + 1), "its count is too large"),
    ],
)
def test_no_memory_is_allocated_for_the_points_of_a_damaged_header(chunk, why):
    with pytest.raises(StoreCorruptError, match=why):
        count_in(chunk)


def test_the_hash_of_a_chunk_is_of_its_place_and_its_bytes():
    """Stored hashes are compared with it for ever."""
    place = (1, 2, 3, 4, 5)
    others = [(*place[:at], 9, *place[at + 1 :]) for at in range(len(place))]

    digests = [chunk_digest(place, b"chunk"), chunk_digest(place, b"chunk2")]
    digests += [chunk_digest(other, b"chunk") for other in others]

    assert digests[0].hex() == "7c94faa03cd16202e1b5cdc5f319671a"
    assert all(one != other for one, other in pairwise(sorted(digests)))


def test_points_are_added_behind_others():
    columns = Columns(array("q", [1]), array("q", [2]), array("d", [3.0]))

    extend(columns, Columns([4, 5], [6, 7], [8.0, 9.0]))

    assert listed(columns) == [[1, 4, 5], [2, 6, 7], [3.0, 8.0, 9.0]]


# Compressed chunks: those that get no more points


def many(steps, times, values):
    """Return points that make a compressed chunk: each column from a function of the place."""
    return Columns(
        *([make(place) for place in range(FILLED_UP)] for make in (steps, times, values))
    )


COUNTED_ON = many(lambda place: 7 * place, lambda place: NOON + 50 * place, lambda _: 0.25)
GOING_BACK = many(
    lambda place: place % 100, lambda place: NOON - 2**33 * (place % 2), lambda place: -place / 7
)
WITH_GAPS = many(lambda place: place + place // 10, lambda place: NOON + place**2, math.sin)
LONG = [COUNTED_ON, GOING_BACK, WITH_GAPS]


def decoded(chunk):
    """Read a compressed chunk as the reference says, with the standard library."""
    version, step_layout, time_layout, count = struct.unpack_from("<BBBxI", chunk)
    assert version == 2
    at, firsts = 8, []
    for layout, counted in ((step_layout, "<qq"), (time_layout, "<q")):
        text = {0: counted, 1: "<", 2: "<q"}[layout]
        firsts.append(struct.unpack_from(text, chunk, at))
        at += struct.calcsize(text)
    kinds = [] if step_layout == 0 else ["q" if step_layout == 1 else "I"]
    kinds += ["q" if time_layout == 1 else "I", "d"]
    masks = chunk[at : at + len(kinds)]
    at += len(kinds)
    (length,) = struct.unpack_from("<I", chunk, at)
    smooth = zlib.decompress(chunk[at + 4 : at + 4 + length])
    noisy = chunk[at + 4 + length :]
    columns = []
    for kind, mask in zip(kinds, masks, strict=True):
        planes = []
        for weight in range(struct.calcsize(kind)):
            if mask & 1 << weight:
                planes.append(smooth[:count])
                smooth = smooth[count:]
            else:
                planes.append(noisy[:count])
                noisy = noisy[count:]
        data = bytes(byte for number in zip(*planes, strict=True) for byte in number)
        columns.append(struct.unpack(f"<{count}{kind}", data))
    *steps, times, values = columns
    if step_layout == 0:
        first, difference = firsts[0]
        found = [first + place * difference for place in range(count)]
    else:
        found = list(steps[0])
    both = []
    for layout, first, column in (
        (step_layout, firsts[0], found),
        (time_layout, firsts[1], times),
    ):
        if layout == 2:
            both.append([first[0] + gap for gap in accumulate(column)])
        else:
            both.append(
                [first[0] + one for one in column]
                if layout == 0 and column is times
                else list(column)
            )
    return [*both, list(values)]


@pytest.mark.parametrize("columns", LONG, ids=["counted", "back", "gaps"])
def test_a_chunk_that_gets_no_more_points_is_compressed_as_the_format_says(columns):
    chunk = pack(columns)

    assert decoded(chunk) == listed(columns)
    assert listed(unpack(chunk)) == listed(columns)


@pytest.mark.parametrize(
    ("columns", "steps", "times"),
    [(COUNTED_ON, SHORT, GAPS), (GOING_BACK, chunks.EACH, chunks.EACH), (WITH_GAPS, GAPS, GAPS)],
    ids=["counted", "back", "gaps"],
)
def test_columns_that_grow_are_kept_as_gaps(columns, steps, times):
    parts = taken_apart(pack(columns))

    assert (parts.steps.layout, parts.times.layout) == (steps, times)


def test_times_that_are_offsets_from_the_first_are_read():
    """The format allows them, though other programs than this one write them."""
    times = array("I", (3 * (place % 5) for place in range(FILLED_UP)))
    values = array("d", COUNTED_ON.values)
    columns = packing.packed([(times.tobytes(), 4), (values.tobytes(), 8)])
    head = struct.pack("<4BI qqq", 2, SHORT, SHORT, 0, FILLED_UP, 0, 7, NOON)

    found = unpack(head + columns)

    assert listed(found) == [
        COUNTED_ON.steps,
        [NOON + time for time in times],
        COUNTED_ON.values,
    ]


def test_a_chunk_that_gets_more_points_is_not_compressed():
    assert FILLED_UP == 2048, "as the reference says"
    for count, version in ((FILLED_UP - 1, 1), (FILLED_UP, 2)):
        columns = Columns([0] * count, [NOON] * count, [0.5] * count)
        assert pack(columns)[0] == version


@pytest.mark.parametrize(
    ("value", "bytes_a_point"),
    [
        (lambda one: math.exp(-one / 999) + one * 7919 % 1000 / 1e4, 9),
        (lambda one: struct.unpack("f", struct.pack("f", math.exp(-one / 999)))[0], 6),
        (lambda one: one % 97, 1.5),
    ],
    ids=["float64", "from float32", "whole"],
)
def test_a_compressed_point_takes_few_bytes(value, bytes_a_point):
    """With a step every 50 ms, more or less."""
    rest = random.Random(5)
    times = list(accumulate(rest.randrange(48_000, 52_000) for _ in range(4096)))
    values = [
        float(value(one)) + rest.random() * 1e-3 * (bytes_a_point == 9) for one in range(4096)
    ]
    if bytes_a_point < 2:
        times = [NOON] * 4096

    size = len(pack(Columns(list(range(4096)), times, values)))

    assert size / 4096 < bytes_a_point


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300),
            st.integers(YEAR_1, YEAR_9000) | st.integers(NOON, NOON + 2**20),
            st.floats(),
        ),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
def test_any_points_come_back_from_a_compressed_chunk(few, in_order):
    points = [few[place % len(few)] for place in range(FILLED_UP)]
    steps, times, values = map(list, zip(*points, strict=True))
    if in_order:
        steps, times = sorted(steps), sorted(times)

    found = unpack(pack(Columns(steps, times, values)))

    assert (list(found.steps), list(found.times)) == (steps, times)
    assert bytes(found.values) == bytes(array("d", values))


@pytest.mark.parametrize("columns", LONG, ids=["counted", "back", "gaps"])
def test_a_compressed_chunk_that_is_cut_or_longer_is_damaged(columns):
    chunk = pack(columns)

    for length in {*range(100), *range(100, len(chunk), 97), len(chunk) - 1}:
        with pytest.raises(StoreCorruptError):
            unpack(chunk[:length])
    with pytest.raises(StoreCorruptError):
        unpack(chunk + b"0")


@pytest.mark.parametrize("columns", LONG, ids=["counted", "back", "gaps"])
def test_a_changed_byte_is_an_error_or_another_chunk(columns):
    chunk = pack(columns)
    rest = random.Random(7)

    for _ in range(200):
        changed = bytearray(chunk)
        changed[rest.randrange(min(len(chunk), 400))] = rest.randrange(256)
        try:
            found = unpack(bytes(changed))
        except StoreCorruptError:
            continue
        assert len(found.steps) == len(found.times) == len(found.values)


def test_what_inflates_to_more_than_the_points_is_damaged_and_takes_no_memory():
    bomb = zlib.compress(bytes(50_000_000))
    head = struct.pack("<4BI qqq", 2, 0, 2, 0, FILLED_UP, 0, 1, NOON)
    chunk = head + b"\x0f\xff" + struct.pack("<I", len(bomb)) + bomb

    with pytest.raises(StoreCorruptError, match="its length is wrong"):
        unpack(chunk)
