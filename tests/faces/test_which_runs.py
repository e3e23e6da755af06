"""RUN, EXPERIMENT and FILTER name runs alike in every command."""

import json
import os

import pytest

from commands import messages
from commands import runstore_here as runstore
from places import store_at


@pytest.fixture
def folder(filled):
    return filled(three_runs)


def three_runs(store):
    for place in range(3):
        with store.start("mnist", params={"lr": place / 10}, capture=False) as run:
            run.log({"val/acc": place, "val/loss": 1.0, "loss": 2.0})
            run.save("model.bin", bytes([place]))


def add(folder, experiment):
    with store_at(folder / ".runstore") as store:
        store.start(experiment, capture=False).finish()


def tags_in(folder):
    with store_at(folder / ".runstore") as store:
        return {run.run_number: dict(run.tags) for run in store.list("mnist")}


@pytest.mark.parametrize("command", ["artifacts", "output", "similar", "note", "download", "show"])
@pytest.mark.parametrize(
    ("word", "number"),
    [("mnist", 3), ("params.lr < 0.15", 2), ("@slow", 1), ("order by params.lr", 1)],
)
def test_a_command_for_one_run_takes_the_newest_and_says_so(folder, command, word, number):
    runstore("views", "save", "slow", "params.lr = 0", cwd=folder)
    more = {"note": ["text"], "download": ["--output", "taken"]}.get(command, [])

    ended = runstore(command, word, *more, cwd=folder)

    assert ended.returncode == 0, ended.stderr
    assert messages(ended)[0].startswith(f"runstore: mnist#{number} is the ")
    if command == "download":
        assert (folder / "taken" / "model.bin").read_bytes() == bytes([number - 1])


@pytest.mark.parametrize("word", ["2", "#2", "mnist#2", "mnist_2", "#-2"])
def test_a_number_is_enough_if_one_experiment_has_it(folder, word):
    ended = runstore("artifacts", word, "--json", cwd=folder)

    (saved,) = json.loads(ended.stdout)
    assert ended.stderr == ""
    assert saved["digest"].startswith("4bf5122f")  # of the byte 1


def test_a_number_of_several_experiments_is_ambiguous(folder):
    add(folder, "cifar")

    ambiguous = runstore("artifacts", "1", cwd=folder)

    assert ambiguous.returncode == 3
    assert "may mean several runs: cifar_1" in ambiguous.stderr
    assert "such as cifar#1" in ambiguous.stderr
    assert runstore("artifacts", "2", cwd=folder).returncode == 0


@pytest.mark.parametrize("experiment", ["8", "2fa", "#2", "mnist_2", "a = b", "lr > 1"])
def test_odd_names_of_experiments_still_name_them(folder, experiment):
    add(folder, experiment)
    with store_at(folder / ".runstore") as store:
        uid = store.list(experiment)[0].uid

    listed = runstore("rm", experiment, "--dry-run", "--json", cwd=folder)

    assert [run["uid"] for run in json.loads(listed.stdout)["runs"]] == [uid]


@pytest.mark.parametrize("name", ["no such#1", "no such_1_2026-11-23-T101500"])
def test_a_missing_run_whose_name_has_spaces_is_no_filter(folder, name):
    for command in ("show", "ls", "artifacts"):
        ended = runstore(command, name, cwd=folder)

        assert ended.returncode == 3
        assert f"There is no run {name!r}" in ended.stderr
    assert runstore("ls", "notes contains mnist#1", cwd=folder).returncode == 0


def test_a_deleted_run_whose_name_has_spaces_is_no_filter(folder):
    add(folder, "my exp")
    with store_at(folder / ".runstore") as store:
        reference = store.get("my exp#1").reference
    runstore("rm", "my exp#1", "-y", cwd=folder)

    for name in ("my exp#1", "my exp_1", reference):
        ended = runstore("show", name, cwd=folder)

        assert ended.returncode == 3
        assert f"The run {reference} was deleted" in ended.stderr


@pytest.mark.parametrize(("experiment", "run"), [("mnist#2", "mnist_2"), ("2", "mnist_2")])
def test_an_experiment_named_like_a_run_is_not_deleted_unasked(folder, experiment, run):
    with store_at(folder / ".runstore") as store:
        store.start(experiment, capture=False).finish()
        store.start("mnist", capture=False).finish()

    refused = runstore("rm", experiment, cwd=folder)
    looked_at = runstore("rm", experiment, "--dry-run", cwd=folder)
    deleted = runstore("rm", experiment, "-y", cwd=folder)

    assert refused.returncode == 2
    assert "Nothing was deleted." in refused.stderr
    for shown in (looked_at, deleted):
        assert f"'{experiment}' is the experiment here, and not the run {run}" in shown.stderr
        assert shown.stdout.startswith(f"{experiment}_1_")


@pytest.mark.parametrize("command", ["ls", "rm", "artifacts", "compare", "best", "tag", "show"])
def test_latest_is_the_newest_run_even_if_an_experiment_has_this_name(folder, command):
    add(folder, "latest")
    with store_at(folder / ".runstore") as store, store.start("mnist", capture=False) as run:
        run.log(acc=1.0)
    more = {"rm": ["--dry-run"], "compare": ["mnist#1"], "tag": ["+x"]}.get(command, [])

    ended = runstore(command, "latest", *more, cwd=folder)

    assert ended.returncode == 0, ended.stderr
    assert "latest" not in ended.stdout
    if command != "artifacts":
        assert "mnist_4_" in ended.stdout or "mnist#4" in ended.stdout


def test_an_experiment_called_latest_is_reached_by_a_filter(folder):
    add(folder, "latest")
    add(folder, "mnist")

    ended = runstore("rm", "experiment = latest", "--dry-run", cwd=folder)

    assert ended.stdout.startswith("latest_1_")
    assert "\n1 run." in ended.stdout


@pytest.mark.parametrize("word", ["mnist#2", "mnist_2", "2"])
def test_a_list_takes_the_name_of_a_run(folder, word):
    listed = runstore("ls", word, cwd=folder).stdout.splitlines()

    assert [line[: len("mnist_2_")] for line in listed[1:]] == ["mnist_2_"]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["ls", "mnist params.lr > 0.05"], [3, 2]),
        (["ls", "my runs status = complete"], [1]),
        (["ls", "my runs order by started"], [1]),
        (["rm", "mnist params.lr > 0.05", "--dry-run"], [3, 2]),
        (["ls", "mnist", "params.lr", ">", "0.05"], [3, 2]),
        (["ls", "not status = error and params.lr > 0.05"], [3, 2]),
    ],
)
def test_an_experiment_and_a_filter_can_be_one_word(folder, words, numbers):
    add(folder, "my runs")
    add(folder, "not")

    ended = runstore(*words, cwd=folder)

    lines = [line.split("_20")[0] for line in ended.stdout.splitlines() if "_20" in line]
    found = [int(line.rpartition("_")[2]) for line in lines]
    assert (ended.returncode, found) == (0, numbers), ended.stderr


def test_the_newest_of_an_experiment_and_a_filter_in_one_word(folder):
    ended = runstore("show", "mnist params.lr < 0.15", cwd=folder)

    assert messages(ended)[0].startswith("runstore: mnist#2 is the newest run that matches")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("mnist#8", "The newest run of 'mnist' is mnist#3."),
        ("mnist_8", "The newest run of 'mnist' is mnist#3."),
        ("mnst#2", "Did you mean 'mnist'?"),
        ("mnis_x", "mnist#-1"),
        ("HEAD", "latest"),
        ("last", "latest"),
        ("8", "List the runs with: runstore ls"),
        ("zzz", "List the runs with: runstore ls"),
    ],
)
def test_a_near_miss_names_the_nearest(folder, word, hint):
    ended = runstore("artifacts", word, cwd=folder)

    assert ended.returncode == 3
    assert hint in messages(ended)[1]


def test_the_name_of_an_experiment_without_runs_is_not_suggested(folder):
    with store_at(folder / ".runstore") as store:
        store.rename_experiment("mnist", "digits")

    ended = runstore("artifacts", "mnist", cwd=folder)

    assert ended.returncode == 3
    assert messages(ended)[1] == "All runs of 'mnist' were deleted, moved or renamed."


@pytest.mark.parametrize(
    ("words", "tagged"),
    [
        (["mnist", "+x"], [1, 2, 3]),
        (["params.lr > 0.05", "+x"], [2, 3]),
        (["params.lr>0.05", "+x"], [2, 3]),
        (["status=complete", "+x"], [1, 2, 3]),
        (["mnist", "params.lr < 0.15", "+x"], [1, 2]),
        (["1", "mnist#2", "+x"], [1, 2]),
        (["+x", "mnist#2"], [2]),
        (["params.lr > 9", "+x"], []),
    ],
)
def test_tags_are_set_of_runs_experiments_and_filters(folder, words, tagged):
    ended = runstore("tag", *words, cwd=folder)

    assert ended.returncode == 0, ended.stderr
    assert [number for number, tags in tags_in(folder).items() if "x" in tags] == tagged[::-1]


@pytest.mark.parametrize("key", ["phase", "h-index", "with", "json"])
def test_a_tag_is_removed_whose_name_contains_an_option(folder, key):
    runstore("tag", "mnist#1", f"+{key}=1", "+keep", cwd=folder)

    ended = runstore("tag", "mnist#1", f"-{key}", "--json", cwd=folder)

    assert json.loads(ended.stdout)[0]["tags"] == {"keep": ""} == tags_in(folder)[1]


def test_a_tag_to_remove_that_is_not_there_is_said(folder):
    runstore("tag", "mnist#1", "+phase=1", cwd=folder)

    one = runstore("tag", "mnist#1", "-phases", cwd=folder)
    several = runstore("tag", "mnist", "-other", "-phase", cwd=folder)

    assert (one.returncode, several.returncode) == (0, 0)
    assert messages(one) == ["runstore: mnist#1 has no tag 'phases'. Did you mean -phase?"]
    assert messages(several) == ["runstore: None of these 3 runs has a tag 'other'."]
    assert tags_in(folder)[1] == {}


def test_help_is_shown_wherever_it_is_asked_for(folder):
    for words in (["-h"], ["mnist#1", "+keep", "-h"], ["mnist#1", "--help"]):
        assert runstore("tag", *words, cwd=folder).stdout.startswith("Usage: runstore tag")
    assert tags_in(folder)[1] == {}


@pytest.mark.parametrize("word", ["status=error", "params.lr=0.1", "tags.phase=pilot", "host=a"])
def test_a_word_that_may_be_tag_or_filter_is_refused(folder, word):
    ended = runstore("tag", "mnist#1", word, cwd=folder)

    assert ended.returncode == 2
    assert f"write +{word}" in ended.stderr
    assert tags_in(folder)[1] == {}
    assert runstore("tag", "mnist#1", f"+{word}", cwd=folder).returncode == 0


@pytest.mark.parametrize(
    ("word", "hint", "code"), [("keep me", "'+keep me'", 2), ("best", "+best", 3)]
)
def test_a_tag_without_its_sign_is_hinted_at(folder, word, hint, code):
    ended = runstore("tag", "mnist#1", word, cwd=folder)

    assert ended.returncode == code
    assert f"To set a tag, write: {hint}" in ended.stderr
    assert tags_in(folder)[1] == {}


@pytest.mark.parametrize("words", [["phase=pilot"], ["+keep"], ["-keep"]])
def test_a_change_without_a_run_is_refused(folder, words):
    ended = runstore("tag", *words, cwd=folder)

    assert ended.returncode == 2
    assert "No run is named." in ended.stderr


def test_tags_as_json(folder):
    told = json.loads(runstore("tag", "mnist#1", "phase=pilot", "--json", cwd=folder).stdout)

    assert [one["tags"] for one in told] == [{"phase": "pilot"}]


@pytest.mark.parametrize(
    ("word", "hint"),
    [("error", "status = error"), ("failed", "status = error"), ("mnis", "Did you mean 'mnist'?")],
)
def test_a_status_is_no_experiment(folder, word, hint):
    ended = runstore("ls", word, cwd=folder)

    assert ended.returncode == 3
    assert hint in ended.stderr


def editor(folder, text):
    program = folder / "editor.sh"
    program.write_text(f'#!/bin/sh\nprintf \'{text}\' | cat - "$1" > new && mv new "$1"\n')
    program.chmod(0o755)
    return {"EDITOR": str(program), "VISUAL": ""}


def test_headings_are_kept_from_an_editor_and_the_comment_is_not(folder):
    runstore("note", "1", cwd=folder, env=editor(folder, "# Title\\n\\ntext\\n"))
    with store_at(folder / ".runstore") as store:
        first = store.get("mnist#1").notes
    runstore("note", "1", "--append", cwd=folder, env=editor(folder, "more\\n"))

    with store_at(folder / ".runstore") as store:
        assert first == "# Title\n\ntext"
        assert store.get("mnist#1").notes == "# Title\n\ntext\nmore"


def test_an_editor_that_saves_nothing_changes_nothing(folder):
    runstore("note", "1", "kept", cwd=folder)
    untouched = {**os.environ, "EDITOR": "true", "VISUAL": ""}

    for option in ([], ["--append"]):
        ended = runstore("note", "1", *option, cwd=folder, env=untouched)
        assert messages(ended) == ["runstore: Nothing was changed."]


def test_an_empty_text_removes_no_notes(folder):
    runstore("note", "1", "kept", cwd=folder)

    ended = runstore("note", "mnist#1", "", cwd=folder)
    appended = runstore("note", "1", "--append", " ", cwd=folder)

    assert (ended.returncode, appended.returncode) == (2, 2)
    assert "runstore note 'mnist#1' --remove" in ended.stderr
    assert messages(appended) == ["runstore: The text is empty.", "Nothing was changed."]
    with store_at(folder / ".runstore") as store:
        assert store.get("mnist#1").notes == "kept"


def test_the_default_editor_is_not_started_without_a_terminal(folder):
    """It would wait for keys that nobody can type, with the command and its callers."""
    ended = runstore("note", "1", cwd=folder, env={"EDITOR": "", "VISUAL": "", "PATH": ""})

    assert ended.returncode == 2
    assert messages(ended) == [
        "runstore: There is no terminal for an editor.",
        "Nothing was changed.",
        "Pass the text, or set VISUAL or EDITOR.",
    ]


@pytest.mark.parametrize(
    "words", [("compare", "mnist"), ("diff", "mnist#1", "mnist#2"), ("diff", "1", "mnist")]
)
def test_patterns_stand_for_metrics(folder, words):
    told = json.loads(runstore(*words, "-m", "val/*", "--json", cwd=folder).stdout)
    both = json.loads(runstore(*words, "-m", "*loss", "--json", cwd=folder).stdout)

    keys = [
        {one["key"] for one in each["differences"] if one["section"] == "metrics"}
        for each in (told, both)
    ]
    assert keys == [{"val/acc", "val/loss"}, {"val/loss", "loss"}]


def test_a_pattern_that_matches_no_metric_is_refused(folder):
    ended = runstore("compare", "mnist", "-m", "train/*", cwd=folder)

    assert ended.returncode == 3
    assert "No metric matches 'train/*'." in ended.stderr
    assert "val/acc" in ended.stderr


def test_a_metric_whose_name_looks_like_a_pattern_is_itself(folder):
    with store_at(folder / ".runstore") as store:
        for _ in range(2):
            with store.start("odd", capture=False) as run:
                run.log({"a[0]": 1.0, "a0": 2.0, "*": 3.0})

    for key in ("a[0]", "*"):
        told = json.loads(runstore("compare", "odd", "-m", key, "--json", cwd=folder).stdout)
        metrics = [one["key"] for one in told["differences"] if one["section"] == "metrics"]
        assert metrics == [key]


def test_why_takes_experiments_and_filters_too(folder):
    ended = runstore("why", "params.lr = 0", "mnist", "-m", "val/acc", "--json", cwd=folder)

    assert ended.returncode == 0, ended.stderr
    assert [line.partition(" is ")[0] for line in messages(ended)[:2]] == [
        "runstore: mnist#1",
        "runstore: mnist#3",
    ]
