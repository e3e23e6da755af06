"""Runs are pushed to and pulled from another store on the command line."""

import errno
import io
import json
from itertools import pairwise

import pytest
from rich.console import Console

from commands import messages, on_terminal
from commands import runstore_here as runstore
from places import store_at
from runstore import Store
from runstore.cli import output, transfers
from runstore.errors import StoreUnavailableError, UsageError
from runstore.storage.files.spool import Spool


@pytest.fixture
def here(filled, tmp_path):
    (tmp_path / "team").mkdir()
    return filled(two_runs)


def two_runs(store):
    for lr in (0.1, 0.2):
        with store.start("mnist", params={"lr": lr}, capture=False) as run:
            run.log(loss=lr)
            run.save("model.bin", f"weights {lr}".encode())


def test_runs_are_pushed_once(here):
    first = runstore("push", "team/runs", cwd=here)
    again = runstore("push", "team/runs", cwd=here)

    place = "team/runs"
    assert (first.returncode, first.stdout) == (0, "")
    assert messages(first) == [
        f"runstore: 2 runs were added to {place}; 2 files copied, 22 bytes."
    ]
    assert again.returncode == 0
    assert messages(again) == [f"runstore: nothing to do: {place} has 2 runs already."]


def test_words_select_runs_of_the_sending_store(here):
    runstore("push", "mnist", "params.lr > 0.1", "team/runs", cwd=here)
    none = runstore("push", "params.lr > 9", here / "team" / "runs", cwd=here)
    pulled = runstore("pull", "mnist#2", "team/runs", "--store", "own", cwd=here)

    assert messages(pulled) == ["runstore: 1 run was added to own; 1 file copied, 11 bytes."]
    assert messages(none) == ["runstore: nothing to do."]
    wrong = runstore("pull", "mnist#1", "team/runs", "--store", "own", cwd=here)
    assert wrong.returncode == 3


def test_counts_are_printed_as_json(here):
    dry = runstore("push", "--dry-run", "--json", "team", cwd=here)
    assert dry.returncode == 5  # there is no store yet

    ended = runstore("push", "--json", "team/runs", cwd=here)

    assert json.loads(ended.stdout) == {
        "added": 2,
        "changed": 0,
        "unchanged": 0,
        "points": 2,
        "contents": {"files": 2, "size_bytes": 22},
        "joined": [],
        "skipped": [],
        "is_dry": False,
    }


def test_edits_and_a_dry_run_are_told(here):
    runstore("push", "team/runs", cwd=here)
    runstore("tag", "mnist#1", "+keep", cwd=here)

    dry = runstore("push", "--dry-run", "team/runs", cwd=here)
    done = runstore("push", "team/runs", cwd=here)

    assert dry.stdout == "runstore: 1 run would be updated, 1 was there already.\n"
    assert messages(done) == ["runstore: 1 run was updated, 1 was there already."]
    listed = runstore("ls", "tags.keep is not missing", "--store", "team/runs", cwd=here)
    assert "mnist_1_" in listed.stdout


@pytest.mark.folder_only("deletes a file of the store")
def test_a_damaged_run_is_told_and_the_exit_code_is_one(here):
    with store_at(here / ".runstore") as store:
        path = store.backend.objects.path_of(store.get("mnist#1").artifacts["model.bin"].digest)
        path.unlink()

    ended = runstore("push", "team/runs", cwd=here)

    assert ended.returncode == 1
    first, second = messages(ended)
    assert "1 run was added" in first
    assert "1 run skipped, damaged: mnist_1_" in second


def test_active_and_deleted_runs_are_told(here):
    runstore("push", "team/runs", cwd=here)
    runstore("rm", "-y", "mnist#1", "--store", "team/runs", cwd=here)
    runstore("gc", "-y", "--trash", "--store", "team/runs", cwd=here)
    with store_at(here / ".runstore") as store, store.start("mnist", capture=False):
        ended = runstore("push", "team/runs", cwd=here)

    assert ended.returncode == 0
    _, active, deleted = messages(ended)
    assert active.startswith("runstore: 1 run skipped, not finished: mnist_3_")
    assert deleted.endswith(" To restore it, add --restore.")
    skipped = deleted.partition(" in team/runs: ")[2].partition(".")[0]
    assert skipped.startswith("mnist_1_")
    again = runstore("push", "--restore", skipped, "team/runs", cwd=here)
    assert messages(again)[0].startswith("runstore: 1 run was added to team/runs; 1 file copied")


def test_long_references_of_skipped_runs_are_cropped_on_a_terminal(here):
    with store_at(here / ".runstore") as store, store.start("e" * 200, capture=False) as run:
        drawn = on_terminal("push", "team/runs", cwd=here)
        piped = runstore("push", "team/runs", cwd=here)

    assert f": eee{'e' * 35}…{run.reference[-21:]}." in drawn
    assert f": {run.reference}." in piped.stderr


@pytest.mark.parametrize("word", ["mnist", "team"])
def test_no_store_is_created_by_a_slip(here, word):
    (here / "team" / "notes.txt").touch()

    ended = runstore("push", word, cwd=here)

    assert ended.returncode == 2
    assert messages(ended)[1] == "Nothing was transferred."
    assert not (here / "mnist").exists()
    assert [one.name for one in (here / "team").iterdir()] == ["notes.txt"]


def test_a_store_that_is_missing_is_not_pulled(here):
    ended = runstore("pull", "team/runs", cwd=here)

    assert (ended.returncode, ended.stdout) == (5, "")
    assert "There is no store" in messages(ended)[0]


def test_progress_of_a_long_transfer_is_shown_on_a_terminal(here, monkeypatch):
    drawn = io.StringIO()
    monkeypatch.setattr(transfers, "_QUICK_S", 0)
    monkeypatch.setattr(output, "is_terminal", lambda **_: True)
    monkeypatch.setattr(
        output, "console", lambda **_: Console(file=drawn, force_terminal=True, width=100)
    )

    with store_at(here / ".runstore") as store, transfers.shown_progress() as progress:
        store.push(here / "team" / "runs", progress=progress)

    assert "2/2" in drawn.getvalue()
    assert "runs, 22 bytes of files" in drawn.getvalue()


def test_an_interrupted_transfer_names_its_progress(capsys):
    with pytest.raises(KeyboardInterrupt), transfers.shown_progress() as progress:
        progress(50, 10_000, 0)
        raise KeyboardInterrupt

    assert capsys.readouterr().err == (
        "runstore: interrupted after 50 of 10,000 runs; these are complete."
        " Repeat the command to continue.\n"
    )


@pytest.mark.folder_only("a server may take longer")
def test_a_quick_transfer_draws_nothing(here):
    shown = on_terminal("push", "team/runs", cwd=here)

    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(("begun", "offered"), [("mni", "mnist"), ("mnist#", "mnist#2")])
def test_runs_and_folders_are_completed(here, begun, offered):
    asking = {"_RUNSTORE_COMPLETE": "zsh_complete", "COMP_WORDS": f"runstore push {begun}"}

    ended = runstore(cwd=here, env={**asking, "COMP_CWORD": "2"})

    lines = ended.stdout.splitlines()
    assert ("plain", offered) in pairwise(lines)
    assert ("dir", begun) in pairwise(lines)


def test_runs_are_pushed_to_a_server(here):
    pytest.importorskip("psycopg")
    with pytest.importorskip("postgres_server").database() as url:
        pushed = runstore("push", url, cwd=here)

        assert "2 runs were added to postgresql://" in messages(pushed)[0]
        with Store.open(url) as team, Store.open(here / "own") as own:
            assert own.pull(team, runs=["mnist#2"]).added == 1
            with pytest.raises(UsageError, match="same store"):
                team.push(url)


def test_data_that_waits_on_this_machine_is_delivered(here):
    with store_at(here / ".runstore") as store:
        run = store.get("mnist#1")
        body = {"changes": {"late": "yes"}, "author": "ada"}
        kept = store.backend.spool.keep(run.uid, "tags", body)

    ended = runstore("push", cwd=here)

    assert ended.returncode == 0
    assert "data of 1 run that waited on this machine was written to" in messages(ended)[0]
    assert run.reference in messages(ended)[0]
    assert "no data is waiting" in messages(runstore("push", cwd=here))[0]
    assert not kept.exists()
    with store_at(here / ".runstore") as store:
        assert store.get(run.uid).tags["late"] == "yes"
        store.backend.spool.keep(run.uid, "tags", body)
        with pytest.raises(StoreUnavailableError, match="1 change could not be written"):
            transfers.show_delivered(store, None, as_json=False)


def test_data_that_cannot_be_delivered_is_where_the_error_says(here, monkeypatch):
    def full_disk(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with store_at(here / ".runstore") as store:
        monkeypatch.setattr(Spool, "_place_in_store", full_disk)
        body = {"changes": {"late": "yes"}, "author": "ada"}
        kept = store.backend.spool.keep(store.get("mnist#1").uid, "tags", body)

        with pytest.raises(StoreUnavailableError) as refused:
            transfers.show_delivered(store, None, as_json=False)

    assert kept.parent != store.backend.spool.place
    assert f"It is kept in {kept.parent}." in str(refused.value)


@pytest.mark.folder_only("has plain files")
def test_plain_files_that_an_interrupted_transfer_left_out_are_copied(here):
    with store_at(here / ".runstore") as store:
        run = store.start("mnist", capture=False, full_store=True)
        folder = store.folder_of(run.reference)
        run.finish()
    runstore("push", "team/runs", cwd=here)
    folder.mkdir(parents=True)  # as if the folder had not been copied
    (folder / "log.txt").write_text("12345")

    ended = runstore("push", "team/runs", cwd=here)

    assert messages(ended) == ["runstore: team/runs has 3 runs already; 1 file copied, 5 bytes."]
    assert (here / "team" / "runs" / "runs" / folder.name / "log.txt").exists()
