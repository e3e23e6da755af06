"""Chunks of metric points: the format byte by byte, and chunks that are not as we write them."""

import struct
from array import array
from itertools import pairwise

import pytest

from runstore.errors import StoreCorruptError
from runstore.storage.metrics.chunks import (
    POINTS_AT_MOST,
    Columns,
    chunk_digest,
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
    assert taken_apart(chunk).difference == difference
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

    assert counted[:5] == (3, 5, 2, b"", NOON)
    assert counted.offsets == struct.pack("<3I", 0, 3, 1)
    assert counted.times == b""
    assert counted.values == struct.pack("<3d", *COUNTED.values)
    assert each[:6] == (3, 0, None, struct.pack("<3q", *EACH.steps), 0, None)
    assert each.times == struct.pack("<3q", *EACH.times)


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
        with pytest.raises(StoreCorruptError, match="cut off"):
            unpack(chunk[:length])


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_not_read(version):
    chunk = bytes([version]) + pack(COUNTED)[1:]

    with pytest.raises(StoreCorruptError, match=f"version {version} is not known") as caught:
        taken_apart(chunk)

    assert caught.value.kept == "It was not changed."


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("layout", [2, 255])
def test_another_layout_is_not_read(place, layout):
    chunk = bytearray(pack(EACH))
    chunk[place] = layout

    with pytest.raises(StoreCorruptError, match="its layout is not known"):
        taken_apart(bytes(chunk))


@pytest.mark.parametrize("chunk", [None, "text", 7, 0.5])
def test_a_cell_that_holds_no_bytes_is_no_chunk(chunk):
    with pytest.raises(StoreCorruptError, match="it is none"):
        taken_apart(chunk)


@pytest.mark.parametrize("count", [0, POINTS_AT_MOST + 1])
def test_no_points_or_too_many_are_no_chunk(count):
    body = struct.pack("<qqq", 0, 1, NOON) + bytes(12 * count)

    with pytest.raises(StoreCorruptError):
        taken_apart(struct.pack("<4BI", 1, 0, 0, 0, count) + body)


@pytest.mark.parametrize("times", [[YEAR_1 - 1], [YEAR_9000 + 1], [NOON, YEAR_1 - 1, NOON + 1]])
def test_times_without_a_date_are_damaged(times):
    columns = Columns(list(range(len(times))), times, [1.0] * len(times))

    with pytest.raises(StoreCorruptError, match="its times are none"):
        taken_apart(pack(columns))


def test_steps_that_do_not_count_are_damaged():
    chunk = struct.pack("<4BI qqq 2I 2d", 1, 0, 0, 0, 2, 5, 0, NOON, 0, 0, 1.0, 1.0)

    with pytest.raises(StoreCorruptError, match="its steps do not count"):
        unpack(chunk)


def test_steps_beyond_all_numbers_are_damaged():
    chunk = struct.pack("<4BI qqq 2I 2d", 1, 0, 0, 0, 2, 2**63 - 1, 1, NOON, 0, 0, 1.0, 1.0)

    with pytest.raises(StoreCorruptError, match="its steps have no end"):
        unpack(chunk)


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
