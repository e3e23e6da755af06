"""runstore best, and groups of repeats in Python: real runs, their tables, JSON and mistakes."""

import itertools
import json
import math
from dataclasses import replace

import pytest

from commands import git, messages, on_terminal, python
from commands import runstore_here as runstore
from places import store_at
from runstore.errors import InvalidValueError, NotFoundError, UsageError
from runstore.model.display.short_names import short_names
from runstore.model.run import read_from
from runstore.repeats.ranking import best
from runstore.repeats.table import compare_over
from runstore.repeats.values import read_metric

ACCURACIES = {
    0.1: (0.80, 0.82, 0.79, 0.81, 0.78),
    0.3: (0.83, 0.79, 0.82, 0.80, 0.81),
    1.0: (0.51, 0.50, 0.52, 0.48, 0.49),
}


def record(store, experiment="fit", *, params=None, **series):
    """Record a complete run with these metrics."""
    with store.start(experiment, params=params, capture=False) as run:
        for key, values in series.items():
            for value in values:
                run.log({key.replace("__", "/"): value})
    return run.record.reference


@pytest.fixture
def folder(filled):
    """Three learning rates with five seeds each: one clearly worse, two hard to tell apart."""
    return filled(three_rates)


def three_rates(store):
    for lr, accs in ACCURACIES.items():
        for seed, acc in enumerate(accs):
            params = {"lr": lr, "layers": 2, "options": {"seed": seed}}
            record(store, params=params, acc=[0.1, acc, acc - 0.05], val__loss=[1 - acc])


def rows(ended):
    return [line.split("\t") for line in ended.stdout.splitlines()]


def asked(folder, *arguments):
    return json.loads(runstore("best", *arguments, "--json", cwd=folder).stdout)


# The command


@pytest.mark.parametrize("command", [("best", "-m"), ("compare", "--over", "seed", "--metric")])
def test_a_value_of_zero_is_a_value(tmp_path, command):
    with store_at(tmp_path / ".runstore") as store:
        for lr in (1, 2):
            for seed in range(3):
                record(store, params={"lr": lr, "seed": seed}, loss=[float((lr - 1) * seed)])

    ended = runstore(command[0], "fit", *command[1:], "loss", cwd=tmp_path)

    assert ended.returncode == 0
    assert "Left out" not in ended.stderr


def test_the_winner_and_what_cannot_be_told_apart_from_it(folder):
    ended = runstore("best", "-m", "acc.max", cwd=folder)

    header, *groups = rows(ended)
    assert header == ["rank", "group", "n", "mean", "interval", "verdict"]
    assert [(one[0], one[1], one[2]) for one in groups] == [
        ("1", "lr=0.3", "5"),
        ("2", "lr=0.1", "5"),
        ("3", "lr=1", "5"),
    ]
    assert [one[5] for one in groups] == ["best mean", "statistically tied", "worse (p < 0.001)"]
    told = messages(ended)
    assert told[0].startswith(
        "runstore: lr=0.3 has the largest mean of acc.max; 1 group is statistically tied with it."
    )
    assert "options.seed" in told[1]
    assert told[3] == "runstore: Assuming higher is better; use --min to change it."


def test_an_experiment_or_runs_may_be_chosen(folder):
    with store_at(folder / ".runstore") as store:
        for seed in (1, 2):
            record(store, "other", params={"lr": 9, "seed": seed}, acc=[seed])

    assert [one["group"] for one in asked(folder, "other", "-m", "acc")["groups"]] == ["other"]
    runs = ("fit#1", "fit#2", "other#1", "other")
    chosen = asked(folder, *runs, "-m", "acc")["groups"]
    assert [one["n"] for one in chosen] == [2, 2]
    assert [one["experiment"] for one in chosen] == ["other", "fit"]


def test_json_says_the_same_with_all_digits(folder):
    found = asked(folder, "fit", "-m", "acc.max", "--level", "0.9")

    assert (found["metric"], found["statistic"], found["level"]) == ("acc", "max", 0.9)
    assert (found["direction"], found["winner"], found["is_decided"]) == ("max", "lr=0.3", False)
    assert found["over"] == ["options.seed"]
    assert found["cannot_be_told_apart"] == ["lr=0.1"]
    winner, second, last = found["groups"]
    values = [one["value"] for one in winner["values"]]
    assert winner["mean"] == pytest.approx(sum(values) / 5)
    assert winner["low"] < winner["mean"] < winner["high"]
    assert [one["over"] for one in winner["values"]][:2] == [
        {"options.seed": "0"},
        {"options.seed": "1"},
    ]
    assert (second["kind"], last["verdict"]) == ("paired", "worse")
    assert last["p"] < 0.001
    assert last["gap_high"] < 0


def test_small_losses_are_good_by_themselves_and_by_wish(folder):
    assert asked(folder, "-m", "val/loss")["direction"] == "min"
    assert asked(folder, "-m", "val/loss")["winner"] == "lr=0.3"
    assert asked(folder, "-m", "val/loss", "--max")["winner"] == "lr=1"
    assert asked(folder, "-m", "acc", "--min")["winner"] == "lr=1"


def test_what_is_over_may_be_chosen(folder):
    found = asked(folder, "-m", "acc", "--over", "lr", "--over", "seed")

    assert [(one["group"], one["n"]) for one in found["groups"]] == [("fit", 15)]
    assert found["over"] == ["lr", "options.seed"]


def test_a_filter_chooses_among_them(folder):
    found = asked(folder, "fit", "params.lr < 0.5", "-m", "acc")
    runstore("views", "save", "slow", "params.lr < 0.2", cwd=folder)
    kept = asked(folder, "@slow", "-m", "acc")

    assert [one["group"] for one in found["groups"]] == ["lr=0.3", "lr=0.1"]
    assert [one["n"] for one in kept["groups"]] == [5]


def test_a_filter_and_names_of_runs_do_not_go_together(folder):
    ended = runstore("best", "fit#1", "params.lr < 0.5", "-m", "acc", cwd=folder)

    assert ended.returncode
    assert "'fit#1' is not an experiment" in messages(ended)[0]


# Mistakes


def test_a_metric_that_nobody_has(folder):
    ended = runstore("best", "-m", "acx.max", cwd=folder)

    assert ended.returncode
    assert messages(ended) == [
        "runstore: None of the 15 runs has a metric 'acx'.",
        "Did you mean 'acc'?",
    ]


def test_a_parameter_that_nobody_has(folder):
    ended = runstore("best", "-m", "acc", "--over", "option.seed", cwd=folder)

    assert ended.returncode
    assert "No complete run has a parameter 'option.seed'." in messages(ended)[0]
    assert "Did you mean 'options.seed'?" in ended.stderr


def test_one_run_only(folder):
    ended = runstore("best", "fit#1", "-m", "acc", cwd=folder)

    assert rows(ended) == [["rank", "run", "acc"], ["1", name_of(folder, "fit#1"), "0.75"]]
    assert "only one setting with one value, so there is nothing to compare" in messages(ended)[0]


@pytest.fixture
def grid(filled):
    """Four settings that ran once each, with seeds of their own."""
    return filled(four_settings)


def four_settings(store):
    for seed, (lr, net, acc) in enumerate(
        [(0.1, "cnn", 0.81), (0.1, "mlp", 0.7), (0.3, "cnn", 0.85), (0.3, "mlp", 0.7)]
    ):
        params = {"lr": lr, "net": {"name": net}, "epochs": 5, "seed": seed}
        record(store, params=params, acc=[0.1, acc], val__loss=[1 - acc])


def name_of(folder, text):
    with store_at(folder / ".runstore") as store:
        return short_names([store.get(text)])[0]


def test_different_values_have_different_texts(tmp_path):
    """Otherwise, the rank contradicts the value beside it."""
    values = {1: 0.91234561, 2: 0.91234562, 3: 1234567.0, 4: 1234568.0, 5: 0.5, 6: 0.91234561}
    with store_at(tmp_path / ".runstore") as store:
        for lr, acc in values.items():
            record(store, params={"lr": lr}, acc=[acc])

    ranked = rows(runstore("best", "fit", "-m", "acc", cwd=tmp_path))
    compared = rows(runstore("compare", "fit", "--only", "metrics", "--transpose", cwd=tmp_path))

    texts = ["1234568", "1234567", "0.91234562", "0.91234561", "0.91234561", "0.5"]
    assert [one[2] for one in ranked[1:]] == texts
    assert sorted(one[1] for one in compared[1:]) == sorted(texts)


def test_settings_that_ran_once_are_ranked_by_value(grid):
    """Runs are named, with the parameters that differ; equal values share a rank."""
    ended = runstore("best", "fit", "-m", "acc", cwd=grid)

    names = [name_of(grid, f"fit#{number}") for number in (3, 1, 2, 4)]
    assert rows(ended) == [
        ["rank", "run", "acc", "lr", "net.name"],
        ["1", names[0], "0.85", "0.3", "cnn"],
        ["2", names[1], "0.81", "0.1", "cnn"],
        ["3", names[2], "0.7", "0.1", "mlp"],
        ["3", names[3], "0.7", "0.3", "mlp"],
    ]
    told = messages(ended)
    assert told[0] == (
        "runstore: Each setting ran once, so there are no confidence intervals. Repeat the first"
        f" ones ({', '.join(names[:3])}) with other seeds to see whether their order is more than"
        " chance."
    )
    assert told[1:] == ["runstore: Assuming higher is better; use --min to change it."]


def test_one_value_each_has_ranks_and_no_winner_in_json(grid):
    found = asked(grid, "-m", "val/loss")

    assert [one["rank"] for one in found["groups"]] == [1, 2, 3, 3]
    assert found["groups"][0]["values"][0]["value"] == pytest.approx(0.15)
    assert (found["winner"], found["is_decided"], found["direction"]) == (None, False, "min")


def test_one_repeated_setting_among_others_ranks_by_its_mean(grid):
    with store_at(grid / ".runstore") as store:
        record(
            store, params={"lr": 0.1, "net": {"name": "mlp"}, "epochs": 5, "seed": 9}, acc=[0.9]
        )

    ended = runstore("best", "-m", "acc", cwd=grid)

    assert rows(ended)[0] == ["rank", "run", "n", "acc", "lr", "net.name"]
    assert [row[:4] for row in rows(ended)[3:]] == [
        ["3", f"{name_of(grid, 'fit#2')}, {name_of(grid, 'fit#5')}", "2", "0.8"],
        ["4", name_of(grid, "fit#4"), "1", "0.7"],
    ]
    assert "Only lr=0.1 net.name=mlp ran more than once" in messages(ended)[0]


def test_a_single_run_without_a_finite_value_comes_last(grid):
    with store_at(grid / ".runstore") as store:
        record(store, params={"lr": 9}, acc=[math.nan])

    ended = runstore("best", "-m", "acc", cwd=grid)

    assert rows(ended)[-1][0] == "-"
    assert "nan" in rows(ended)[-1]
    assert "lr=9: 1 value is NaN or infinite and left out." in ended.stderr


def test_each_set_of_a_run_is_named_when_it_ran_once(tmp_path):
    with (
        store_at(tmp_path / ".runstore") as store,
        store.start("fit", params=[{"lr": 1}, {"lr": 2}], capture=False) as run,
    ):
        run.of_set("set1").log(acc=0.5)
        run.of_set("set2").log(acc=0.6)

    name = name_of(tmp_path, "fit#1")
    assert [row[1:] for row in rows(runstore("best", "-m", "acc", cwd=tmp_path))[1:]] == [
        [f"{name}/set2", "0.6", "2"],
        [f"{name}/set1", "0.5", "1"],
    ]


def test_the_metric_may_be_left_out_when_there_is_only_one(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for lr in (1, 2):
            with store.start("fit", params={"lr": lr}, capture=False) as run:
                run.log({"acc": lr / 3, "system/cpu": 1})

    assert rows(runstore("best", cwd=tmp_path))[0] == ["rank", "run", "acc", "lr"]


def test_several_metrics_are_listed_with_the_command_to_type(grid):
    """The ones that most runs logged come first."""
    with store_at(grid / ".runstore") as store:
        record(store, params={"lr": 5}, acc=[1], aaa=[1])

    ended = runstore("best", "fit", "params.lr > 0", cwd=grid)

    assert ended.returncode == 2
    assert "3 metrics: acc, val/loss (in 4 of 5 runs), aaa (in 1 of 5 runs)." in ended.stderr
    assert "Choose one: runstore best fit 'params.lr > 0' -m acc" in ended.stderr


def test_runs_without_metrics_are_refused(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        store.start("fit", capture=False).finish("complete")

    ended = runstore("best", cwd=tmp_path)

    assert ended.returncode
    assert "run.log(" in ended.stderr


def test_the_runs_of_the_winner_are_named(folder):
    ended = runstore("best", "-m", "acc", cwd=folder)

    names = [name_of(folder, f"fit#{number}") for number in range(6, 11)]
    assert f"Runs of lr=0.3: {', '.join(names)}." in ended.stderr


def test_all_seeds_the_same(tmp_path):
    """Two runs of one seed are one draw, and all that do not count are one remark."""
    with store_at(tmp_path / ".runstore") as store:
        names = [record(store, params={"seed": 1, "lr": lr}, acc=[lr]) for lr in (1, 1, 2, 2)]

    ended = runstore("best", "-m", "acc", cwd=tmp_path)

    assert [row[2] for row in rows(ended)[1:]] == ["2", "1"]
    assert (
        f"Left out: {names[0]}, {names[2]}: a newer run of the setting has the same seed."
        in ended.stderr
    )


@pytest.mark.parametrize(
    ("seeds", "effect", "reason"),
    [
        ((range(3), range(3)), 0.0, "all 3 pairs differ by the same amount"),
        ((range(3), range(3)), 0.25, "all 3 pairs differ by the same amount"),
        ((range(3), range(3, 6)), 0.0, "no spread in 3 and 3 values"),
        ((range(6), range(6)), 0.25, "all 6 pairs differ by the same amount"),
    ],
)
def test_differences_without_spread_are_decided_by_their_number(tmp_path, seeds, effect, reason):
    with store_at(tmp_path / ".runstore") as store:
        for lr, of_lr in zip((1, 2), seeds, strict=True):
            for seed in of_lr:
                params = {"seed": seed, "lr": lr}
                with store.start("fit", params=params, capture=False) as run:
                    run.log(acc=lr + effect * seed)

    ended = runstore("best", "-m", "acc", cwd=tmp_path)

    is_few = len(seeds[0]) == 3
    assert rows(ended)[2][5] == ("too few values" if is_few else "worse (p = 0.031)")
    assert (ended.stdout + ended.stderr).count(reason) == 1  # however many groups it holds for
    told = "1 group has too few values to be compared with it"
    assert (told in " ".join(ended.stderr.split())) == is_few
    assert f"lr=1: {reason}, so the test is exact" in ended.stderr
    assert ("are needed" in ended.stderr) == is_few


@pytest.mark.parametrize(("changed", "is_by_value"), [(0, True), (0.25, False)])
def test_equal_values_without_a_seed_are_not_tested(tmp_path, changed, is_by_value):
    """A program without chance gives the same result however often it runs."""
    with store_at(tmp_path / ".runstore") as store:
        for number in range(6):
            for lr in (1, 2):
                with store.start("fit", params={"lr": lr}, capture=False) as run:
                    run.log(acc=lr + changed * (number == 0))

    ended = runstore("best", "-m", "acc", cwd=tmp_path)

    told = "have equal values and no seeds, so they say nothing about chance"
    assert (told in " ".join(ended.stderr.split())) == is_by_value
    assert ("p " in ended.stdout) != is_by_value
    assert "no width" not in ended.stderr


def test_a_best_with_equal_values_and_no_seed_is_compared_with_none(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for lr, values in ((1, [0.5] * 3), (2, [0.4, 0.6, 0.5]), (3, [0.9] * 3)):
            for acc in values:
                with store.start("fit", params={"lr": lr}, capture=False) as run:
                    run.log(acc=acc)

    ended = runstore("best", "-m", "acc", cwd=tmp_path)

    told = "The runs of lr=3, lr=1 have equal values and no seeds"
    assert told in " ".join(ended.stderr.split())
    assert "p " not in ended.stdout
    assert "interval" not in ended.stderr
    assert "tied" not in ended.stdout + ended.stderr


def test_runs_none_of_which_is_complete_are_counted(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for status in ("error", "error", "interrupted"):
            run = store.start("fit", capture=False)
            run.log(acc=1.0)
            run.finish(status)

    ended = runstore("best", cwd=tmp_path)

    assert ended.returncode == 3
    assert "No run is complete: 2 error, 1 interrupted." in ended.stderr


def test_remarks_break_between_words_on_a_terminal(folder):
    drawn = on_terminal("best", "-m", "acc", cwd=folder, columns=44, NO_COLOR="1")

    remarks = drawn[drawn.index("runstore:") :].replace("\r", "").splitlines()
    piped = runstore("best", "-m", "acc", cwd=folder).stderr
    assert max(map(len, remarks)) <= 44
    assert " ".join(remarks).split() == piped.split()


def test_a_verdict_wraps_on_a_narrow_terminal(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for model, count in (("a-transformer-base", 3), ("a-convolution", 3), ("an-mlp", 1)):
            for seed in range(count):
                params = {"seed": seed, "model": model}
                with store.start("fit", params=params, capture=False) as run:
                    run.log(acc=len(model) + seed % 2)

    drawn = on_terminal("best", "-m", "acc", cwd=tmp_path, columns=60, NO_COLOR="1")

    table = drawn.partition("runstore:")[0]
    assert "…" not in table
    assert {"too", "values", "judged", "value)"} <= set(table.split())
    assert max(map(len, table.splitlines())) <= 60


@pytest.mark.parametrize("words", [["best"], ["compare", "fit", "--over", "seed"]])
def test_numbers_and_words_are_whole_on_a_narrow_terminal(tmp_path, words):
    models = "transformer", "convolution"
    with store_at(tmp_path / ".runstore") as store:
        for model, depth, seed in itertools.product(models, (16, 32), range(3)):
            params = {"seed": seed, "model": model, "depth": depth}
            with store.start("fit", params=params, capture=False) as run:
                run.log(acc=depth / 100 + len(model) / 7 + seed**2 / 900)

    drawn = on_terminal(*words, "-m", "acc", cwd=tmp_path, columns=72, NO_COLOR="1")

    table = drawn.partition("runstore:")[0]
    assert "…" not in table
    shown = table.split()
    assert all(shown.count(f"model={model}") >= 2 for model in models)
    assert max(map(len, table.splitlines())) <= 72


def test_runs_that_did_not_complete_are_told(folder):
    with store_at(folder / ".runstore") as store:
        failed = store.start("fit", params={"lr": 0.1}, capture=False)
        failed.log(acc=1.0)
        failed.finish("error", error="no")
        name = failed.record.reference
        bare = record(store, params={"lr": 0.1, "layers": 2, "options": {"seed": 9}}, other=[1])

    ended = runstore("best", "-m", "acc", cwd=folder)

    assert f"Left out: {name}: not complete (error)." in ended.stderr
    assert f"Left out: {bare}: has no metric 'acc'." in ended.stderr


def test_no_complete_run_at_all(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        store.start("fit", capture=False).finish("error", error="no")

    ended = runstore("best", "-m", "acc", cwd=tmp_path)

    assert ended.returncode
    assert messages(ended)[0] == "runstore: No run is complete."
    assert "not complete (error)" in ended.stderr


def test_an_unknown_run(folder):
    ended = runstore("best", "fot", "-m", "acc", cwd=folder)

    assert ended.returncode
    assert "fot" in messages(ended)[0]


@pytest.mark.parametrize("level", ["95", "0.4", "nan"])
def test_a_level_out_of_range(folder, level):
    ended = runstore("best", "-m", "acc", "--level", level, cwd=folder)

    assert ended.returncode
    assert "between 0.5 and 0.999" in messages(ended)[0]


def test_nan_values_are_counted_and_left_out(folder):
    with store_at(folder / ".runstore") as store:
        params = {"lr": 0.3, "layers": 2, "options": {"seed": 8}}
        record(store, params=params, acc=[math.nan])

    found = asked(folder, "-m", "acc")

    (group,) = [one for one in found["groups"] if one["group"] == "lr=0.3"]
    assert (group["n"], group["left_out"]) == (5, 1)
    assert "lr=0.3: 1 value is NaN or infinite and left out." in found["remarks"]


def test_names_that_would_harm_a_terminal_or_a_page(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for name in ("\x1b[31mred\x1b[0m\nnew", "<b>bold</b>\u202e"):
            for seed in (1, 2, 3):
                record(store, params={"net": name, "seed": seed}, acc=[seed])

    ended = runstore("best", "-m", "acc", cwd=tmp_path)

    assert len(rows(ended)) == 3
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\u202e" not in ended.stdout + ended.stderr
    with store_at(tmp_path / ".runstore") as store:
        for found in (best(store.list(), "acc"), compare_over(store.list(), "acc")):
            assert "<b>" not in found._repr_html_()
            assert "&lt;b&gt;" in found._repr_html_()


# In Python


@pytest.fixture
def store(folder):
    with store_at(folder / ".runstore") as opened:
        yield opened


def test_a_ranking_answers_questions(store):
    ranking = best(store.list(), "acc.max")

    assert ranking.winner.label == "lr=0.3"
    assert [one.label for one in ranking.contenders] == ["lr=0.1"]
    assert (len(ranking), ranking.is_decided) == (3, False)
    assert {run.params["lr"] for run in ranking.winner.runs} == {0.3}
    assert repr(ranking).startswith("<Ranking of 'acc.max': lr=0.3 has the largest mean")
    assert [name for name, *_ in ranking.__rich_repr__()] == ["metric", "lr=0.3", "lr=0.1", "lr=1"]
    frame = ranking.to_pandas()
    assert frame["verdict"].tolist() == ["best mean", "statistically tied", "worse"]
    assert frame["n"].tolist() == [5, 5, 5]


def test_a_winner_alone_is_best(store):
    runs = [run for run in store.list() if run.params["lr"] != 0.1]

    ranking = best(runs, "acc.max")

    assert (ranking.is_decided, ranking.contenders) == (True, ())
    assert ranking.conclusion.startswith("lr=0.3 is best")
    assert [row[5] for row in ranking.rows()] == ["best", "worse (p < 0.001)"]


def test_a_table_of_repeats_has_means_and_differences(store):
    table = compare_over(store.list(), "acc.max")

    assert [row[0] for row in table.rows()] == ["lr=0.1", "lr=0.3", "lr=1"]
    assert [one.kind for one in table.differences] == ["paired"] * 3
    frame = table.to_pandas()
    assert frame["mean"].tolist() == [one.mean for one in table.means]
    pairs = table.differences_to_pandas()
    assert list(zip(pairs["first"], pairs["second"], strict=True)) == [
        ("lr=0.1", "lr=0.3"),
        ("lr=0.1", "lr=1"),
        ("lr=0.3", "lr=1"),
    ]
    assert (pairs["p_corrected"] >= pairs["p"]).all()
    assert [name for name, *_ in table.__rich_repr__()][1:] == ["lr=0.1", "lr=0.3", "lr=1"]


@pytest.mark.parametrize("statistic", ["last", "first", "min", "max", "mean", "count"])
def test_each_value_of_a_series_may_be_compared(store, statistic):
    table = compare_over(store.list(), f"acc.{statistic}")

    for one in table.groups:
        for member, value in zip(one.group.members, one.sample.values, strict=True):
            assert value == getattr(member.run.metrics["acc"], statistic)


def test_the_last_value_is_meant_where_none_is_named():
    assert str(read_metric("acc")) == "acc.last"
    assert str(read_metric("val/acc.min")) == "val/acc.min"
    assert str(read_metric("a.b")) == "a.b.last"
    assert str(read_metric("acc.max", known=["acc.max"])) == "acc.max.last"
    with pytest.raises(UsageError):
        read_metric(".max")


@pytest.fixture
def unknown(filled):
    """Two settings, clearly apart, of a metric whose name says nothing."""
    return filled(two_settings)


def two_settings(store):
    for lr in (1, 2):
        for seed in range(5):
            record(store, params={"lr": lr, "seed": seed}, val__wobble=[lr + lr * seed / 100])


def test_nobody_is_crowned_before_the_direction_is_known(unknown):
    ended = runstore("best", "-m", "val/wobble", cwd=unknown)

    assert [row[5] for row in rows(ended)[1:]] == ["largest mean", "smaller (p < 0.001)"]
    assert "is not known, so none is called best" in messages(ended)[0]
    assert "runstore direction set val/wobble max" in ended.stderr
    found = asked(unknown, "-m", "val/wobble")
    assert (found["direction"], found["winner"], found["is_decided"]) == (None, None, False)
    assert found["winner_interval"] == {"low": None, "high": None}
    assert asked(unknown, "-m", "val/wobble", "--min")["winner"] == "lr=1"


def test_a_verdict_that_rests_on_normal_values_says_so(tmp_path):
    spread = {1: (0.5, 0.501, 0.502, 0.499, 0.498), 2: (0.1, 0.2, 0.15, 0.12, 0.3)}
    with store_at(tmp_path / ".runstore") as store:
        for lr, accs in spread.items():
            for acc in accs:
                record(store, params={"lr": lr}, acc=[acc])
        ranking = best(store.list(), "acc")

    assert ranking.is_decided
    assert ranking.remarks[0].startswith("lr=2: the verdict is only valid for normally")
    assert [one["is_fragile"] for one in ranking.records()] == [False, True]


def test_even_values_need_no_such_remark(store):
    runs = [run for run in store.list() if run.params["lr"] != 0.1]

    assert not any(one.is_fragile for one in best(runs, "acc.max").best.standings)


def test_a_direction_is_kept_with_the_store(unknown):
    kept = runstore("direction", "set", "wobble", "min", cwd=unknown)

    assert kept.returncode == 0
    assert asked(unknown, "-m", "val/wobble")["winner"] == "lr=1"
    assert asked(unknown, "-m", "val/wobble", "--max")["winner"] == "lr=2"
    assert runstore("direction", "ls", cwd=unknown).stdout == "wobble\tmin\n"
    assert json.loads(runstore("direction", "ls", "--json", cwd=unknown).stdout) == {
        "wobble": "min"
    }
    assert runstore("direction", "rm", "wobble", cwd=unknown).returncode == 0
    gone = runstore("direction", "rm", "wobble", cwd=unknown)
    assert gone.returncode
    assert "No direction is set for 'wobble'." in messages(gone)[0]
    assert asked(unknown, "-m", "val/wobble")["winner"] is None


def test_a_kept_direction_overrules_the_name(store):
    store.directions["acc"] = "min"

    assert store.directions == {"acc": "min"}
    assert best(store.list(), "acc").winner.label == "lr=1"
    assert best(store.list(), "acc", direction="max").winner.label != "lr=1"
    with pytest.raises(InvalidValueError, match="'min' or 'max'"):
        store.directions["acc"] = "up"


def test_how_many_points_there_are_is_neither_good_nor_bad(store):
    assert best(store.list(), "acc.count").winner is None


def test_each_set_of_a_run_counts_by_itself(store):
    sets = [{"lr": lr, "seed": seed} for lr in (1, 2) for seed in (1, 2, 3)]
    with store.start("sets", params=sets, capture=False) as run:
        run.log(acc=0.5)
        for place, one in enumerate(sets, 1):
            run.of_set(f"set{place}").log(acc=one["lr"] + one["seed"] / 10)

    ranking = best(store.list("sets"), "acc")

    assert [one.sample.values for one in ranking.groups] == [(1.1, 1.2, 1.3), (2.1, 2.2, 2.3)]
    assert [one.set_name for one in ranking.winner.members] == ["set4", "set5", "set6"]


def test_commits_that_differ_are_told(store):
    runs = [run for run in store.list() if run.params["lr"] == 0.3]
    mixed = [
        read_from(replace(run, commit=letter * 40), run.source)
        for run, letter in zip(runs, "aabbb", strict=True)
    ]

    together, apart = compare_over(mixed, "acc"), compare_over(mixed, "acc", by_code=True)

    (told,) = (one for one in together.remarks if "different commits" in one)
    assert told.startswith("fit: runs of different commits; ")
    assert "`runstore best --by-code` (in Python, by_code=True)" in told
    assert [row[:2] for row in apart.rows()] == [("code=bbbbbbb", "3"), ("code=aaaaaaa", "2")]


TRAIN = """\
import sys, model, runstore
from pathlib import Path
for seed in (int(sys.argv[1]), -int(sys.argv[1])):
    with runstore.start_run("toy", params={"lr": 0.1, "seed": seed}) as run:
        run.log(acc=model.FACTOR * seed)
        Path("weights.npy").write_text(f"{seed}")
"""


@pytest.fixture
def changed(tmp_path):
    """One commit; run as it is, twice with other numbers, and twice with a new file."""
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "model.py").write_text("FACTOR = 0.1\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    states = [("model.py", f"FACTOR = 0.{n}\n") for n in (1, 2, 3)]
    states += [("more.py", f"X = {n}\n") for n in (1, 2)]
    for seed, (name, text) in enumerate(states, 1):
        (tmp_path / name).write_text(text)
        ended = python("train.py", str(seed), cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    return tmp_path


def test_uncommitted_changes_are_other_code(changed):
    """Two runs of each state of the code, all of one commit, and results beside them."""
    found = asked(changed, "-m", "acc", "--by-code")
    together = asked(changed, "-m", "acc")
    listed = runstore("best", "-m", "acc", "--by-code", cwd=changed)

    numbers = [
        sorted(one["run"].split("_")[1] for one in group["values"]) for group in found["groups"]
    ]
    assert sorted(numbers) == [["1", "2"], ["10", "9"], ["3", "4"], ["5", "6"], ["7", "8"]]
    assert len({group["commit"] for group in found["groups"]}) == 1
    assert [group["changes"] is None for group in found["groups"]].count(True) == 1
    assert len({group["changes"] for group in found["groups"]}) == 5
    labels = {group["group"] for group in found["groups"]}
    commit = found["groups"][0]["commit"][:7]
    assert labels == {
        f"code={commit}" + (f"+{group['changes'][:7]}" if group["changes"] else "")
        for group in found["groups"]
    }
    assert not any("runs" in one and "to separate" in one for one in found["remarks"])
    (remark,) = (one for one in together["remarks"] if "to separate them" in one)
    assert remark.startswith("toy: runs with different uncommitted changes; ")
    assert {one[1] for one in rows(listed)[1:]} == labels


def test_changes_too_large_for_a_patch_are_other_code(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "model.py").write_text("FACTOR = 0.1\n")
    # In a few long lines, since git compares one with another.
    (tmp_path / "data.csv").write_text(f"{'0' * 999}\n" * 2200)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    for seed, value in enumerate("122", 1):
        (tmp_path / "data.csv").write_text(f"{value * 999}\n" * 2200)
        ended = python("train.py", str(seed), cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr

    found = asked(tmp_path, "-m", "acc", "--by-code")

    assert sorted(len(group["values"]) for group in found["groups"]) == [2, 4]


def test_the_code_of_a_run_does_not_depend_on_other_runs(changed):
    """One of the others names a new file, which then counts as code of that run alone."""
    before = asked(changed, "-m", "acc", "--by-code")["groups"]
    ended = python("train.py", "6", "--weights", "weights.npy", cwd=changed)
    assert ended.returncode == 0, ended.stderr

    after = asked(changed, "-m", "acc", "--by-code")["groups"]

    assert {one["changes"] for one in before} < {one["changes"] for one in after}


@pytest.mark.parametrize("script", ["../try.py", "scratch/try.py"])
def test_scripts_that_git_does_not_see_are_other_code(tmp_path, script):
    """One outside the repository, or ignored in it."""
    repository = tmp_path / "repository"
    (repository / "scratch").mkdir(parents=True)
    (repository / ".gitignore").write_text("scratch\n")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "one")
    for seed, factor in enumerate((1, 1, 2)):
        (repository / script).write_text(
            "import sys, runstore\n"
            "with runstore.start_run('toy', params={'seed': sys.argv[1]}) as run:\n"
            f"    run.log(acc={factor})\n"
        )
        ended = python(script, str(seed), cwd=repository)
        assert ended.returncode == 0, ended.stderr

    found = asked(repository, "-m", "acc", "--by-code")

    assert sorted(len(group["values"]) for group in found["groups"]) == [1, 2]


def test_codes_are_a_column_of_single_runs(changed):
    found = runstore("best", "toy#1", "toy#3", "-m", "acc", "--by-code", cwd=changed)

    header, first, second = rows(found)
    assert header == ["rank", "run", "acc", "code"]
    assert (first[1], second[1]) == ("toy#3", "toy#1")
    assert first[3].startswith(f"{second[3]}+")


def test_runs_from_anywhere_are_refused_when_there_are_none():
    with pytest.raises(NotFoundError, match="There are no runs"):
        best([], "acc")


# compare --over


def test_the_table_of_means_and_of_differences(folder):
    ended = runstore("compare", "fit", "--over", "seed", "-m", "acc.max", cwd=folder)

    means, differences = ended.stdout.split("\n\n")
    assert [line.split("\t")[0] for line in means.splitlines()] == [
        "group",
        "lr=0.1",
        "lr=0.3",
        "lr=1",
    ]
    header, *lines = [line.split("\t") for line in differences.splitlines()]
    assert header == ["difference", "by", "interval", "test", "p", "corrected p"]
    assert lines[-1][0] == "lr=0.1 - lr=0.3"
    assert {line[3] for line in lines} == {"paired, 5 pairs"}
    assert "Each interval has a confidence level of 95 % by itself." in ended.stderr


def test_the_same_as_json(folder):
    arguments = ("compare", "fit", "--over", "options.seed", "-m", "acc.max", "--json")

    found = json.loads(runstore(*arguments, cwd=folder).stdout)

    assert [one["group"] for one in found["groups"]] == ["lr=0.1", "lr=0.3", "lr=1"]
    assert len(found["differences"]) == 3
    assert found["over"] == ["options.seed"]


@pytest.mark.parametrize("metrics", [(), ("-m", "acc", "-m", "loss")])
def test_groups_are_compared_by_one_metric(folder, metrics):
    ended = runstore("compare", "fit", "--over", "seed", *metrics, cwd=folder)

    assert messages(ended)[0] == "runstore: Groups are compared by one metric."


def test_the_page_of_runs_says_the_same(store):
    page = store.find("params.lr < 0.5", experiment="fit", limit=None)

    assert page.best("acc.max").winner.label == "lr=0.3"
    assert [row[0] for row in page.compare_over("acc.max", ["seed"]).rows()] == [
        "lr=0.1",
        "lr=0.3",
    ]


def test_values_that_wait_in_the_spool_count(store):
    """A run may have ended before its points were taken into the database."""
    active = store.start("waiting", params={"lr": 1, "seed": 1}, capture=False)
    active.log({"acc": 0.25})
    recorded = active.record
    finished = record(store, "waiting", params={"lr": 1, "seed": 2}, acc=[0.5])

    found = recorded.source.metrics_of_all([store.get(finished), recorded])
    active.finish()

    assert [[(one.key, one.last) for one in found[uid]] for uid in found] == [
        [("acc", 0.5)],
        [("acc", 0.25)],
    ]
