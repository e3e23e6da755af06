"""A damaged block list gives up everything that can be understood."""

from __future__ import annotations

import json
from pathlib import Path
from random import randrange

import pytest

from runstore.store_json.block_text import CurrentEntry, patched_list, whole_list
from runstore.store_json.file import decode, read_blocks_from
from runstore.store_json.salvage import read_blocks

STORES = Path(__file__).parent.parent / "data" / "curifactory"
TEXT = (STORES / "0.20.5" / "store.json").read_text()
BLOCKS = json.loads(TEXT)


def test_whole_file_is_read_without_a_problem():
    found = read_blocks(TEXT)

    assert found.blocks == BLOCKS
    assert found.problems == []


@pytest.mark.parametrize("indent", [None, 1, 2, 4, 8, "\t"])
def test_layout_does_not_matter(indent):
    assert read_blocks(json.dumps(BLOCKS, indent=indent)).blocks == BLOCKS


@pytest.mark.parametrize("indent", [None, 2, 4])
def test_file_cut_anywhere_keeps_every_whole_block_and_guesses_nothing(indent, is_full_campaign):
    text = json.dumps(BLOCKS, indent=indent)
    ends = [len(json.dumps(BLOCKS[: at + 1], indent=indent)) - 2 for at in range(4)]
    every = 1 if is_full_campaign else 3
    first = randrange(every)
    print("cut first at", first)  # shown if this fails
    for length in range(first, len(text), every):
        found = read_blocks(text[:length])

        assert found.problems, length
        for kept, whole in zip(found.blocks, BLOCKS, strict=False):
            for key, value in kept.items():
                assert whole[key] == value, (length, key)
        ended = sum(end < length for end in ends)
        assert found.blocks[:ended] == BLOCKS[:ended], length


def test_half_written_block_counts_as_soon_as_it_names_its_run():
    begin = TEXT.index('"reference": "broken_1')
    line_end = TEXT.index("\n", begin)

    assert len(read_blocks(TEXT[: line_end - 2]).blocks) == 2
    found = read_blocks(TEXT[:line_end])
    assert found.blocks[2] == {"reference": "broken_1_2026-11-23-T085301"}


def test_number_at_the_very_end_is_not_believed():
    text = '[{"reference": "m_12_2026-11-23-T085301", "run_number": 1'

    assert read_blocks(text).blocks == [{"reference": "m_12_2026-11-23-T085301"}]


def test_garbage_in_one_value_costs_that_value_alone():
    text = TEXT.replace('"commit": "deeb9c8ee1', '"commit": "dee\n@@@\x00', 1)

    found = read_blocks(text)

    lost = dict(BLOCKS[0])
    del lost["commit"]
    assert found.blocks == [lost, *BLOCKS[1:]]
    assert any("mnist_1" in problem for problem in found.problems)


def test_nul_within_a_text_is_kept():
    found = read_blocks(TEXT.replace("first run", "first\0run", 1))

    assert found.blocks[0]["notes"] == "first\0run"


@pytest.mark.parametrize(
    "text",
    [
        "[" + TEXT + "]",
        TEXT + "]",
        TEXT + TEXT[-1:],
        "x" + TEXT,
        TEXT + "\n<<<<<<< HEAD",
        json.dumps({"runs": BLOCKS}),
        TEXT[:-1],
        TEXT[1:],
        TEXT.replace("    },\n", "    }\n"),
        TEXT.replace("[\n", "[\n7, null,\n", 1),
    ],
)
def test_blocks_are_found_between_brackets_out_of_order(text):
    found = read_blocks(text)

    assert found.blocks == BLOCKS
    assert found.problems


def test_two_lists_one_after_the_other_give_both():
    assert read_blocks(TEXT + TEXT).blocks == BLOCKS + BLOCKS


def test_hole_of_nuls_costs_the_blocks_it_covers():
    begin, end = TEXT.index("mnist_2"), TEXT.index("broken_1_")
    text = TEXT[:begin] + "\0" * (end - begin) + TEXT[end:]

    nameless = dict(BLOCKS[2])
    del nameless["reference"]
    assert read_blocks(text).blocks == [BLOCKS[0], nameless, BLOCKS[3]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings_of_editors_are_no_damage(encoding):
    text = json.dumps(BLOCKS, indent=4, ensure_ascii=False)

    found = read_blocks_from(text.encode(encoding))

    assert found.blocks == BLOCKS
    assert found.problems == []


def test_wrong_bytes_cost_their_characters_alone():
    text = json.dumps(BLOCKS, indent=4, ensure_ascii=False).encode("latin-1", "replace")

    found = read_blocks_from(text)

    assert [one["reference"] for one in found.blocks] == [one["reference"] for one in BLOCKS]
    assert found.problems


@pytest.mark.parametrize(
    "data", [b"", b" \n", b"\0" * 50, b"\xff" * 9, b"7", b"{}", b"[" * 99_999]
)
def test_file_with_nothing_in_it_is_a_problem_and_no_crash(data):
    found = read_blocks_from(data)

    assert found.blocks in ([], [{}])
    assert found.problems
    assert isinstance(decode(data)[0], str)


def test_a_list_without_runs_is_in_order():
    assert read_blocks("[]").problems == []


def test_whole_list_has_curifactorys_layout_to_the_byte():
    assert b"".join(whole_list(BLOCKS)).decode() == TEXT
    assert b"".join(whole_list([])) == b"[]"


def test_patched_list_is_the_list_made_anew():
    new = dict(BLOCKS[0], reference="mnist_4_x")
    edited = [
        dict(BLOCKS[1], status="error", error="no\n    },\n    {"),
        dict(BLOCKS[3], notes="ü"),
    ]
    changes = [
        *(CurrentEntry(one, is_new=False) for one in edited),
        CurrentEntry(new, is_new=True),
    ]

    pieces = patched_list(TEXT.encode(), changes)

    expected = [BLOCKS[0], edited[0], BLOCKS[2], edited[1], new]
    assert b"".join(pieces).decode() == json.dumps(expected, indent=4)


def test_first_blocks_of_an_empty_list():
    pieces = patched_list(b"[]", [CurrentEntry(one, is_new=True) for one in BLOCKS])

    assert b"".join(pieces).decode() == TEXT


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(BLOCKS),
        json.dumps(BLOCKS, indent=2),
        TEXT[:-2],
        json.dumps(BLOCKS * 2, indent=4),
    ],
)
def test_place_that_is_not_certain_is_not_patched(text):
    assert patched_list(text.encode(), [CurrentEntry(BLOCKS[1], is_new=False)]) is None
