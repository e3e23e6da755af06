"""An interruption at the worst moment leaves no lock of the database or of store.json behind."""

import signal
import sqlite3
import sys

import pytest

from runstore import ManagerStore, Store
from runstore.storage.files import locks


def interrupted_after(name, call):
    """Raise KeyboardInterrupt as soon as a function of this name has called something."""

    def watch(frame, event, called):
        if event == "c_return" and frame.f_code.co_name == name and called.__name__ == "execute":
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(watch)
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
    finally:
        sys.setprofile(None)


def test_ctrl_c_right_after_the_write_lock_was_taken_gives_it_back(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("fit", capture=False)

        interrupted_after("_begin", lambda: store.tag(run, {"phase": "pilot"}))

        other = sqlite3.connect(tmp_path / "runstore.db", timeout=0)
        other.execute("BEGIN IMMEDIATE")
        other.close()
        run.finish()
        assert store.get("fit#1").tags == {}


def test_ctrl_c_right_after_the_lock_of_store_json_was_taken_gives_it_back(tmp_path, monkeypatch):
    ManagerStore(tmp_path).save()
    with Store.open(tmp_path) as store:
        run = store.start("fit", capture=False)
        lock = locks.wait_for_lock

        def interrupted(*arguments, **more):
            monkeypatch.undo()
            lock(*arguments, **more)
            raise KeyboardInterrupt

        monkeypatch.setattr("runstore.store_json.file.wait_for_lock", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.tag(run, {"phase": "pilot"})

        store.edit(run, notes="warm up")
        run.finish()

    assert ManagerStore(tmp_path).runs[0]["notes"] == "warm up"
