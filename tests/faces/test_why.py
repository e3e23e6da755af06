"""runstore why: what may explain another result, and how it is told."""

import json
import math

import pytest

from commands import git, messages
from commands import runstore_here as runstore
from places import store_at
from runstore.analysis.explain import precedents
from runstore.analysis.explain.explanation import explain
from runstore.model.facts import Facts


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(folder, params=None, result=None, *, capture=False, **more):
    metric = more.pop("metric", "acc")
    experiment = more.pop("experiment", "fit")
    with store_at(folder / ".runstore") as store:
        with store.start(experiment, params=params, capture=capture, **more) as run:
            if result is not None:
                run.log({metric: result})
        return run.reference


def causes(folder, a="fit#1", b="fit#2", *more):
    ended = runstore("why", a, b, *more, "--json", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    return {one["key"]: (one["weight"], one["reason"]) for one in found["causes"]}


def test_a_parameter_that_moved_the_metric_elsewhere_comes_first(folder):
    record(folder, {"lr": 0.1, "width": 1, "depth": 3}, 0.5)
    record(folder, {"lr": 0.2, "width": 2, "depth": 3}, 0.9)
    # Elsewhere lr moves the result, width does not.
    for depth in (4, 5):
        record(folder, {"lr": 0.1, "width": 1, "depth": depth}, 0.5)
        record(folder, {"lr": 0.2, "width": 1, "depth": depth}, 0.88)
        record(folder, {"lr": 0.1, "width": 2, "depth": depth}, 0.501)

    found = causes(folder)

    assert list(found) == ["lr", "width"]
    assert found["lr"] == (
        95,
        ("a parameter; acc changed by 0.38 in 4 other pairs that differ only in this"),
    )
    assert found["width"][0] < 55


def test_the_choice_of_a_metric_is_said(folder):
    with store_at(folder / ".runstore") as store:
        for place in (1, 2):
            with store.start("fit", params={"lr": place}, capture=False) as run:
                run.log({"loss": place, "acc": 0.9 + place / 100, "same": 7})

    def remarks(*words):
        return runstore("why", "fit#1", *words, cwd=folder).stderr

    assert "loss differs most, relative to its size; -m chooses another." in remarks("fit#2")
    assert "chooses another" not in remarks("fit#2", "-m", "acc")
    assert "No metric differs between them." in remarks("fit#1")


def test_a_parameter_that_moved_it_the_other_way_weighs_less(folder):
    record(folder, {"lr": 1, "x": 0}, 0.5)
    record(folder, {"lr": 2, "x": 1}, 0.9)
    record(folder, {"lr": 1, "x": 7}, 0.9)
    record(folder, {"lr": 2, "x": 7}, 0.5)

    assert causes(folder)["lr"][0] < 55


def test_the_pair_itself_is_no_evidence(folder):
    record(folder, {"lr": 1}, 0.5)
    record(folder, {"lr": 2}, 0.9)

    assert causes(folder) == {"lr": (58, "a parameter")}


def test_only_runs_that_are_complete_are_evidence(folder):
    record(folder, {"lr": 1, "x": 0}, 0.5)
    record(folder, {"lr": 2, "x": 1}, 0.9)
    record(folder, {"lr": 1, "x": 7}, 0.5)
    with store_at(".runstore") as store:
        run = store.start("fit", params={"lr": 2, "x": 7}, capture=False)
        run.log(acc=0.9)
        run.finish("error")

    assert causes(folder)["lr"][0] == 58


def test_runs_of_other_code_are_no_evidence(folder):
    """What the code moved is not put down to a parameter."""
    git(folder, "init", "-q", "-b", "main")
    (folder / ".gitignore").write_text(".runstore\n")
    (folder / "train.py").write_text("1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a")
    record(folder, {"lr": 1, "seed": 0}, 0.5, capture=True)
    record(folder, {"lr": 2, "seed": 1}, 0.9, capture=True)
    record(folder, {"lr": 1, "seed": 2}, 0.5, capture=True)
    (folder / "train.py").write_text("2\n")
    record(folder, {"lr": 1, "seed": 3}, 0.9, capture=True)

    weight, reason = causes(folder)["seed"]
    assert weight == 12
    assert "differ by 0 in acc (1 pair): little compared" in reason


def test_where_parameters_stand_in_the_code_other_code_is_told(folder):
    git(folder, "init", "-q", "-b", "main")
    (folder / ".gitignore").write_text(".runstore\n")
    (folder / "train.py").write_text("lr = 0\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a")
    for lr, width, result in ((1, 1, 0.5), (2, 2, 0.9), (1, 3, 0.5), (2, 3, 0.9)):
        (folder / "train.py").write_text(f"lr = {lr}\n")
        record(folder, {"lr": lr, "width": width}, result, capture=True)

    weight, reason = causes(folder)["lr"]

    assert weight == 94
    assert "acc changed by 0.4 in 1 other pair of runs that differs only in this" in reason


def test_pairs_that_are_the_same_leave_room_for_those_that_differ(folder):
    with store_at(".runstore") as store:
        for lr, x, result in ((1, 0, 0.5), (2, 1, 0.9), (2, 0, 0.9)):
            record(folder, {"lr": lr, "x": x}, result)
        for _ in range(110):
            with store.start("fit", params={"lr": 1, "x": 0}, capture=False) as run:
                run.log(acc=0.5)
        found = explain(store.backend, "fit#1", "fit#2")

    assert "111 other pairs" in found.causes[0].reason


def test_runs_of_another_experiment_are_no_evidence(folder):
    record(folder, {"lr": 1, "x": 0}, 0.5)
    record(folder, {"lr": 2, "x": 1}, 0.9)
    record(folder, {"lr": 1, "x": 7}, 0.5, experiment="other")
    record(folder, {"lr": 2, "x": 7}, 0.9, experiment="other")

    assert causes(folder)["lr"][0] == 58


def test_only_the_newest_runs_are_looked_at(folder, monkeypatch):
    monkeypatch.setattr(precedents, "RUNS_AT_MOST", 20)
    with store_at(".runstore") as store:
        for number in range(30):
            with store.start("fit", params={"lr": number}, capture=False) as run:
                run.log(acc=number)
        found = explain(store.backend, "fit#1", "fit#30")

    assert found.runs_seen == 19  # and the second of the pair


def test_a_seed_alone_is_told(folder):
    record(folder, {"lr": 1, "seed": 0}, 0.5, cli="train --seed 0")
    record(folder, {"lr": 1, "seed": 1}, 0.6, cli="train --seed 1")

    found = causes(folder)

    assert list(found) == ["seed", "command"]
    assert found["seed"][1].startswith("seed only: ")


@pytest.mark.parametrize("key", ["model.name", "name"])
def test_a_name_that_changes_alone_is_a_cause_and_not_chance(folder, key):
    """Two models with three seeds each: a name may choose a model."""
    for model, base in (("resnet", 0.7), ("vgg", 0.9)):
        for seed, noise in enumerate((0.01, -0.01, 0.0)):
            named = {"model": {"name": model}} if key == "model.name" else {"name": model}
            record(folder, {**named, "lr": 0.1, "seed": seed}, base + noise)

    found = causes(folder, "fit#1", "fit#6")

    first, second = [one for one in found if one != "(set)"]
    assert (first, second) == (key, "seed")
    assert "differ by 0.01 in acc (6 pairs)" in found["seed"][1]
    assert found["seed"][0] == 12


@pytest.mark.parametrize("name", ["lr{lr}", "run{lr}{seed}"])
def test_a_name_that_labels_runs_is_after_their_parameters(folder, name):
    for lr, base in ((0.1, 0.7), (0.2, 0.9)):
        for seed, noise in enumerate((0.01, -0.01, 0.0)):
            params = {"name": name.format(lr=lr, seed=seed), "lr": lr, "seed": seed}
            record(folder, params, base + noise)

    found = causes(folder, "fit#1", "fit#6")

    assert next(iter(found)) == "lr"
    assert "differ by 0.01 in acc (6 pairs)" in found["seed"][1]
    assert found["name"][0] <= 30


def test_names_of_sets_are_labels(folder):
    for name, accuracy in (("small", 0.7), ("wide", 0.9)):
        sets = [{"name": name, "lr": 0.1}, {"name": "rest", "lr": 0.1}]
        record(folder, sets, accuracy)

    found = causes(folder)

    assert {one: weight for one, (weight, _) in found.items()} == {
        "small/lr → wide/lr": 2, "small/name": 10, "wide/name": 10,
    }  # fmt: skip


def test_chance_is_a_cause_where_equal_runs_differ_as_much(folder):
    record(folder, {"lr": 1, "seed": 0}, 0.5)
    record(folder, {"lr": 2, "seed": 0}, 0.6)
    for seed, result in ((1, 0.3), (2, 0.5), (3, 0.7)):
        record(folder, {"lr": 1, "seed": seed}, result)

    weight, reason = causes(folder)["chance"]

    assert weight == 82
    assert "differ by 0.2 in acc (6 pairs)" in reason


def test_code_counts_by_what_differs(folder):
    git(folder, "init", "-q", "-b", "main")
    (folder / ".gitignore").write_text(".runstore\n")
    for name in ("train.py", "help.py", "README.md"):
        (folder / name).write_text("1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a")
    record(folder, None, 1.0, capture=True, cli="train.py --fast")
    (folder / "README.md").write_text("2\n")
    record(folder, None, 2.0, capture=True, cli="train.py --fast")
    (folder / "help.py").write_text("2\n")
    record(folder, None, 2.0, capture=True, cli="train.py --fast")
    (folder / "train.py").write_text("2\n")
    record(folder, None, 2.0, capture=True, cli="train.py --fast")

    reasons = [
        causes(folder, "fit#1", other)["changes"][1].partition(";")[0]
        for other in ("fit#2", "fit#3", "fit#4")
    ]
    assert reasons == [
        "1 file differs, tests or documents: README.md",
        "2 files differ: help.py, README.md",
        "3 files differ, one of them is on the command line: train.py",
    ]
    assert "changes" not in causes(folder, "fit#1", "fit#4", "--no-code")


def test_code_without_a_known_value_has_no_empty_text(folder):
    """A file of the first run was not kept, so its new files have no common name."""
    values = {"git.dirty": False, "git.has_untracked": True}
    unknown = {"untracked.rest": "compiled.so (Permission denied)"}
    documents = {"untracked": json.dumps({"settings.toml": "2"})}
    record(folder, None, 1.0)
    record(folder, None, 2.0)

    with store_at(folder / ".runstore") as store:
        for name, facts in (
            ("fit#1", Facts(values=values, unknown=unknown)),
            ("fit#2", Facts(values=values, documents=documents)),
        ):
            store.backend.database.attach_facts(store.get(name).uid, facts)
        code = [one.difference for one in store.explain("fit#1", "fit#2").causes]
    assert [(one.name, one.values) for one in code if one.section == "code"] == [
        ("code.files", ())
    ]


def test_a_run_that_failed_is_told(folder):
    record(folder, {"lr": 1}, 0.5)
    with store_at(".runstore") as store:
        store.start("fit", params={"lr": 2}, capture=False).finish("error", error="Oops")

    ended = runstore("why", "fit#1", "fit#2", cwd=folder)

    assert causes(folder)["status"][0] == 85
    assert "The runs have no metric in common" in ended.stderr


def test_a_run_that_failed_after_its_last_step_did_not_end_early(folder):
    """A rate of 10 beside rates of 0.01 to 0.03: small steps do not clear a huge one."""
    with store_at(".runstore") as store:
        for lr in (0.01, 0.02, 0.03, 10.0):
            run = store.start("fit", params={"lr": lr}, capture=False)
            for epoch in range(10):
                run.log(acc=0.8 + lr + epoch / 100 if lr < 1 else 0.1, step=epoch)
            run.finish("error", error="diverged") if lr > 1 else run.finish()

    found = causes(folder, "fit#1", "fit#4")

    assert "status" not in found
    weight, reason = found["lr"]
    assert next(iter(found)) == "lr"
    assert weight >= 58
    assert "no other run is near lr=10.0" in reason


@pytest.mark.parametrize(
    ("others", "here"),
    [
        ((1e-4, 2e-4, 4e-4), (1e-4, 1e-1)),  # a step on a logarithmic scale
        ((0, 0.01, 0.02), (0, 0.5)),
        ((2, 3, 4), (2, 64)),
        ((-1.0, -1.1), (-1.0, 30.0)),
        ((1e-300, 2e-300), (1e-300, 1e299)),
    ],
)
def test_small_steps_that_did_nothing_do_not_clear_a_large_one(folder, others, here):
    for size in (*here, *others):
        record(folder, {"size": size, "x": 1}, 0.9 if size == here[1] else 0.5)

    weight, reason = causes(folder)["size"]

    assert weight >= 55, reason
    assert f"no other run is near size={here[1]}" in reason


def test_a_failure_without_a_number_is_not_cleared_by_small_steps(folder):
    for lr, result in ((0.01, 0.5), (10.0, math.nan), (0.02, 0.5), (0.03, 0.5)):
        record(folder, {"lr": lr, "x": 1}, result)

    weight, reason = causes(folder)["lr"]

    assert weight >= 58
    assert "no other run is near lr=10.0" in reason


def test_large_steps_that_did_nothing_clear_a_smaller_one(folder):
    record(folder, {"lr": 0.1, "wd": 0}, 0.5)
    record(folder, {"lr": 0.2, "wd": 1}, 0.9)
    for lr in (0.05, 0.4, 0.8):
        record(folder, {"lr": lr, "wd": 0}, 0.501)

    found = causes(folder)

    assert found["lr"][0] < found["wd"][0]
    assert "changed by only" in found["lr"][1]


@pytest.mark.parametrize("values", [("sgd", "adam", "rms"), (True, False, None), ("1", "2", "3")])
def test_values_that_are_not_numbers_have_no_size(folder, values):
    """Other values of a choice count as before, however they are spelled."""
    record(folder, {"opt": values[0], "wd": 0}, 0.5)
    record(folder, {"opt": values[1], "wd": 1}, 0.9)
    record(folder, {"opt": values[2], "wd": 0}, 0.5)

    weight, reason = causes(folder)["opt"]

    assert "near" not in reason
    assert weight < 58


def test_a_parameter_that_one_of_them_lacks_has_no_size(folder):
    record(folder, {"wd": 0}, 0.5)
    record(folder, {"lr": 10.0, "wd": 0}, 0.9)
    record(folder, {"lr": 0.1, "wd": 0}, 0.5)
    record(folder, {"lr": 0.2, "wd": 0}, 0.5)

    assert "near" not in causes(folder)["lr"][1]


def test_sets_are_compared_by_their_own_numbers(folder):
    with store_at(".runstore") as store:
        for a, b, acc in ((0.1, 1, 0.5), (9.0, 1, 0.9), (0.2, 1, 0.5), (0.1, 2, 0.5)):
            with store.start("fit", params=[{"lr": a}, {"lr": b}], capture=False) as run:
                run.log(acc=acc)

    (found,) = (reason for key, (_, reason) in causes(folder).items() if key.endswith("/lr"))

    assert "no other run is near" in found


def test_a_run_that_ended_early_on_the_same_curve_is_named_first(folder):
    with store_at(".runstore") as store:
        for epochs in (10, 4):
            run = store.start("fit", params={"lr": epochs / 10}, capture=False)
            for epoch in range(epochs):
                run.log(acc=epoch / 10, step=epoch)
            run.finish("error", error="stopped") if epochs < 10 else run.finish()

    found = causes(folder)

    assert next(iter(found)) == "status"
    assert "the same until one of them ended" in found["status"][1]


def test_a_run_that_ended_early_on_another_curve_is_not_named_first(folder):
    with store_at(".runstore") as store:
        for epochs, lr in ((10, 0.1), (4, 10.0)):
            run = store.start("fit", params={"lr": lr}, capture=False)
            for epoch in range(epochs):
                run.log(acc=epoch / 10 if lr < 1 else -5.0, step=epoch)
            run.finish("error", error="stopped") if epochs < 10 else run.finish()

    assert next(iter(causes(folder))) == "lr"


def test_the_result_can_be_chosen(folder):
    with store_at(".runstore") as store:
        for number in (1, 2):
            with store.start("fit", params={"lr": number}, capture=False) as run:
                run.log(loss=1.0 * number, acc=100.0 + number, same=1.0)

    def metric(*more):
        return json.loads(runstore("why", "fit#1", "fit#2", "--json", *more, cwd=folder).stdout)

    assert metric()["metric"] == "loss"
    assert metric("-m", "acc")["change"] == {"absolute": 1.0, "relative": 1 / 101}
    assert metric("-m", "same")["change"]["absolute"] == 0.0
    wrong = runstore("why", "fit#1", "fit#2", "-m", "los", cwd=folder)
    assert wrong.returncode == 3
    assert "Did you mean 'loss'?" in messages(wrong)[1]


def test_nothing_that_differs_is_said_with_what_is_not_known(folder):
    record(folder, {"lr": 1}, 0.5, cli="t")
    record(folder, {"lr": 1}, 0.6, cli="t")

    ended = runstore("why", "fit#1", "fit#2", cwd=folder)

    assert ended.stdout == ""
    said = "\n".join(messages(ended))
    assert "No recorded difference can explain a different result." in said
    assert "packages of fit#1 and fit#2 could not be compared: they were not captured." in said
    assert "code of fit#1 and fit#2 could not be compared" in said
    assert "data it read" not in said
    wanted = runstore("why", "fit#1", "fit#2", "--all", cwd=folder)
    assert "Neither run recorded the data it read; record it with run.use()." in wanted.stderr


def test_a_metric_that_became_nan_elsewhere_has_no_direction_there(folder):
    for lr, result in ((0.1, 0.5), (0.2, 0.4), (9, math.nan)):
        record(folder, {"lr": lr}, result)
    diverged = causes(folder)["lr"][1]
    record(folder, {"lr": 0.15}, 0.45)
    beside = causes(folder)["lr"][1]

    assert "acc became NaN or infinite in 2 other pairs that differ only in this" in diverged
    assert "acc changed by 0.05 in 2 other pairs that differ only in this" in beside


def test_values_that_are_no_numbers_are_no_evidence(folder):
    record(folder, {"lr": 1, "x": 0}, 0.5)
    record(folder, {"lr": 2, "x": 1}, math.nan)
    record(folder, {"lr": 1, "x": 5}, math.inf)

    ended = runstore("why", "fit#1", "fit#2", cwd=folder)

    assert ended.returncode == 0
    assert causes(folder)["lr"][0] == 58


def test_the_same_run_twice_has_no_causes(folder):
    record(folder, {"lr": 1}, 0.5)

    ended = runstore("why", "fit#1", "latest", cwd=folder)

    assert ended.stdout == ""
    assert "Both names refer to the same run." in ended.stderr


def test_the_same_question_has_the_same_answer(folder):
    for number in range(12):
        record(folder, {"lr": number % 3, "x": number % 4, "y": number % 2}, number / 7)

    answers = {
        runstore(
            "why", "fit#1", "fit#12", "--json", cwd=folder, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("0", "1")
    }

    assert len(answers) == 1


@pytest.mark.parametrize("options", [["--rules", "--json"], ["--json", "--rules"]])
def test_the_rules_are_printed_as_json(folder, options):
    printed = json.loads(runstore("why", *options, cwd=folder).stdout)

    assert printed["rules"][0]["weight"] == 95
    assert {one["difference"] for one in printed["rules"]} >= {"the status", "the experiment"}


def test_data_counts_by_its_contents(folder):
    for number, name in enumerate(("a.csv", "a.csv", "b.csv")):
        (folder / name).write_text(f"{min(number, 1)}\n")
        with store_at(".runstore") as store, store.start("fit", capture=False) as run:
            run.use(name)

    assert causes(folder, "fit#1", "fit#2")["a.csv"][0] == 75
    renamed = causes(folder, "fit#2", "fit#3")
    assert [renamed[name][1] for name in ("a.csv", "b.csv")] == [
        "the same data under another name"
    ] * 2


def test_a_notebook_shows_the_ranking(folder):
    record(folder, {"lr": "<b>"}, 0.5)
    record(folder, {"lr": 2}, 0.9)

    with store_at(".runstore") as store:
        found = explain(store.backend, "fit#1", "fit#2", "acc")

    assert "&lt;b&gt;" in found._repr_html_()
    assert repr(found) == "<Explanation of acc: 1 cause>"
    assert dict(found.__rich_repr__())["params.lr"][0] == 58
