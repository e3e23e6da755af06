"""What `ManagerStore` reads and makes for each run."""

import json
import threading

import pytest

from managers import Manager
from runstore import ManagerStore
from runstore.model.block import block_from_run
from runstore.storage import blocks
from runstore.storage.sqlite.driver import SQLiteDriver


@pytest.mark.folder_only("counts statements of SQLite")
def test_one_run_is_read_once_and_made_into_a_block_once(tmp_path, monkeypatch):
    """What `add_run` wrote is read back once, for `store.json`, `runs` and the caller together."""
    store = ManagerStore(tmp_path)
    store.add_run(Manager())
    made, reads = [], []
    monkeypatch.setattr(
        blocks, "block_from_run", lambda run: made.append(run) or block_from_run(run)
    )
    read = SQLiteDriver.read
    me = threading.get_ident()

    def counted(driver):
        if threading.get_ident() == me:  # and not for what was captured before
            reads.append(driver.path)
        return read(driver)

    monkeypatch.setattr(SQLiteDriver, "read", counted)

    block = store.add_run(Manager())

    assert (len(made), len(reads)) == (1, 1)
    assert store.runs[-1] is block
    assert json.loads((tmp_path / "store.json").read_text()) == store.runs


def test_what_an_owner_edits_in_a_block_of_add_run_is_an_edit(tmp_path):
    store = ManagerStore(tmp_path)
    block = store.add_run(Manager())
    other = store.add_run(Manager())
    sets = block["params" if "params" in block else "args"]

    block["notes"] = "mine"
    sets["late"] = [["a", "b1"]]
    store.save()

    again = ManagerStore(tmp_path)
    assert again.runs[0]["notes"] == "mine"
    assert again.runs == store.runs == [block, other]
