"""Blocks of every dialect are read, laid over and written without losing what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.model.block import (
    STATUS_OF_WORD,
    WORD_OF_STATUS,
    block_from_run,
    decode_block,
    encode_block,
    fields_from_block,
    lasting_uid,
    status_of_word,
)
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.run import Run
from runstore.model.status import Status

STORES = Path(__file__).parent.parent / "data" / "curifactory"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KNOWN_KEYS = (
    "reference", "experiment_name", "run_number", "timestamp", "commit", "workdir_dirty",
    "param_files", "params", "params_files", "args", "full_store", "status", "cli", "hostname",
    "notes", "error", "reproduce",
)  # fmt: skip


def a_run(**changes):
    run = Run(
        uid="0",
        experiment_name="example_experiment",
        run_number=1,
        reference="example_experiment_1_2021-06-15-T100003",
        timestamp="2021-06-15-T100003",
        status=Status.COMPLETE,
        started_at=datetime(2021, 6, 15, tzinfo=timezone.utc),
        parameter_sets=(
            ParameterSet(
                "test_params", "44b5e428e7165975a3e4f0d1674dbe5f", None, "example_params"
            ),
        ),
        cli="experiment example_experiment -p example_params",
        notes="",
    )
    return replace(run, **changes)


def run_of(block):
    """The row that importing this block makes."""
    said = fields_from_block(block)
    return a_run(
        experiment_name=said.experiment_name or "unknown",
        run_number=said.run_number or 0,
        reference=said.reference or "made up",
        timestamp=said.timestamp or "",
        status=said.status,
        commit=said.commit,
        workdir_dirty=said.workdir_dirty,
        parameter_sets=said.parameter_sets,
        full_store=said.full_store,
        cli=said.cli,
        notes=said.notes,
        error=said.error,
        reproduce=said.reproduce,
        block=json.dumps(block),
    )


def test_run_of_our_own_has_the_keys_of_the_page_in_its_order():
    block = block_from_run(a_run())

    assert list(block) == [
        "reference", "experiment_name", "run_number", "timestamp", "commit", "params_files",
        "args", "full_store", "status", "cli", "hostname", "notes",
    ]  # fmt: skip
    assert block["params_files"] == ["example_params"]
    assert block["args"] == {
        "example_params": [["test_params", "44b5e428e7165975a3e4f0d1674dbe5f"]]
    }
    assert (block["commit"], block["status"], block["full_store"]) == ("", "complete", False)


def test_sets_without_a_file_stand_under_the_name_of_the_experiment():
    block = block_from_run(a_run(parameter_sets=(ParameterSet("default", "ab", None),)))

    assert block["params_files"] == ["example_experiment"]
    assert block["args"] == {"example_experiment": [["default", "ab"]]}


def test_error_and_reproduce_are_there_only_when_there_is_something_to_say():
    block = block_from_run(a_run(error="ValueError - no", reproduce="experiment x --cache y"))

    assert list(block)[-2:] == ["error", "reproduce"]


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.QUEUED, "incomplete"),
        (Status.RUNNING, "incomplete"),
        (Status.INTERRUPTED, "incomplete"),
        (Status.LOST, "incomplete"),
        (Status.PRUNED, "incomplete"),
        (Status.LIVE, "LIVE"),
        (Status.COMPLETE, "complete"),
        (Status.ERROR, "error"),
    ],
)
def test_every_status_has_its_word(status, word):
    assert WORD_OF_STATUS[status] == word
    assert block_from_run(a_run(status=status))["status"] == word


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("incomplete", Status.RUNNING),
        ("complete", Status.COMPLETE),
        ("error", Status.ERROR),
        ("LIVE", Status.LIVE),
        ("live", Status.LIVE),
        (" Complete ", Status.COMPLETE),
        ("queued", Status.QUEUED),
        ("running", Status.RUNNING),
        ("interrupted", Status.INTERRUPTED),
        ("lost", Status.LOST),
        ("pruned", Status.PRUNED),
        ("on fire", Status.RUNNING),
        ("", Status.RUNNING),
        (None, Status.RUNNING),
        (7, Status.RUNNING),
        (["complete"], Status.RUNNING),
    ],
)
def test_every_word_has_its_status(word, status):
    assert status_of_word(word) is status


def test_the_tables_of_words_miss_no_status():
    assert set(WORD_OF_STATUS) == set(Status)
    assert set(STATUS_OF_WORD.values()) == set(Status)


@pytest.mark.parametrize("version", ["0.14.2", "0.20.5"])
def test_blocks_of_curifactory_come_back_as_they_were(version):
    text = (STORES / version / "store.json").read_text()

    blocks = [block_from_run(run_of(block)) for block in json.loads(text)]

    assert json.dumps(blocks, indent=4) == text


@pytest.mark.parametrize("version", ["0.14.2", "0.20.5"])
def test_fields_are_read_from_both_dialects(version):
    block = json.loads((STORES / version / "store.json").read_text())[1]

    said = fields_from_block(block)

    assert (said.experiment_name, said.run_number, said.status) == ("mnist", 2, Status.COMPLETE)
    assert [(one.file, one.name) for one in said.parameter_sets] == [
        ("small", "baseline"),
        ("small", "wide ü"),
        ("big", "huge"),
    ]
    assert [len(one.hash) for one in said.parameter_sets] == [33, 32, 32]
    assert said.full_store
    assert said.workdir_dirty is False


@given(st.dictionaries(st.sampled_from(KNOWN_KEYS) | st.text(max_size=5), JSON, max_size=10))
def test_any_block_is_read_and_comes_back_key_for_key(block):
    back = block_from_run(run_of(block))

    assert json.dumps(back) == json.dumps(block)


def test_what_the_row_knows_better_is_laid_over():
    block = {
        "status": "incomplete", "x-team": {"a": [1]}, "notes": "old", "reference": "m_1_t",
        "experiment_name": "m", "params": None, "param_files": None,
    }  # fmt: skip
    run = replace(run_of(block), status=Status.ERROR, error="E - e", notes="new")

    back = block_from_run(run)

    assert back == {**block, "status": "error", "error": "E - e", "notes": "new"}
    assert list(back)[: len(block)] == list(block)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.INTERRUPTED, Status.PRUNED, Status.LOST])
def test_word_stays_where_the_status_has_the_same_one(status):
    run = replace(run_of({"reference": "m_1_t", "status": "incomplete"}), status=status)

    assert block_from_run(run)["status"] == "incomplete"


@pytest.mark.parametrize("word", ["pruned", "interrupted", "lost"])
@pytest.mark.parametrize("status", [Status.RUNNING, Status.PRUNED, Status.INTERRUPTED])
def test_a_word_that_names_an_end_stays_only_while_it_is_true(word, status):
    run = replace(run_of({"reference": "m_1_t", "status": word}), status=status)

    shown = block_from_run(run)["status"]

    assert shown == (word if word == status.value else "incomplete")


def test_session_whose_process_is_gone_was_a_live_one():
    run = replace(run_of({"reference": "m_1_t", "status": "LIVE"}), status=Status.LOST)

    assert block_from_run(run)["status"] == "LIVE"


def test_moved_run_gets_its_new_name_in_the_block():
    block = {"reference": "a_1_2021-06-15-T100003", "experiment_name": "a", "run_number": 1}
    moved = replace(
        run_of(block), reference="b_9_2021-06-15-T100003", experiment_name="b", run_number=9
    )

    assert block_from_run(moved) == {
        "reference": "b_9_2021-06-15-T100003",
        "experiment_name": "b",
        "run_number": 9,
    }


def test_number_and_name_are_taken_from_the_reference_when_they_are_missing():
    said = fields_from_block({"reference": "a_b_12_2021-06-15-T100003"})

    assert (said.experiment_name, said.run_number) == ("a_b", 12)
    assert said.timestamp == "2021-06-15-T100003"


@pytest.mark.parametrize("number", [True, "7", 1e300, -3, 2**70, float("nan"), None, [1]])
def test_run_number_of_another_type_is_unknown(number):
    assert fields_from_block({"experiment_name": "a", "run_number": number}).run_number is None


def test_text_that_no_database_takes_is_read_and_kept_verbatim():
    block = {"reference": "a_1_t", "notes": "half \ud83d pair and \0"}

    assert fields_from_block(block).notes == "half ? pair and \ufffd"
    assert block_from_run(run_of(block)) == block


def test_message_about_a_missing_repository_is_no_commit():
    assert fields_from_block({"commit": "No git repository found"}).commit is None


def test_import_on_two_machines_gives_one_uid():
    block = json.loads((STORES / "0.20.5" / "store.json").read_text())[0]

    assert lasting_uid(block) == lasting_uid(dict(block, notes="edited"))
    assert lasting_uid(block) != lasting_uid(dict(block, timestamp="2026-11-23-T085258"))
    assert lasting_uid({})[14] == "7"


def test_block_text_has_the_layout_of_the_file():
    block = {"reference": "ü", "args": {}, "n": [1]}

    assert f"[\n    {encode_block(block)}\n]" == json.dumps([block], indent=4)
    assert decode_block(encode_block(block)) == block


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "{]", "[" * 100_000])
def test_text_that_is_no_object_is_no_block(text):
    assert decode_block(text) is None
