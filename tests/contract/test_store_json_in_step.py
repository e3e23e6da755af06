"""`store.json` and the database in step: who writes when, what is taken in, what is said."""

import json
import os
from contextlib import contextmanager, nullcontext

import pytest

from runstore import ManagerStore
from runstore.errors import (
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
    StoreWarning,
)
from runstore.storage.blocks import BlockTable
from runstore.store_json import file as store_json
from runstore.store_json import sync
from runstore.store_json.file import FileLock, stamp_of
from runstore.store_json.lists import refresh_lists
from runstore.store_json.sync import BlockSync, trees_of


@pytest.fixture
def step(store):
    """The keeper of a `store.json` with two runs."""
    keeper = BlockSync(store.path, BlockTable(store.backend.database))
    for notes in ("one", "two"):
        store.start("fit", capture=False, notes=notes).finish()
    keeper.bring_together()
    return keeper


def blocks(keeper):
    return json.loads(keeper.path.read_text())


def notes_in(keeper):
    return [block["notes"] for block in blocks(keeper)]


def rewrite(keeper, change=lambda found: found):
    """Write the file as another program does: in its own way, with a change."""
    keeper.path.write_text(json.dumps(change(blocks(keeper)), indent=1))


def say(text):
    def change(found):
        found[0]["notes"] = text
        return found

    return change


@contextmanager
def unseen(store):
    """Change runs without a word to the keeper of the file, as a process that dies before it."""
    with store.backend.database.driver.as_one(lambda: None):
        yield


def again(store):
    """Return a keeper as another process has it, which has seen nothing yet."""
    return BlockSync(store.path, BlockTable(store.backend.database))


# Whose file it is


def test_a_file_of_ours_is_current_until_a_run_changes(store, step):
    assert step.is_current()
    assert not step.is_foreign()

    store.edit("fit#1", notes="more")
    step.path.unlink()

    assert not step.is_current()
    assert not step.is_foreign(), "there is none"


def test_a_file_of_another_program_is_foreign(step):
    rewrite(step)

    assert step.is_foreign()
    assert not step.is_current()


def test_a_file_of_another_database_is_foreign(store, step):
    with FileLock(step.path) as lock:
        lock.remember({**lock.state(), "database": 1})

    assert again(store).is_foreign()
    assert not again(store).is_current()


def test_a_file_belongs_to_the_database_that_wrote_it_last(store, step):
    assert not again(store).is_of_another_database()

    with FileLock(step.path) as lock:
        lock.remember({**lock.state(), "database": 1})
    assert again(store).is_of_another_database()

    step.lock.path.unlink()
    assert not again(store).is_of_another_database(), "nobody knows who wrote it"


@pytest.mark.parametrize("part", ["size", "mtime_ns", "inode", "changed"])
def test_each_part_of_what_is_remembered_counts(store, step, part):
    with FileLock(step.path) as lock:
        lock.remember({**lock.state(), part: lock.state()[part] - 1})

    assert not again(store).is_current()


def test_a_current_file_is_not_written_again(step):
    before = stamp_of(step.path)

    step.bring_together()
    step.write_or_warn()

    assert stamp_of(step.path) == before


def test_no_file_is_made_for_a_store_without_runs(store):
    keeper = again(store)

    keeper.bring_together()
    assert not keeper.path.exists()
    refresh_lists(store.backend)
    assert not keeper.path.exists()
    keeper.bring_together(file_is_wanted=True)
    assert blocks(keeper) == []


# Written


def test_the_file_follows_edits_and_what_takes_them_back(store, step):
    store.edit("fit#1", notes="better", author="ada")
    assert notes_in(step) == ["better", "two"]

    store.undo(author="ada")

    assert notes_in(step) == ["one", "two"]
    assert step.is_current()


def test_the_file_follows_deletions_and_what_takes_them_back(store, step):
    store.delete("fit#1", author="ada")
    assert notes_in(step) == ["two"]

    store.undo(author="ada")

    assert notes_in(step) == ["one", "two"]
    store.delete("fit#2")
    store.restore("fit#2")
    assert notes_in(step) == ["one", "two"]
    assert step.is_current()


def test_the_file_follows_moves_and_new_names(store, step):
    store.move("fit#1", "train")
    assert [block["experiment_name"] for block in blocks(step)] == ["train", "fit"]

    store.rename_experiment("fit", "test")

    assert [block["experiment_name"] for block in blocks(step)] == ["train", "test"]
    assert step.is_current()


def test_a_new_run_is_patched_into_the_file_and_a_removal_writes_it_anew(store, step, monkeypatch):
    calls = []

    def note(name):
        write = getattr(sync, name)

        def noted(*given):
            calls.append(name)
            return write(*given)

        monkeypatch.setattr(sync, name, noted)

    note("patched_list")
    note("whole_list")
    run = store.start("fit", capture=False, notes="three")
    assert (calls, notes_in(step)) == (["patched_list"], ["one", "two", "three"])
    run.finish()
    assert calls == 2 * ["patched_list"]

    store.delete("fit#2")

    assert (calls[2:], notes_in(step)) == (["whole_list"], ["one", "three"])
    assert step.is_current()


@pytest.mark.parametrize(("at_most", "reads"), [(2, 1), (1, 0)])
def test_many_changes_write_the_file_anew(store, step, monkeypatch, at_most, reads):
    monkeypatch.setattr(sync, "_PATCHES_AT_MOST", at_most)
    read, seen = sync.read_list, []

    def noted(path):
        seen.append(path)
        return read(path)

    with unseen(store):
        for number in (1, 2):
            store.edit(f"fit#{number}", notes=f"new {number}")
    monkeypatch.setattr(sync, "read_list", noted)

    step.bring_together()

    assert (len(seen), notes_in(step)) == (reads, ["new 1", "new 2"])


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("times", [1, 100])
def test_runs_that_another_program_adds_meanwhile_are_kept(
    store, step, monkeypatch, is_whole, times
):
    write, added = sync.write_block_file, []

    def add_before(path, pieces, *known):
        pieces = [*pieces]
        if len(added) < times:
            added.append(f"new_{len(added)}_x")
            rewrite(step, lambda found: [*found, {"reference": added[-1]}])
        return write(path, pieces, *known)

    if is_whole:
        rewrite(step, say("by hand"))
    monkeypatch.setattr(sync, "write_block_file", add_before)
    store.edit("fit#2", notes="better")
    monkeypatch.undo()

    assert again(store).is_current() is (times == 1)
    again(store).bring_together()
    assert [block["reference"] for block in blocks(step)[2:]] == added
    assert blocks(step)[1]["notes"] == "better"


def test_a_file_that_vanishes_while_it_is_patched_is_written_anew(store, step, monkeypatch):
    def gone(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(sync, "read_list", gone)

    store.edit("fit#1", notes="new")

    assert notes_in(step) == ["new", "two"]


def test_a_process_sees_what_it_and_others_changed(store, step):
    known = step.table.newest_change()
    with unseen(store):
        store.edit("fit#1", notes="new")
    newest = step.table.newest_change()
    step.bring_together()
    store.edit("fit#2", notes="newer")

    def changed(after):
        last, rows = step.news(after)
        return last, [row.run.notes for row in rows]

    now = step.table.newest_change()
    assert changed(known) == (newest, ["new"])
    assert changed(newest) == (now, ["newer"])
    assert changed(now) == (now, [])
    assert changed(0) == (now, ["new", "newer"]), "not known from the last writing"


# Taken in


def test_a_change_of_another_program_is_taken_in_and_said(store, step):
    rewrite(step, say("by hand"))

    with pytest.warns(StoreWarning, match="was changed by another program; imported: "):
        step.take_in_or_warn()

    assert store.get("fit#1").notes == "by hand"
    assert step.is_current()


def test_the_same_runs_in_another_form_are_left_as_they_are(step):
    rewrite(step)
    before = step.path.read_text()

    step.take_in_or_warn()

    assert step.path.read_text() == before
    assert step.is_current()


def test_a_run_that_is_not_shown_any_more_is_said_and_shown_again(step):
    rewrite(step, lambda found: found[1:])

    with pytest.warns(StoreWarning, match=r"no longer shows fit_1_\S+; the runs are kept"):
        step.bring_together()

    assert sorted(notes_in(step)) == ["one", "two"]


@pytest.mark.parametrize(("count", "more"), [(5, ""), (7, " And 2 more.")])
def test_a_damaged_file_is_kept_and_what_is_wrong_is_said(step, monkeypatch, count, more):
    from runstore.store_json.salvage import Salvaged

    found = Salvaged(problems=[f"Problem {n}." for n in range(count)])
    monkeypatch.setattr(sync, "read_block_file", lambda _: found)
    step.path.write_text("damaged")

    with pytest.warns(StoreWarning) as said:
        step.bring_together()

    (kept,) = step.folder.glob("store.json.damaged-*")
    assert str(said[0].message) == (
        f"{step.path} is damaged; it was kept as {kept.name}, and rewritten from the known runs."
        f" Problem 0. Problem 1. Problem 2. Problem 3. Problem 4.{more}"
    )
    assert len(said) == 1, "what a damaged file lacks, nobody took out"
    assert (kept.read_text(), notes_in(step)) == ("damaged", ["one", "two"])


@pytest.mark.parametrize("text", ["{}", '{"version": 2}', '{"runs": [{"note": "x"}]}'])
def test_an_object_that_names_no_run_is_no_run(store, step, text):
    step.path.write_text(text)

    with pytest.warns(StoreWarning, match=r"damaged.* does not name its run"):
        step.take_in_or_warn()

    assert len(store.list()) == 2
    assert notes_in(step) == ["one", "two"]


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_a_block_that_a_merge_left_twice_counts_once(store, step):
    new = {"reference": "new_1_x", "experiment_name": "new", "run_number": 1}

    rewrite(step, lambda found: [found[0], *found, new, new, {**new, "notes": "another"}])
    step.take_in_or_warn()

    references = [block["reference"][:5] for block in blocks(step)]
    assert references == ["fit_1", "fit_2", "new_1", "new_1"]
    assert step.is_current()


def test_a_database_that_was_put_back_gets_what_the_file_knows(store, step):
    with FileLock(step.path) as lock:
        lock.remember({**lock.state(), "changed": 10_000})

    again(store).bring_together()

    assert again(store).is_current()
    assert notes_in(step) == ["one", "two"]


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("complete", {"status": "error", "error": "too hot"}, ("error", "too hot")),
        ("complete", {"error": "too hot"}, ("complete", None)),
        ("error", {"status": "complete"}, ("complete", None)),
        ("error", {"status": "complete", "error": "broken"}, ("complete", "broken")),
        ("error", {"status": "incomplete"}, ("error", "broken")),
    ],
)
def test_an_end_that_another_program_writes_is_taken_in(store, step, before, after, expected):
    text = "broken" if before == "error" else None
    store.start("fit", capture=False).finish(before, error=text, traceback=text)
    step.bring_together()

    def change(found):
        found[-1].pop("error", None)
        found[-1].update(after)
        return found

    rewrite(step, change)
    step.take_in_or_warn()

    run = store.get("fit#3")
    assert (run.status.value, run.error) == expected
    assert (run.traceback is None) is (run.status.value != before or before == "complete")
    assert step.is_current()


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_an_error_that_is_taken_back_stays_in_the_history(store, step):
    store.start("fit", capture=False, notes="x").finish("error", error="broken")
    step.bring_together()

    def change(found):
        del found[-1]["error"]
        found[-1]["status"] = "complete"
        return found

    rewrite(step, change)
    step.take_in_or_warn()

    edits = [(one.field, one.old, one.new) for one in store.events("fit#3")]
    assert edits == [("status", "error", "complete"), ("error", "broken", None)]


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_texts_that_no_one_wrote_stay_missing(store, step):
    """The file has empty texts for them."""
    store.start("fit", capture=False).finish()
    step.bring_together()

    def change(found):
        found[-1]["status"] = "error"
        return found

    rewrite(step, change)
    step.take_in_or_warn()

    found = store.find("notes is missing and status = error")
    assert [one.reference for one in found] == [blocks(step)[-1]["reference"]]
    assert [one.field for one in store.events("fit#3")] == ["status"]
    assert blocks(step)[-1]["notes"] == ""


@pytest.mark.parametrize("others", ["", "appends", "edits"])
def test_an_older_file_takes_no_parameters_from_a_run(store, step, others):
    run = store.start("fit", params={"lr": 0.1}, capture=False, notes="begun")
    step.bring_together()
    older = blocks(step)
    run.add_params(layers=[64, 10])
    run.finish()
    store.edit(run.uid, notes="better")
    step.bring_together()
    if others == "appends":
        older.append({**older[-1], "reference": "new_1_x", "experiment_name": "new"})
    if others == "edits":
        older[-1] |= {"notes": "by hand", "team": "new key"}
    step.path.write_text(json.dumps(older))

    with pytest.warns(StoreWarning, match="imported") if others else nullcontext():
        step.take_in_or_warn()

    kept = store.get(run.uid)
    assert (kept.params, kept.status.value) == ({"lr": 0.1, "layers": [64, 10]}, "complete")
    assert kept.notes == ("by hand" if others == "edits" else "better")
    assert step.is_current()
    if others == "edits":
        assert blocks(step)[-1]["team"] == "new key"
        store.undo(run.uid)
        assert store.get(run.uid).notes == "better"


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_an_older_file_takes_no_edits_back_if_it_lacks_runs(store, step):
    older = blocks(step)
    store.edit("fit#1", notes="better")
    store.edit("fit#2", notes=None)
    store.start("fit", capture=False).finish()
    step.bring_together()
    older[0]["cli"] = "python other.py"
    step.path.write_text(json.dumps(older))

    step.take_in_or_warn()

    assert [store.get(f"fit#{number}").notes for number in (1, 2)] == ["better", None]
    assert [(one.field, one.new) for one in store.events("fit#1")][1:] == [
        ("cli", "python other.py")
    ]


def test_an_older_file_takes_no_parameters_from_a_run_that_goes_on(store, step):
    run = store.start("fit", params={"lr": 0.1}, capture=False)
    step.bring_together()
    older = blocks(step)
    run.add_params(layers=[64, 10])
    step.bring_together()
    step.path.write_text(json.dumps(older))

    step.take_in_or_warn()
    run.finish()

    assert store.get(run.uid).params == {"lr": 0.1, "layers": [64, 10]}


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
@pytest.mark.parametrize("sets", [[["base", "ab12"]], [["renamed", None]]])
def test_parameters_that_were_edited_by_hand_are_taken(store, step, sets):
    store.start("fit", params={"lr": 0.1}, capture=False).finish()
    step.bring_together()

    def edit(found):
        (before,) = found[-1]["args"]["fit"]
        found[-1]["args"]["fit"] = [[name, digest or before[1]] for name, digest in sets]
        found[-1]["cli"] = "python by_hand.py"
        return found

    rewrite(step, edit)
    step.take_in_or_warn()

    run = store.get("fit#3")
    assert [one.name for one in run.parameter_sets] == [sets[0][0]]
    assert run.cli == "python by_hand.py"


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_each_imported_note_is_undone_by_itself(store, step):
    rewrite(step, lambda found: [{**one, "notes": "by hand"} for one in found])
    step.take_in_or_warn()
    store.edit("fit#2", notes="later")

    store.undo("fit#1")

    assert store.get("fit#1").notes != "by hand"
    assert store.get("fit#2").notes == "later"


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_notes_are_set_back_in_the_file_and_by_an_undo(store, step):
    store.edit("fit#1", notes="better")
    step.bring_together()

    rewrite(step, say("one"))
    step.take_in_or_warn()
    assert store.get("fit#1").notes == "one"

    store.undo("fit#1")
    assert store.get("fit#1").notes == notes_in(step)[0] == "better"


@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_parameters_that_another_program_adds_are_taken_with_their_values(store, step):
    store.start("fit", params={"lr": 0.1}, capture=False)
    step.bring_together()
    registry = {"ab12": {"name": "wide", "width": "64"}}
    (store.path / "params_registry.json").write_text(json.dumps(registry))

    def add(found):
        found[-1]["args"]["fit"].append(["wide", "ab12"])
        return found

    rewrite(step, add)
    step.take_in_or_warn()

    values = [one.values for one in store.get("fit#3").parameter_sets]
    assert values == [{"lr": 0.1}, {"width": "64"}]


def test_a_run_without_a_time_began_when_the_file_was_written(store, step):
    def add(found):
        reference = "fit_3_by hand"
        return [*found, {"reference": reference, "experiment_name": "fit", "run_number": 3}]

    rewrite(step, add)
    os.utime(step.path, (1_600_000_000, 1_600_000_000))

    with pytest.warns(StoreWarning, match="imported: "):
        step.bring_together()

    assert store.get("fit#3").started_at.timestamp() == 1_600_000_000


# Read only, and locked


def test_a_store_that_cannot_be_written_leaves_the_file_alone(store, step):
    rewrite(step, say("by hand"))
    before = step.path.read_bytes()
    step.lock.path.unlink()
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    step.bring_together()
    step.take_in_or_warn()
    step.write_or_warn()

    assert step.path.read_bytes() == before
    assert not step.lock.path.exists()


@pytest.fixture
def locked(step, monkeypatch):
    """The keeper of a file that another program has locked for longer than anybody waits."""
    monkeypatch.setattr(store_json, "LOCK_PATIENCE_S", 0)
    monkeypatch.setattr(sync, "PATIENCE_S", 0)
    with FileLock(step.path):
        yield step


def test_a_locked_file_is_not_written(store, locked):
    before = locked.path.read_bytes()
    with pytest.warns(StoreWarning, match="was not updated: Another program kept"):
        store.delete("fit#1")

    with pytest.raises(StoreLockedError):
        locked.bring_together()
    with pytest.warns(StoreWarning, match="could not be written: Another program kept") as said:
        locked.write_or_warn()

    assert "The run is kept in the database beside it" in str(said[0].message)
    assert locked.path.read_bytes() == before


def test_a_run_that_is_withdrawn_while_the_file_is_locked_is_said_to_stay_in_it(store, locked):
    with pytest.warns(StoreWarning, match="was not updated: Another program kept"):
        run = store.start("fit", capture=False, notes="three")

    with pytest.warns(StoreWarning, match="was not updated: Another program kept"):
        run.execution.withdraw()

    assert notes_in(locked) == ["one", "two"]


def test_a_locked_file_is_not_taken_in(store, locked):
    rewrite(locked, say("by hand"))

    with pytest.raises(StoreLockedError):
        locked.take_in_or_warn()

    assert store.get("fit#1").notes == "one"


def test_a_folder_that_cannot_be_written_is_told_to_who_writes_blocks(store, step, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(store_json, "open_or_replace", refuse)

    with pytest.warns(StoreWarning, match="was not updated: The store at .* cannot be"):
        store.edit("fit#1", notes="new")
    with pytest.raises(StoreReadOnlyError):
        step.write_or_warn()

    assert notes_in(step) == ["one", "two"]


def test_a_file_that_cannot_be_read_costs_a_warning(step):
    step.path.unlink()
    step.path.mkdir()

    with pytest.warns(StoreWarning, match=r"could not be read: .*recorded in the database only"):
        step.take_in_or_warn()


def test_a_disk_that_does_not_tell_is_no_reason_to_write(step, monkeypatch):
    def fail(path):
        raise StoreUnavailableError(f"{path} cannot be read.")

    monkeypatch.setattr(sync, "stamp_of", fail)

    with pytest.raises(StoreUnavailableError):
        step.take_in_or_warn()


# What the registry beside it explains


def test_a_registry_explains_the_sets_that_are_asked_for(tmp_path):
    registry = {"abc": {"name": "a", "lr": "0.1"}, "def": {"lr": "0.2"}}
    (tmp_path / "params_registry.json").write_text(json.dumps(registry))

    assert trees_of(tmp_path).keys() == {"abc", "def"}
    assert trees_of(tmp_path, ["def"]).keys() == {"def"}
    assert trees_of(tmp_path, []) == {}
    assert json.loads(trees_of(tmp_path)["abc"]) == {"lr": "0.1"}
    assert os.listdir(tmp_path) == ["params_registry.json"]  # noqa: PTH208 - the names


@pytest.mark.parametrize("name", [None, "", 7])
def test_a_folder_whose_registry_names_no_set_opens(tmp_path, name):
    registry = {"abc": {"lr": "0.1"} if name is None else {"name": name, "lr": "0.1"}}
    (tmp_path / "params_registry.json").write_text(json.dumps(registry))
    block = {"reference": "fit_1_2026-11-24-T000000", "experiment_name": "fit", "run_number": 1}
    (tmp_path / "store.json").write_text(json.dumps([block]))

    assert ManagerStore(tmp_path).get_run(block["reference"])[0]["experiment_name"] == "fit"
