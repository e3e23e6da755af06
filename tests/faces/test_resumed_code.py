"""A run that is resumed on other code says so, and keeps that code as well."""

import subprocess

import pytest

from commands import git, python, runstore_here
from places import store_at
from runstore import background
from runstore.errors import StoreLockedError
from runstore.storage.database import Database

BEGIN = (
    "import os, runstore\nfrom runstore import background\nrun = runstore.start_run('x')\n"
    "run.log(a=1.0)\nbackground.wait_until_done(60)\nos._exit(1)\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    monkeypatch.chdir(tmp_path)
    python("-c", BEGIN, cwd=tmp_path)
    return tmp_path


def head(folder):
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def resumed(folder, name="x#1"):
    with store_at(folder / ".runstore") as store:
        store.resume(name).finish()
        background.wait_until_done(60)
        run = store.get(name)
        return run, [one for one in store.events(run.uid) if one.field == "code"]


def test_another_commit_is_kept_beside_the_first(folder):
    first = head(folder)
    (folder / "train.py").write_text("2\n")
    git(folder, "commit", "-qam", "two")
    (folder / "train.py").write_text("3\n")

    run, events = resumed(folder)

    assert run.commit == first
    assert run.facts.values["resumed.1.git.commit"] == head(folder)
    assert [(one.old, one.new) for one in events] == [
        (first[:12], f"{head(folder)[:12]} with changes")
    ]
    assert head(folder)[:12] in run.facts.unknown["resumed.code"]
    shown = runstore_here("show", "x#1", "--document", "resumed.1.patch", cwd=folder).stdout
    assert "+3" in shown
    assert "code: " in runstore_here("show", "--history", "x#1", cwd=folder).stdout


def test_changes_alone_are_other_code(folder):
    (folder / "train.py").write_text("2\n")

    run, events = resumed(folder)

    assert "with changes" in run.facts.unknown["resumed.code"]
    assert len(events) == 1


@pytest.mark.parametrize("name", ["train.py", "new.py"])
def test_changes_too_large_to_be_kept_are_other_code(folder, name):
    (folder / name).write_text("2" * 5_000_000)
    python("-c", BEGIN, cwd=folder)
    same, _ = resumed(folder, "x#2")
    python("-c", BEGIN, cwd=folder)
    (folder / name).write_text("3" * 5_000_000)
    other, _ = resumed(folder, "x#3")

    assert "resumed.code" not in same.facts.unknown
    assert "resumed.code" in other.facts.unknown


def test_the_same_code_leaves_no_event(folder):
    run, events = resumed(folder)

    assert events == []
    assert "resumed.code" not in run.facts.unknown
    assert run.facts.values["resumed.1.git.commit"] == run.commit


def test_results_of_the_run_are_no_other_code(folder):
    """A run that saved a checkpoint is resumed with it; what it would find now is unknown."""
    (folder / "checkpoint.csv").write_text("1\n")

    run, events = resumed(folder)

    assert events == []
    assert "resumed.code" not in run.facts.unknown
    assert "resumed.files" in run.facts.unknown
    with store_at(folder / ".runstore") as store:
        store.start("x").finish()
        background.wait_until_done(60)
        assert [one.unknown for one in store.similar("x#2")] == [()]
    remarks = runstore_here("diff", "x#1", "x#2", cwd=folder)
    assert "other code" not in remarks.stdout + remarks.stderr


def test_code_that_cannot_be_compared_is_not_taken_for_the_same(folder, monkeypatch):
    """The run must not be taken for one of the code that it began with."""
    (folder / "train.py").write_text("2\n")

    def refuse(*_):
        raise StoreLockedError("The store is locked.")

    monkeypatch.setattr(Database, "document", refuse)
    run, _ = resumed(folder)

    why = "the code of its start could not be read: The store is locked."
    assert run.facts.unknown["resumed.code"] == why
    assert run.facts.values["resumed.1.git.dirty"] is True


def test_each_resumption_is_kept(folder):
    for number in (2, 3):
        (folder / "train.py").write_text(f"{number}\n")
        git(folder, "commit", "-qam", "more")
        run, events = resumed(folder)

    assert len(events) == 2
    assert events[1].old == run.facts.values["resumed.1.git.commit"][:12]
    assert run.facts.values["resumed.2.git.commit"] == head(folder)


def test_a_run_resumed_on_other_code_is_not_taken_for_its_own(folder):
    (folder / "train.py").write_text("2\n")
    git(folder, "commit", "-qam", "two")
    resumed(folder)
    with store_at(folder / ".runstore") as store:
        store.start("x").finish()
        background.wait_until_done(60)

        remarks = runstore_here("diff", "x#1", "x#2", cwd=folder)

    assert "it continued with other code" in remarks.stdout + remarks.stderr


def test_without_capture_nothing_is_traced(folder):
    with store_at(folder / ".runstore") as store:
        store.start("y", capture=False).finish()
        store.resume("y#1").finish()

        assert store.get("y#1").facts.values == {}


def test_a_program_can_wait_for_what_is_read_in_the_background(folder):
    with store_at(folder / ".runstore") as store:
        run = store.start("z")

        background.wait_until_done(60)

        assert "python.prefix" in run.record.facts.values
        run.finish()


def test_a_program_that_starts_itself_again_can_continue_its_run(tmp_path):
    (tmp_path / "train.py").write_text(
        "import os, sys, runstore\n"
        "if sys.argv[1:]:\n"
        "    with runstore.start_run(resume=sys.argv[1]) as run:\n"
        "        run.log(loss=1.0)\n"
        "    sys.exit()\n"
        "run = runstore.start_run('fit', capture=False)\n"
        "run.log(loss=2.0)\n"
        "os.execv(sys.executable, [sys.executable, __file__, run.reference])\n"
    )

    ended = python("train.py", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    with store_at(tmp_path / ".runstore") as store:
        (run,) = store.list()
        assert (run.status, list(run.metric("loss").values)) == ("complete", [2.0, 1.0])
        assert [(one.field, one.old, one.new) for one in store.events(run)] == [
            ("status", "lost", "running")
        ]
