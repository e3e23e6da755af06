"""undo and redo on the command line: old edits are named before they are undone."""

import pytest

from commands import answered, messages
from commands import runstore_here as runstore
from places import store_at

HOUR = 3_600_000_000  # microseconds


@pytest.fixture
def folder(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        store.start("fit", capture=False).finish()
        store.edit("fit#1", notes="old note")
        store.tag("fit#1", {"phase": "pilot"})
    return tmp_path


def grow_older(folder, micros):
    """Let all edits be from before that time."""
    with (
        store_at(folder / ".runstore") as store,
        store.backend.database.driver.write() as connection,
    ):
        connection.execute("UPDATE events SET at = at - ?", (micros,))


def run_in(folder):
    with store_at(folder / ".runstore") as store:
        found = store.get("fit#1")
        return found.notes, dict(found.tags)


def test_fresh_edits_are_undone_and_redone_unasked(folder):
    grow_older(folder, HOUR * 9 // 10)

    assert runstore("undo", cwd=folder).stdout.endswith("tags.phase: pilot → (none)\n")
    assert runstore("undo", cwd=folder).stdout.endswith("notes: old note → (none)\n")
    assert run_in(folder) == (None, {})
    assert runstore("redo", cwd=folder).stdout.endswith("notes: (none) → old note\n")
    assert runstore("redo", "--dry-run", cwd=folder).stdout.endswith("(none) → pilot\n")
    assert run_in(folder) == ("old note", {})
    runstore("redo", cwd=folder)
    assert run_in(folder) == ("old note", {"phase": "pilot"})
    nothing = runstore("redo", cwd=folder)
    assert nothing.returncode == 3
    assert messages(nothing)[0] == "runstore: There is no undone edit to redo."


def test_an_old_edit_is_not_undone_without_a_terminal(folder):
    grow_older(folder, 2 * HOUR)

    refused = runstore("undo", cwd=folder)

    assert refused.returncode == 2
    assert "Nothing was undone." in refused.stderr
    assert run_in(folder)[1] == {"phase": "pilot"}
    assert runstore("undo", "--dry-run", cwd=folder).returncode == 0
    assert runstore("undo", "-y", cwd=folder).returncode == 0
    assert run_in(folder)[1] == {}


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, {"phase": "pilot"}), ("y", 0, {})])
def test_an_old_edit_is_named_and_asked_for(folder, answer, code, left):
    grow_older(folder, 2 * HOUR)

    ended, drawn = answered(answer, "undo", cwd=folder)

    before = drawn.partition("Undo it?")[0]
    assert ended == code
    assert "tags.phase: pilot → (none) (edited " in before
    assert run_in(folder)[1] == left


def test_a_second_undo_asks_if_the_edit_before_is_old(folder):
    grow_older(folder, 2 * HOUR)
    runstore("tag", "fit#1", "+new", cwd=folder)

    assert runstore("undo", cwd=folder).returncode == 0
    assert runstore("undo", cwd=folder).returncode == 2
    assert run_in(folder) == ("old note", {"phase": "pilot"})
