"""`store.json` in the hands of others: editors, git, read-only disks, other tools."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys

import pytest

from commands import open_to_all, python
from managers import BLOCKS, STORES, TEXT, Manager, blocks_of
from places import store_at
from runstore import ManagerStore, StoreWarning
from runstore.errors import StoreUnavailableError
from runstore.model.status import Status
from runstore.storage.blocks import CHANGED_ROWS
from runstore.store_json.file import FileLock, write_block_file


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def write(folder, blocks):
    (folder / "store.json").write_text(json.dumps(blocks, indent=4))


@pytest.fixture
def folder(tmp_path):
    """A folder that Curifactory wrote."""
    shutil.copytree(STORES / "0.20.5", tmp_path / "data")
    return tmp_path / "data"


def test_edits_of_an_editor_are_taken_in_and_said(folder):
    ManagerStore(folder)
    edited = json.loads(TEXT)
    edited[0]["notes"] = "by an editor"
    edited[1]["team"] = ["new key"]
    del edited[3]["workdir_dirty"]
    write(folder, edited)

    with pytest.warns(StoreWarning, match=r"imported: 3 runs changed \(mnist_1"):
        store = ManagerStore(folder)

    assert store.runs == edited == blocks_of(folder)
    event = store_at(folder).events("mnist#1")[0]
    assert (event.author, event.old, event.new) == ("store.json", "first run", "by an editor")


def test_change_of_another_while_the_store_is_open_is_taken_in_by_the_next_call(folder):
    store = ManagerStore(folder)
    assert len(store.runs) == 4
    write(folder, [*BLOCKS, {**BLOCKS[0], "reference": "other_1_x", "experiment_name": "other"}])

    with pytest.warns(StoreWarning, match=r"1 run added \(other_1_x\)"):
        store.add_run(Manager())

    assert [one["reference"][:7] for one in store.runs[-2:]] == ["other_1", "mnist_4"]
    assert blocks_of(folder) == store.runs


def test_same_content_written_anew_is_no_news(folder):
    ManagerStore(folder)
    for text in (json.dumps(BLOCKS), TEXT):
        (folder / "store.json").write_text(text)

        assert ManagerStore(folder).runs == BLOCKS
        assert (folder / "store.json").read_text() == text


def test_checkout_of_an_older_file_loses_nothing(folder):
    store = ManagerStore(folder)
    store.add_run(manager := Manager(notes="new"))
    manager.status = "complete"
    store.update_run(manager)
    expected = blocks_of(folder)
    older = json.loads(TEXT)
    older[0]["status"] = "incomplete"
    write(folder, older)

    with pytest.warns(StoreWarning, match="no longer shows mnist_4_.*; the runs are kept"):
        assert ManagerStore(folder).runs == expected == blocks_of(folder)


def test_run_that_was_deleted_or_moved_does_not_come_back_with_an_older_file(folder):
    store = ManagerStore(folder)
    del store.runs[0]
    store.save()
    store_at(folder).edit("broken#1", experiment_name="fixed")
    expected = ManagerStore(folder).runs
    assert expected[1]["reference"] == "fixed_1_2026-11-23-T085301"
    write(folder, BLOCKS)

    assert ManagerStore(folder).runs == expected == blocks_of(folder)


def test_end_that_another_tool_reports_is_taken(folder):
    blocks = [dict(BLOCKS[0], status="incomplete"), *BLOCKS[1:]]
    write(folder, blocks)
    ManagerStore(folder)
    assert not store_at(folder).get("mnist#1").status.is_final
    write(folder, [dict(blocks[0], status="error", error="E - e"), *BLOCKS[1:]])

    with pytest.warns(StoreWarning, match="1 run changed"):
        ManagerStore(folder)

    run = store_at(folder).get("mnist#1")
    assert (run.status, run.error) == (Status.ERROR, "E - e")


def test_numbers_and_references_that_stand_twice_are_all_kept(folder):
    write(folder, [BLOCKS[0], BLOCKS[0], dict(BLOCKS[0], notes="third"), BLOCKS[1]])

    store = ManagerStore(folder)

    assert [one["run_number"] for one in store.runs] == [1, 1, 1, 2]
    store.runs[2]["notes"] = "edited"
    store.save()
    again = ManagerStore(folder)
    assert [one["notes"] for one in again.runs] == ["first run", "first run", "edited", ""]
    assert again.add_run(Manager())["run_number"] == 3


def test_blocks_that_say_little_or_nonsense_are_kept_verbatim(folder):
    odd = [
        {"reference": "just_a_name"},
        {"experiment_name": "x", "run_number": "seven"},
        {"unknown": {"deep": [1.5, None]}},
        {"reference": 5, "params": [], "args": 3, "status": None, "notes": ["a"]},
        {"reference": "half \ud83d", "experiment_name": "\0", "notes": "\ud83d\0"},
    ]
    write(folder, odd)

    assert ManagerStore(folder).runs == odd
    assert ManagerStore(folder).runs == odd == blocks_of(folder)
    assert len(store_at(folder).list()) == len(odd)


def test_permissions_and_a_link_of_the_file_are_kept(folder, tmp_path):
    shutil.move(folder / "store.json", tmp_path / "real.json")
    (tmp_path / "real.json").chmod(0o640)
    (folder / "store.json").symlink_to(tmp_path / "real.json")

    ManagerStore(folder).add_run(Manager())

    assert (folder / "store.json").is_symlink()
    assert stat.S_IMODE((tmp_path / "real.json").stat().st_mode) == 0o640
    assert len(json.loads((tmp_path / "real.json").read_text())) == 5


def test_failed_write_leaves_the_old_file_and_nothing_beside_it(folder):
    def chunks():
        yield b"["
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_block_file(folder / "store.json", chunks())

    assert (folder / "store.json").read_text() == TEXT
    assert names_in(folder) == ["params_registry.json", "store.json"]


def test_file_that_cannot_be_written_costs_a_warning_and_not_the_run(folder):
    store = ManagerStore(folder)
    (folder / ".store.json.new").mkdir()

    with pytest.warns(StoreWarning, match="kept in the database"):
        block = store.add_run(Manager())

    (folder / ".store.json.new").rmdir()
    assert ManagerStore(folder).runs[-1] == block
    assert blocks_of(folder)[-1] == block


def test_folder_that_is_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "data").write_text("x")

    with pytest.raises(StoreUnavailableError, match="data"):
        ManagerStore(tmp_path / "data")


READ_ONLY = """
import os, sys
import runstore.capture.surroundings, runstore.capture.machine.process, runstore.storage.database
from runstore import ManagerStore
from runstore.errors import StoreReadOnlyError
os.setgid(65534); os.setuid(65534)
class Manager: experiment_name = "mnist"
store = ManagerStore(sys.argv[1])
print(len(store.runs), store.get_run(store.runs[0]["reference"])[1])
for call in (lambda: store.add_run(Manager()), store.save):
    try: call()
    except StoreReadOnlyError as error: print("cannot be written" in str(error))
"""


@pytest.mark.folder_only("takes rights of the folder away")
@pytest.mark.skipif(os.geteuid() != 0, reason="changes the user")
@pytest.mark.parametrize("has_database", [True, False])
def test_read_only_folder_can_be_read(folder, tmp_path, has_database):
    if has_database:
        program = "import sys, runstore; runstore.ManagerStore(sys.argv[1])"
        assert python("-c", program, folder, cwd=tmp_path).returncode == 0
    for path in (folder, *folder.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    open_to_all(tmp_path)
    before = names_in(folder)

    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(folder)], capture_output=True, text=True, check=False
    )

    assert done.stdout.split() == ["4", "0", "True", "True"], done.stderr
    assert names_in(folder) == before


def test_lock_of_a_killed_holder_is_free(folder):
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from runstore.store_json.file import FileLock\n"
        "FileLock(Path(sys.argv[1])).__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    python("-c", program, folder / "store.json", cwd=folder)

    with FileLock(folder / "store.json") as lock:
        lock.remember({"a": 1})

    assert lock.state() == {"a": 1}


@pytest.mark.folder_only("reads the plans of SQLite")
def test_changed_runs_are_found_by_an_index(folder):
    """Each add_run asks for them; a walk through all runs would make it slow in a long list."""
    ManagerStore(folder)
    with contextlib.closing(sqlite3.connect(folder / "runstore.db")) as connection, connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {CHANGED_ROWS}", {"after": 1}).fetchall()

    assert any("runs_by_change (changed>?)" in step[-1] for step in steps)
    assert not any("SCAN r" in step[-1] for step in steps)


def test_a_block_that_is_taken_out_by_hand_is_said_and_kept(folder):
    store = ManagerStore(folder)
    store.save()
    blocks = blocks_of(folder)
    write(folder, blocks[1:])

    with pytest.warns(StoreWarning, match=f"no longer shows {blocks[0]['reference']}"):
        again = ManagerStore(folder)

    assert again.runs == blocks == blocks_of(folder)
