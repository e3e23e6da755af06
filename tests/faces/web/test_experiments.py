"""The API's list of experiments: counts by status, and the best run by a metric."""

import math

import pytest

from runstore import Store
from web_client import client_of, served_at


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store") as opened:
        for name, values in {"mnist": (0.3, 0.9, 0.5), "cifar": (0.2, math.nan)}.items():
            for value in values:
                run = opened.start(name, capture=False)
                run.log({"acc": 0.1, "loss": 1 - value, "odd": value}, step=0)
                run.log({"acc": value, "loss": 1 - value, "odd": value}, step=1)
                run.finish()
        failed = opened.start("mnist", capture=False)
        failed.log({"acc": 1.0})
        failed.finish("error")
        opened.start("empty", capture=False).finish()
        yield opened


@pytest.fixture
def listed(store):
    with client_of(served_at(store)) as client:

        def ask(**query):
            response = client.get("/api/v1/experiments", params=query)
            assert response.status_code == 200, response.text
            answer = response.json()
            return {one["name"]: one for one in answer["experiments"]}, answer["metric"]

        yield ask


def bests(experiments):
    return {
        name: (one["best"]["reference"].rpartition("_")[0], one["best"]["value"])
        for name, one in experiments.items()
        if one["best"]
    }


def test_experiments_have_counts_by_status(listed):
    experiments, metric = listed()

    assert metric is None
    assert experiments["mnist"]["by_status"] == {"complete": 3, "error": 1}
    assert (experiments["mnist"]["runs"], experiments["mnist"]["last_run_number"]) == (4, 4)
    assert bests(experiments) == {}


def test_the_last_run_is_one_that_is_kept(store, listed):
    store.delete("mnist#4")

    assert listed()[0]["mnist"]["last_run_number"] == 3


def test_the_best_complete_run_is_named(listed):
    experiments, metric = listed(metric="acc")

    assert metric == {"key": "acc", "statistic": "last", "direction": "max", "is_kept": False}
    assert bests(experiments) == {"mnist": ("mnist_2", 0.9), "cifar": ("cifar_1", 0.2)}


def test_small_losses_are_good(listed):
    experiments, metric = listed(metric="loss.min")

    assert (metric["statistic"], metric["direction"]) == ("min", "min")
    assert bests(experiments)["mnist"][0] == "mnist_2"


def test_a_direction_that_is_kept_counts(store, listed):
    store.directions["odd"] = "min"

    experiments, metric = listed(metric="odd")

    assert (metric["direction"], metric["is_kept"]) == ("min", True)
    assert bests(experiments)["mnist"] == ("mnist_1", 0.3)


def test_without_a_direction_there_is_no_best(listed):
    experiments, metric = listed(metric="odd")
    chosen, _ = listed(metric="odd", direction="max")

    assert metric["direction"] is None
    assert bests(experiments) == {}
    assert bests(chosen)["mnist"] == ("mnist_2", 0.9)


def test_a_key_that_ends_like_a_number_is_that_key(store, listed):
    run = store.start("mnist", capture=False)
    run.log({"acc.max": 0.01})
    run.finish()

    _, metric = listed(metric="acc.max")

    assert (metric["key"], metric["statistic"]) == ("acc.max", "last")


def test_a_metric_of_parameter_sets_counts(store, listed):
    params = [{"name": "small", "lr": 1}, {"name": "large", "lr": 2}]
    with store.start("sets", params=params, capture=False) as run:
        run.of_set("small").log_points("score", [0.4])
        run.of_set("large").log_points("score", [0.8])

    experiments, _ = listed(metric="score")

    assert bests(experiments)["sets"] == ("sets_1", 0.8)


def test_infinity_is_not_best_as_in_rankings(store, listed):
    for number in (math.inf, -math.inf):
        with store.start("mnist", capture=False) as run:
            run.log(acc=number, loss=number)

    ranking = store.find(experiment="mnist").best("acc")

    assert bests(listed(metric="acc")[0])["mnist"] == ("mnist_2", 0.9)
    assert bests(listed(metric="loss")[0])["mnist"][0] == "mnist_2"
    assert max(mean.mean.mean for mean in ranking.best.standings) <= 0.9
