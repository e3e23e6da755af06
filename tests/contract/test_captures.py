"""Facts that are read in the background: by one thread, once for all runs that wait for them."""

import sys
import textwrap
import threading
import warnings

import pytest

from command_server import Program
from commands import git
from runstore import Store, background
from runstore.capture.surroundings import Surroundings
from runstore.errors import StoreLockedError
from runstore.model.facts import Facts
from runstore.recording.captures import Capture


@pytest.fixture
def repository(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("print(1)\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    (tmp_path / "train.py").write_text("print(2)\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_many_quick_starts_share_their_readings(repository, tmp_path_factory):
    store = Store.open(tmp_path_factory.mktemp("runs"))
    before = threading.active_count()
    uids = []
    for _ in range(20):
        run = store.start("fit")
        uids.append(run.uid)
        run.finish()

    background.wait_until_done(60)

    assert threading.active_count() <= before + 1
    patches = {store.document(uid, "patch") for uid in uids}
    assert len(patches) == 1
    assert "print(2)" in patches.pop()
    assert all("python.executable" in store.get(uid).facts.values for uid in uids)
    store.close()


def test_no_more_than_one_thread_reads(repository):
    """Seen in the system's own list, as threads that no module counts are threads too."""
    script = """
        import os, runstore
        store = runstore.Store.open("runs")
        most = 0
        for number in range(40):
            store.start("fit").finish()
            most = max(most, len(os.listdir("/proc/self/task")))
        print(most)
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("threads are counted in /proc")

    most, errors = Program(textwrap.dedent(script), cwd=repository).communicate()

    assert errors == ""
    assert int(most) <= 4  # the main one, signs of life, the reader


def test_runs_in_different_places_get_facts_of_their_own(repository, tmp_path, monkeypatch):
    store = Store.open(tmp_path / "runs")
    first = store.start("fit")
    (tmp_path / "other").mkdir()
    git(tmp_path / "other", "init", "-q")
    monkeypatch.chdir(tmp_path / "other")
    second = store.start("fit")

    background.wait_until_done(60)

    roots = [store.get(one.uid).facts.values["git.root"] for one in (first, second)]
    assert [root.rsplit("/", 1)[-1] for root in roots] == [tmp_path.name, "other"]
    for run in (first, second):
        run.finish()
    store.close()


@pytest.mark.parametrize("are_errors", [False, True])
def test_facts_wait_until_the_store_can_be_written(tmp_path, monkeypatch, capsys, are_errors):
    """The thread that reads them has no line of the program, and may not be ended by a warning."""

    def refuse(*_):
        raise StoreLockedError("The store is locked.")

    code = Facts(values={"git.dirty": True}, documents={"patch": "+x = \ud83d\ude00\n"})
    with Store.open(tmp_path / "store") as store, store.start("fit", capture=False) as run:
        where = Surroundings.here(store=store.path)
        reading = Capture(store.backend, run.uid, run.record.facts, where, code)
        with monkeypatch.context() as locked:
            locked.setattr(store.backend.database, "attach_facts", refuse)

            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("error" if are_errors else "always")
                reading.do_with([])

        run.tags["phase"] = "pilot"
        waiting = [path.name.split(".")[2] for path in (store.path / "spool").glob("*.json")]
        run.finish()
        found = store.get(run.uid)

    assert waiting == ["facts"]
    assert found.facts.values["python.version"]
    assert (found.workdir_dirty, found.tags) == (True, {"phase": "pilot"})
    told = (
        f"The store is locked. Kept in {store.path / 'spool'} until the store can be written"
        f" again: facts about {run.reference} and later facts."
    )
    assert [(one.filename, str(one.message)) for one in said] == (
        [] if are_errors else [("runstore", told)]
    )
    assert capsys.readouterr().err == (f"runstore: {told}\n" if are_errors else "")
