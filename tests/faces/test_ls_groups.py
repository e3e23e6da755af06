"""ls --group-by, as its users see it."""

import json

import pytest

from commands import messages, on_terminal
from commands import runstore_here as runstore
from places import store_at
from runstore.errors import FilterError, UsageError
from runstore.model.query.tree import Namespace


@pytest.fixture
def folder(filled):
    return filled(eight_runs)


def eight_runs(store):
    for n in range(8):
        name, model = ("fit", "train")[n % 2], ("tree", "svm", None)[n % 3]
        params = {"lr": n % 2 / 10} | ({"model": model} if model else {})
        run = store.start(name, params=params, capture=False)
        run.log(acc=n / 10)
        run.tags.update({"keep": ""} if n < 2 else {})
        run.finish("error" if n == 3 else "complete")


def groups(folder, *words):
    return json.loads(runstore("ls", *words, "--format", "json", cwd=folder).stdout)


def test_a_terminal_shows_how_long_ago_the_last_run_of_a_group_started(folder):
    drawn = on_terminal("ls", "--group-by", "experiment", cwd=folder, NO_COLOR="1").split("\n")

    assert [line.rstrip().endswith(" ago") for line in drawn if line] == [False, True, True]


def test_a_row_for_each_experiment(folder):
    found = groups(folder, "--group-by", "experiment")

    assert [(one["experiment"], one["runs"], one["complete"], one["error"]) for one in found] == [
        ("train", 4, 3, 1),
        ("fit", 4, 4, 0),
    ]
    assert found[0]["last run"].startswith("train_4_")


def test_the_order_of_groups_can_be_reversed(folder):
    for by in ("params.lr", "params.model"):
        found = groups(folder, "--group-by", by)

        assert groups(folder, "--group-by", by, "-r") == found[::-1]
        assert groups(folder, "--group-by", by, "--sort", "started", "-r") == found


def test_namespaces_can_be_left_out(folder):
    short = groups(folder, "--group-by", "lr", "--columns", "acc")

    assert short == groups(folder, "--group-by", "params.lr", "--columns", "metrics.acc")
    assert short[0]["params.lr"] == 0.1


def test_parameters_and_tags_group_too_and_what_has_none_is_a_group(folder):
    models = groups(folder, "--group-by", "params.model")
    tags = groups(folder, "--group-by", "tags.keep")

    assert {one["params.model"]: one["runs"] for one in models} == {"tree": 3, "svm": 3, None: 2}
    assert {one["tags.keep"]: one["runs"] for one in tags} == {"": 2, None: 6}


def test_groups_whose_values_look_alike_have_exact_texts(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for value in (1, "1", "'1'", True, "true", None, "None"):
            store.start("odd", params={"x": value}, capture=False).finish()

    found = groups(tmp_path, "--group-by", "params.x")

    assert [one["params.x"] for one in found[::-1]] == [
        *("1", "'1'", "\"'1'\"", "true", "'true'", None, "None"),
    ]


def test_metrics_are_summed_up(folder):
    found = groups(folder, "--group-by", "experiment", "--columns", "metrics.acc")

    assert [
        (one["metrics.acc.min"], round(one["metrics.acc.mean"], 6), one["metrics.acc.max"])
        for one in found
    ] == [(0.1, 0.4, 0.7), (0.0, 0.3, 0.6)]


def test_filters_experiments_and_orders_count(folder):
    found = groups(folder, "fit", "params.model is not missing", "--group-by", "params.model")
    by_best = groups(
        folder, "--group-by", "params.model", "--columns", "metrics.acc", "--sort",
        "metrics.acc.max desc",
    )  # fmt: skip

    assert sum(one["runs"] for one in found) == 3
    assert [one["params.model"] for one in by_best] == ["svm", "tree", None]


def test_a_table_for_people_and_for_pipes(folder):
    ended = runstore("ls", "--group-by", "status", cwd=folder)

    assert [line.split("\t")[:2] for line in ended.stdout.splitlines()] == [
        ["status", "runs"],
        ["complete", "7"],
        ["error", "1"],
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["started"], "cannot be grouped by a time"),
        (["metrics.acc"], "cannot be grouped by 'metrics.acc'"),
        (["experiment", "--columns", "notes"], "have no column 'notes'"),
        (["experiment", "--columns", "metrics.no"], "None of these runs has a metric 'no'"),
        (["experiment", "--sort", "nothing"], "cannot be sorted by 'nothing'"),
        (["statu"], "Did you mean 'status'"),
    ],
)
def test_what_makes_no_sense_is_said(folder, words, told):
    ended = runstore("ls", "--group-by", *words, cwd=folder)

    assert ended.returncode == 2
    assert any(told in line for line in messages(ended)), ended.stderr


def test_errors_are_groups_like_any_other(folder):
    with store_at(folder / ".runstore") as store:
        run = store.start("fit", capture=False)
        run.finish("error", error="ValueError: nan")

    found = groups(folder, "--group-by", "error")

    assert {one["error"]: (one["runs"], one["status.error"]) for one in found} == {
        None: (8, 1),
        "ValueError: nan": (1, 1),
    }


def test_hostile_keys_stay_in_their_heads(folder):
    with store_at(folder / ".runstore") as store:
        store.start("fit", params={"\x1b[31m[red]\tx": 1}, capture=False).finish()

    listed = runstore("ls", "-n", "1", "--columns", "params", cwd=folder).stdout

    assert "\x1b" not in listed
    assert len(listed.splitlines()[0].split("\t")) == 1


def test_groups_agree_with_the_runs_themselves(folder):
    with store_at(folder / ".runstore") as store:
        run = store.start("sets", params=[{"lr": 0.1}], capture=False)
        run.finish()
        store.delete("fit#1")
        for field in ("experiment", "status", "params.lr", "tags.keep", "dirty", "set"):
            for where in ("", "params.lr = 0.1", "output is missing"):
                found = store.group(field, where)

                runs = store.find(where, limit=None)
                assert sum(one.runs for one in found) == len(runs), (field, where)
                assert sum(sum(one.statuses.values()) for one in found) == len(runs)


def test_no_field_of_the_language_breaks_it(folder):
    with store_at(folder / ".runstore") as store:
        for namespace in Namespace:
            try:
                store.group(f"{namespace.value}.x")
            except (FilterError, UsageError):
                continue


def test_the_mean_of_a_group_is_a_number_whatever_its_values_are(tmp_path):
    of = {
        "mixed": (float("inf"), float("-inf")),
        "large": (1.7e308, 1.6e308, 1.5e308),
        "above": (float("inf"), 1.0),
    }
    with store_at(tmp_path) as store:
        for name, values in of.items():
            for value in values:
                with store.start(name, capture=False) as run:
                    run.log(acc=value)

        found = store.group("experiment", metrics=["acc"])

    mixed, large, above = (
        next(one.metrics["acc"] for one in found if one.value == name) for name in of
    )
    assert mixed.mean != mixed.mean
    assert large.mean == pytest.approx(1.6e308)
    assert above.mean == float("inf")


def test_groups_of_whole_numbers_keep_their_digits(tmp_path):
    with store_at(tmp_path) as store:
        for value in (2**53 + 1, 2**53, 2**70):
            store.start("e", params={"id": value}, capture=False).finish()

        values = {one.value for one in store.group("params.id")}

    assert values == {2**53 + 1, 2**53, 2**70}


def test_an_unknown_field_is_shown_without_the_query_around_it(folder):
    ended = runstore("ls", "--group-by", "lrr", cwd=folder)

    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "runstore: There is no field 'lrr'.",
        "Did you mean params.lr?",
    ]


def test_an_unknown_sort_key_is_shown_from_the_margin(folder):
    ended = runstore("ls", "--sort", "lrr", cwd=folder)

    assert ended.stderr.splitlines()[1:3] == ["  order by lrr", "           ^"]
