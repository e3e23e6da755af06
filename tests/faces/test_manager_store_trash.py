"""Deleting and restoring, seen through ManagerStore and its file."""

import json
import shutil
from datetime import timedelta

import pytest

from commands import python
from managers import BLOCKS, STORES, Manager, blocks_of
from places import place, store_at
from runstore import ManagerStore

REFERENCES = [block["reference"] for block in BLOCKS]


@pytest.fixture
def folder(tmp_path):
    """A folder that Curifactory wrote, opened once."""
    shutil.copytree(STORES / "0.20.5", tmp_path / "data")
    ManagerStore(tmp_path / "data")
    return tmp_path / "data"


def in_file(folder):
    return [block["reference"] for block in blocks_of(folder)]


def test_the_file_shows_a_deletion_and_a_restoration_at_once(folder):
    store = store_at(folder)

    store.delete(REFERENCES[1])
    assert in_file(folder) == [REFERENCES[0], *REFERENCES[2:]]
    store.restore(REFERENCES[1])

    assert blocks_of(folder) == BLOCKS
    store.delete(REFERENCES[0])
    store.undo()
    assert blocks_of(folder) == BLOCKS


def test_who_has_the_list_open_sees_both_in_their_place(folder):
    manager_store, store = ManagerStore(folder), store_at(folder)
    assert len(manager_store.runs) == len(BLOCKS)

    store.delete(REFERENCES[1])
    assert manager_store.get_run(REFERENCES[1]) == (None, -1)
    store.restore(REFERENCES[1])

    assert manager_store.get_run(REFERENCES[1]) == (BLOCKS[1], 1)
    assert [block["reference"] for block in manager_store.runs] == REFERENCES


def test_what_was_taken_out_of_the_list_is_in_the_trash(folder):
    manager_store = ManagerStore(folder)
    del manager_store.runs[1]
    manager_store.save()

    store = store_at(folder)
    assert [run.reference for run in store.trash()] == [REFERENCES[1]]
    assert [event.field for event in store.backend.edits.events(store.trash()[0].uid)] == [
        "deleted"
    ]
    store.restore("latest")
    assert blocks_of(folder) == BLOCKS


def test_an_older_file_brings_nothing_back_that_is_gone_for_good(folder):
    older = (folder / "store.json").read_text()
    store = store_at(folder)
    store.delete(REFERENCES[2])
    store.collect_garbage(older_than=timedelta(0))

    (folder / "store.json").write_text(older)
    manager_store = ManagerStore(folder)

    assert manager_store.get_run(REFERENCES[2]) == (None, -1)
    assert REFERENCES[2] not in in_file(folder)


def test_a_list_that_was_open_all_the_time_forgets_what_is_gone_for_good(folder):
    manager_store = ManagerStore(folder)
    assert len(manager_store.runs) == len(BLOCKS)
    code = (
        "import sys; from datetime import timedelta; from runstore import Store;"
        "store = Store.open(sys.argv[1]); store.delete(sys.argv[2]);"
        "store.collect_garbage(older_than=timedelta(0))"
    )
    ended = python("-c", code, str(place(folder)), REFERENCES[3], cwd=folder)
    assert ended.returncode == 0, ended.stderr

    manager = Manager()
    manager_store.add_run(manager)

    assert [block["reference"] for block in manager_store.runs] == [
        *REFERENCES[:3],
        manager.get_reference_name(),
    ]
    assert json.loads((folder / "store.json").read_text()) == manager_store.runs


def test_a_renamed_experiment_is_renamed_in_the_file(folder):
    store = store_at(folder)
    name = BLOCKS[0]["experiment_name"]

    store.rename_experiment(name, "digits")

    blocks = blocks_of(folder)
    assert {block["experiment_name"] for block in blocks if block["reference"] != ""} >= {"digits"}
    assert not any(block["experiment_name"] == name for block in blocks)
    assert ManagerStore(folder).get_experiment_runs("digits")
    assert ManagerStore(folder).get_run(REFERENCES[0])[0] is not None
    store.undo()
    assert blocks_of(folder) == BLOCKS
