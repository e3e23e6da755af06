"""`store.json` shows each change of a run when the call returns, whoever makes it."""

import json
import os
import pickle
import signal
import subprocess
import sys
import warnings

import pytest

import runstore
from command_server import Program
from commands import messages
from commands import runstore as command
from runstore import ManagerStore, Store
from runstore.errors import StoreReadOnlyError, StoreWarning
from runstore.model.block import block_from_run
from runstore.recording import live_runs
from runstore.storage.blocks import BlockTable
from runstore.store_json import sync
from runstore.store_json.file import FileLock, stamp_of
from runstore.store_json.lists import Lists
from threads import at_once


@pytest.fixture
def shown(store):
    """A store with a `store.json`, and a run in it that has ended."""
    ManagerStore(store.path).save()
    store.start("fit", capture=False, notes="first").finish()
    yield store
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for run in store.list():
            begun = live_runs.running(run.uid)
            if begun is not None:
                begun.run.finish()


def blocks(store):
    return json.loads((store.path / "store.json").read_text())


def is_current(store):
    """Whether the file shows all runs of the database as they are."""
    rows = BlockTable(store.backend.database).rows()
    return blocks(store) == [block_from_run(row.run) for row in rows]


def stamp(store):
    return stamp_of(store.path / "store.json")


# Each way to write


def resume_and_fail(store):
    store.resume("fit#1").finish("error", error="too hot")


def leave_by_an_error(store):
    with pytest.raises(ValueError, match="too hot"), store.start("fit", capture=False):
        raise ValueError("too hot")


def delete_and_restore(store):
    store.start("fit", capture=False, notes="second").finish()
    store.delete("fit#1")
    assert [block["run_number"] for block in blocks(store)] == [2]
    store.restore("fit#1")


def note_in_a_run(store):
    store.start("fit", capture=False).edit(notes="on the way")


def add_parameters(store):
    store.start("fit", capture=False).add_params({"seed": 3})


WAYS = {
    "Store.start": lambda store: store.start("fit", capture=False),
    "start_run": lambda store: runstore.start_run("fit", store=store, capture=False),
    "with capture": lambda store: store.start("fit"),
    "finish": lambda store: store.start("fit", capture=False).finish("error", error="too hot"),
    "an exception": leave_by_an_error,
    "resume": resume_and_fail,
    "a note of a run": note_in_a_run,
    "late parameters": add_parameters,
    "Store.edit": lambda store: store.edit("fit#1", notes="better"),
    "Store.move": lambda store: store.move("fit#1", "tune"),
    "Store.rename_experiment": lambda store: store.rename_experiment("fit", "tune"),
    "Store.delete": lambda store: store.delete("fit#1"),
    "Store.restore": delete_and_restore,
    "Store.record": lambda store: store.record("fit", started_at="2025-03-01T10:30:00Z"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_file_shows_it_when_the_call_returns(shown, way):
    before = blocks(shown)

    WAYS[way](shown)

    assert blocks(shown) != before
    assert is_current(shown)


def test_the_file_shows_what_is_taken_back(shown):
    before = blocks(shown)
    for change in (
        lambda: shown.edit("fit#1", notes="better", author="ada"),
        lambda: shown.move("fit#1", "tune", author="ada"),
        lambda: shown.delete("tune#1", author="ada"),
    ):
        change()
        changed = blocks(shown)
        shown.undo(author="ada")
        assert blocks(shown) != changed
        change()
        assert is_current(shown)
    shown.undo(author="ada")
    shown.undo(author="ada")
    shown.undo(author="ada")

    assert blocks(shown)[0]["notes"] == before[0]["notes"]
    assert is_current(shown)


@pytest.mark.parametrize("change", ["tag", "add"])
def test_what_no_block_shows_leaves_the_file_current(shown, change):
    if change == "tag":
        shown.tag("fit#1", {"phase": "two"})
    else:
        shown.add("fit#1", metrics={"acc": 0.5})

    assert is_current(shown)
    assert next(Lists(shown.backend).every()).is_current()


def test_a_start_that_is_withdrawn_is_not_shown_and_does_not_come_back(shown):
    before = blocks(shown)

    run = runstore.start_run("late", store=shown, capture=False)

    @run
    def late():
        """Do nothing."""

    assert blocks(shown) == before
    shown.edit("fit#1", notes="better")
    assert is_current(shown)
    late()
    assert [block["experiment_name"] for block in blocks(shown)] == ["fit", "late"]


def test_a_start_that_is_withdrawn_after_another_change_is_not_shown(shown):
    run = shown.start("late", capture=False)
    shown.edit("fit#1", notes="better")

    run.execution.withdraw()

    assert [block["notes"] for block in blocks(shown)] == ["better"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ManagerStore(shown.path).runs) == 1


def test_ends_that_were_kept_aside_are_shown_when_they_are_taken_in(shown, monkeypatch):
    writes = []
    write = sync.write_block_file
    monkeypatch.setattr(
        sync, "write_block_file", lambda *given: writes.append(given) or write(*given)
    )
    runs = [shown.start("fit", capture=False) for _ in range(3)]
    driver = shown.backend.database.driver
    driver.refuse_writes(StoreReadOnlyError("The disk is read-only."))
    with pytest.warns(StoreWarning, match="Kept in .* the end of fit_2_"):
        for run in runs:
            run.finish()
    assert [block["status"] for block in blocks(shown)[1:]] == ["incomplete"] * 3
    driver.refuse_writes(None)
    writes.clear()

    with Store.open(shown.path):
        assert is_current(shown)

    assert {block["status"] for block in blocks(shown)} == {"complete"}
    assert len(writes) == 1, "once for all of them"


def test_runs_that_turn_out_to_be_lost_are_shown_so(shown):
    code = (
        "import os, runstore\n"
        f"runstore.start_run('gone', store={str(shown.path)!r}, capture=False)\n"
        "os.kill(os.getpid(), 9)"
    )
    Program(code).wait()
    assert len(blocks(shown)) == 2

    assert shown.get("gone#1").status is runstore.Status.LOST

    assert is_current(shown)


# Commands


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "params").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "train.py").write_text("def run(params, manager):\n    pass\n")
    (tmp_path / "params" / "small.py").write_text("def get_params():\n    return [{'lr': 0.1}]\n")
    with Store.open(tmp_path / ".runstore") as store:
        ManagerStore(store.path).save()
        store.start("fit", capture=False, notes="first").finish()
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("note", "fit#1", "better"),
        ("mv", "fit#1", "tune"),
        ("rm", "fit#1", "--yes"),
        ("exec", "--", "true"),
        ("run", "train", "-p", "small"),
        ("record", "fit", "--started", "2025-03-01T10:30:00Z"),
    ],
    ids=lambda words: words[0],
)
def test_commands_show_what_they_did(folder, words):
    with Store.open(folder / ".runstore") as store:
        before = blocks(store)

    ended = command(*words, cwd=folder)

    assert ended.returncode == 0, messages(ended)
    with Store.open(folder / ".runstore") as store:
        assert blocks(store) != before
        assert is_current(store)


# Who else writes


def test_a_copy_of_a_run_in_another_process_shows_what_it_writes(shown):
    run = shown.start("fit", capture=False)
    code = "import pickle, sys\npickle.load(sys.stdin.buffer).edit(notes='from the worker')"

    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(run), check=True, timeout=60)

    assert blocks(shown)[-1]["notes"] == "from the worker"
    run.finish()
    assert is_current(shown)


def test_threads_and_processes_that_write_at_once_leave_a_current_file(shown):
    code = (
        "import runstore\n"
        f"store = runstore.Store.open({str(shown.path)!r})\n"
        "for _ in range(5): store.start('fit', capture=False).finish()"
    )
    programs = [subprocess.Popen([sys.executable, "-W", "error", "-c", code]) for _ in range(2)]
    at_once([lambda: shown.start("fit", capture=False).finish()] * 4)

    assert [program.wait(60) for program in programs] == [0, 0]
    assert len(blocks(shown)) == 15
    assert is_current(shown)


def test_a_handler_that_ends_a_run_while_the_file_is_written_waits_for_nothing(shown, monkeypatch):
    run = shown.start("fit", capture=False)
    write = sync.write_block_file
    before = signal.signal(signal.SIGALRM, lambda *_: run.finish())

    def interrupted(*given):
        if not run.status.is_final:
            signal.raise_signal(signal.SIGALRM)
        return write(*given)

    monkeypatch.setattr(sync, "write_block_file", interrupted)
    try:
        shown.edit("fit#1", notes="better")
    finally:
        signal.signal(signal.SIGALRM, before)

    assert [block["status"] for block in blocks(shown)] == ["complete", "complete"]
    assert is_current(shown)


# Cheap, and no harm to the program


def test_points_and_facts_leave_the_file_alone(shown):
    run = shown.start("fit", capture=False)
    before = stamp(shown)

    for step in range(100):
        run.log(loss=step)
    shown.backend.database.mark_seen([run.uid])
    run.save("note.txt", b"words")
    assert len(shown.series_of(run, "loss").values) == 100

    assert stamp(shown) == before
    run.finish()
    assert is_current(shown)


def test_points_leave_a_file_alone_that_somebody_is_editing(shown):
    run = shown.start("fit", capture=False)
    (shown.path / "store.json").write_text(json.dumps(blocks(shown), indent=1))
    before = stamp(shown)

    run.save("note.txt", b"words")
    assert stamp(shown) == before

    run.finish()
    assert is_current(shown)


def test_a_change_of_another_program_is_taken_in_with_the_next_change(shown):
    found = blocks(shown)
    found[0]["notes"] = "by hand"
    (shown.path / "store.json").write_text(json.dumps(found, indent=1))

    with pytest.warns(StoreWarning, match="was changed by another program; imported: 1 run"):
        shown.start("fit", capture=False)

    assert shown.get("fit#1").notes == "by hand"
    assert is_current(shown)


def test_a_folder_without_the_file_gets_none(store):
    store.start("fit", capture=False).finish()

    assert "store.json" not in os.listdir(store.path)  # noqa: PTH208 - the names
    assert Lists not in store.backend._parts


def test_a_file_that_cannot_be_written_costs_one_warning_for_each_change(shown):
    (shown.path / "store.json").unlink()
    (shown.path / "store.json").mkdir()

    with pytest.warns(StoreWarning, match=r"store\.json was not updated") as said:
        run = shown.start("fit", capture=False)
        run.save("note.txt", b"words")
        shown.backend.database.mark_seen([run.uid])
    assert len(said) == 1
    with pytest.warns(StoreWarning, match="was not updated") as said_last:
        run.finish()

    assert {one.filename for one in (*said, *said_last)} == {__file__}
    assert shown.get(run.uid).status is runstore.Status.COMPLETE


def test_a_run_begins_and_ends_as_well_if_warnings_are_errors(shown):
    run = shown.start("fit", capture=False)
    (shown.path / "store.json").unlink()
    (shown.path / "store.json").mkdir()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StoreWarning, match="was not updated"):
            shown.start("late", capture=False)
        with pytest.raises(StoreWarning, match="was not updated"):
            run.finish()

    begun = shown.get("late#1")
    assert live_runs.running(begun.uid) is None, "nobody has it in hand"
    assert begun.status is runstore.Status.ERROR
    assert run.status is shown.get(run.uid).status is runstore.Status.COMPLETE


def test_a_program_does_not_wait_long_for_one_that_holds_the_file(shown, monkeypatch):
    monkeypatch.setattr(sync, "PATIENCE_S", 0)
    with FileLock(shown.path / "store.json"), pytest.warns(StoreWarning, match="kept .* locked"):
        run = shown.start("fit", capture=False)
    assert len(blocks(shown)) == 1

    run.finish()

    assert is_current(shown)
