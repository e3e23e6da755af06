"""rm, restore, gc, doctor, mv on the command line."""

import json

import pytest

from commands import answered, messages
from commands import runstore_here as runstore
from places import store_at


@pytest.fixture
def folder(filled):
    return filled(four_runs)


def four_runs(store):
    for n in range(4):
        with store.start("fit", params={"lr": n / 10}, capture=False) as run:
            run.save("model.bin", bytes([n]) * 100)


def references(folder, *words):
    ended = runstore("ls", *words, "--json", cwd=folder)
    return [run["reference"] for run in json.loads(ended.stdout)["runs"]]


def test_rm_prints_the_deleted_runs_and_how_to_undo_it(folder):
    ended = runstore("rm", "fit#2", "fit#3", "-y", cwd=folder)

    assert ended.returncode == 0
    assert [line[:5] for line in ended.stdout.splitlines()] == ["fit_2", "fit_3"]
    assert "2 runs moved to the trash. Deleting permanently frees 200 bytes" in ended.stderr
    assert "runstore undo" in ended.stderr
    assert [one[:5] for one in references(folder)] == ["fit_4", "fit_1"]


def test_rm_takes_filters_and_experiments(folder):
    assert runstore("rm", "params.lr > 0.15", "--yes", cwd=folder).returncode == 0
    assert [one[:5] for one in references(folder)] == ["fit_2", "fit_1"]

    assert runstore("rm", "fit", "--yes", cwd=folder).returncode == 0
    assert runstore("ls", cwd=folder).stdout == ""


def test_restore_takes_experiments(folder):
    with store_at(folder) as store:
        store.start("fit_more", capture=False).finish()
        store.delete(store.find().items)

    empty = runstore("ls", cwd=folder)
    unknown = runstore("restore", "fit", "other", cwd=folder)
    restored = runstore("restore", "fit", cwd=folder)

    assert messages(empty) == [
        "runstore: All runs are in the trash; list them with: runstore trash"
    ]
    assert "There is no run 'other' in the trash" in messages(unknown)[0]
    assert sorted(line[:6] for line in restored.stdout.splitlines()) == [
        "fit_1_", "fit_2_", "fit_3_", "fit_4_",
    ]  # fmt: skip
    assert sorted(references(folder)) == sorted(restored.stdout.splitlines())
    assert runstore("restore", "fit_more", cwd=folder).stdout.startswith("fit_more_1_")


def test_rm_without_words_deletes_nothing(folder):
    ended = runstore("rm", cwd=folder)

    assert ended.returncode == 2
    assert len(references(folder)) == 4


def test_a_filter_that_nothing_fulfils_is_said(folder):
    ended = runstore("rm", "params.lr > 99", cwd=folder)

    assert messages(ended) == ["No run matches: nothing was deleted."]


def test_json_has_exact_bytes(folder):
    told = json.loads(runstore("rm", "fit#1", "--dry-run", "--json", cwd=folder).stdout)

    assert told["frees"]["total"] == {"files": 1, "size_bytes": 100}
    assert told["is_dry"] is True
    assert len(references(folder)) == 4


def test_with_inner_runs(folder):
    with store_at(folder / ".runstore") as store, store.start("sweep", capture=False):
        store.start("part", capture=False).finish()

    alone = runstore("rm", "sweep#1", "--dry-run", cwd=folder)
    both = runstore("rm", "sweep#1", "--with-children", "-y", cwd=folder)

    assert "was started in sweep_1" in alone.stdout
    assert sorted(line[:5] for line in both.stdout.splitlines()) == ["part_", "sweep"]


def test_freed_files_are_named_without_a_place(folder):
    """They may be in a database or a bucket."""
    with store_at(folder / ".runstore") as store, store.start("saved", capture=False) as run:
        run.save("a.bin", b"123456789")

    deleted = runstore("rm", "saved#1", "-y", cwd=folder)
    freed = runstore("gc", "--trash", "-y", cwd=folder)

    assert "Deleting permanently frees 9 bytes: 1 saved file." in messages(deleted)[0]
    assert messages(freed)[-1] == "Freed: 9 bytes: 1 saved file."


def test_a_trash_can_be_listed_restored_and_emptied(folder):
    runstore("rm", "fit#1", "fit#2", "fit#3", "-y", cwd=folder)

    listed = runstore("trash", cwd=folder).stdout.splitlines()
    assert [line[:5] for line in listed] == ["run\ts", "fit_3", "fit_2", "fit_1"]
    assert runstore("restore", "fit#1", cwd=folder).stdout.startswith("fit_1")
    told = json.loads(runstore("gc", "--trash", "--dry-run", "--json", cwd=folder).stdout)
    freed = json.loads(runstore("gc", "--trash", "--json", "-y", cwd=folder).stdout)

    assert told["freed"]["total"] == freed["freed"]["total"] == {"files": 2, "size_bytes": 200}
    assert len(references(folder)) == 2
    gone = runstore("restore", "fit#2", cwd=folder)
    assert gone.returncode == 3
    assert "There is no run 'fit#2' in the trash" in gone.stderr
    assert "List the trash with: runstore trash" in gone.stderr
    assert runstore("doctor", "--deep", cwd=folder).returncode == 0


@pytest.mark.parametrize("age", ["nonsense", "-1", "1e99 days"])
def test_an_age_that_is_none_is_said(folder, age):
    ended = runstore("gc", f"--older-than={age}", cwd=folder)

    assert ended.returncode == 2
    assert f"--older-than: expected a duration with its unit, got {age!r}." in ended.stderr


@pytest.mark.parametrize("age", ["30", "5", "0.5", "1e3", " 7 "])
def test_an_age_without_a_unit_is_refused(folder, age):
    runstore("rm", "fit#1", cwd=folder)

    ended = runstore("gc", "--older-than", age, "--yes", cwd=folder)

    assert ended.returncode == 2
    assert messages(ended)[:2] == [
        f"runstore: --older-than: {age!r} has no unit.",
        "Nothing was changed.",
    ]
    assert f"{age.strip()}d for days" in ended.stderr
    assert runstore("restore", "fit#1", cwd=folder).returncode == 0


@pytest.mark.parametrize("age", ["0", "0 days", "0.0"])
def test_no_age_needs_no_unit(folder, age):
    runstore("rm", "fit#1", cwd=folder)

    ended = runstore("gc", "--older-than", age, "-y", cwd=folder)

    assert ended.stdout.startswith("fit_1")


@pytest.mark.parametrize(
    "words",
    [("rm", "fit"), ("rm", "fit#1", "fit#2"), ("rm", "params.lr > 0"), ("gc", "--trash"),
     ("gc", "--older-than", "0")],
)  # fmt: skip
def test_without_a_terminal_nothing_is_deleted_unasked(folder, words):
    runstore("rm", "fit#4", cwd=folder)

    ended = runstore(*words, cwd=folder)

    assert ended.returncode == 2
    assert "Nothing was deleted." in ended.stderr
    assert "-y" in ended.stderr
    assert len(references(folder)) == 3
    assert "fit_4" in runstore("trash", cwd=folder).stdout


def test_the_runs_of_a_filter_are_named_before_the_question(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for _ in range(12):
            store.start("many", capture=False).finish()

    ended, drawn = answered("n", "rm", "experiment = many", cwd=tmp_path)

    before, _, after = drawn.partition("Move them to the trash?")
    assert [f"many_{number}_" in before for number in (12, 3, 2, 1)] == [True, True, False, False]
    assert "and 2 more" in before
    assert "Nothing was deleted." in after
    assert ended == 1
    assert len(references(tmp_path)) == 12


def test_a_yes_deletes(folder):
    ended, _ = answered("y", "rm", "fit", cwd=folder)

    assert ended == 0
    assert references(folder) == []


def test_mv_renames_and_moves(folder):
    assert runstore("mv", "fit", "train", cwd=folder).returncode == 0
    assert {one[:5] for one in references(folder)} == {"train"}

    moved = runstore("mv", "fit#2", "pilots", cwd=folder)
    assert moved.stdout.startswith("train_2")
    assert runstore("show", "fit#2", cwd=folder).stdout.count("pilots_1") >= 1
    taken = runstore("mv", "train", "pilots", cwd=folder)
    assert taken.returncode == 4
    assert "merge" in taken.stderr
    runstore("undo", cwd=folder)
    runstore("undo", cwd=folder)
    assert {one[:4] for one in references(folder)} == {"fit_"}


@pytest.mark.folder_only("deletes a file of the store")
def test_doctor_names_what_is_wrong_and_ends_with_1(folder):
    healthy = runstore("doctor", cwd=folder)
    next((folder / ".runstore" / "objects").glob("??/*")).unlink()
    ill = runstore("doctor", cwd=folder)

    assert (healthy.returncode, healthy.stdout) == (0, "")
    assert "is in order" in healthy.stderr
    assert ill.returncode == 1
    assert ill.stdout.startswith("dangling\tcontents are missing")
    assert "model.bin" in ill.stdout
    told = json.loads(runstore("doctor", "--json", cwd=folder).stdout)
    assert told["findings"][0]["kind"] == "dangling"


def test_what_became_of_a_source_is_shown(folder):
    with store_at(folder / ".runstore") as store, store.start("use", capture=False):
        store.get("fit#1").read_bytes("model.bin")

    runstore("rm", "fit#1", cwd=folder)
    trashed = runstore("show", "use#1", cwd=folder).stdout
    runstore("gc", "--trash", "-y", cwd=folder)
    gone = runstore("show", "use#1", cwd=folder).stdout

    assert "(in the trash)" in trashed
    assert "(deleted)" in gone
