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
def test_facts_that_cannot_be_kept_name_their_run(tmp_path, monkeypatch, capsys, are_errors):
    """The thread that reads them has no line of the program, and may not be ended by a warning."""

    def refuse(*_):
        raise StoreLockedError("The store is locked.")

    with Store.open(tmp_path / "store") as store, store.start("fit", capture=False) as run:
        where = Surroundings.here(store=store.path)
        reading = Capture(store.backend.database, run.uid, run.record.facts, where, Facts())
        monkeypatch.setattr(store.backend.database, "attach_facts", refuse)

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("error" if are_errors else "always")
            reading.do_with([])

    told = f"Some facts about {run.reference} could not be kept: The store is locked."
    assert [(one.filename, str(one.message)) for one in said] == (
        [] if are_errors else [("runstore", told)]
    )
    assert capsys.readouterr().err == (f"runstore: {told}\n" if are_errors else "")
