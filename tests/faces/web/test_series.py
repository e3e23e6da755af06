"""Metrics for charts: columns of doubles in blocks, with every extreme."""

import array
import json
import math
import struct

import pytest

LENGTH, SPIKE = 30_000, 12_345


def lines_of(response, name="series"):
    """Return the lines of an answer, their columns taken apart."""
    assert response.status_code == 200, response.text
    body = response.content
    (length,) = struct.unpack_from("<I", body)
    assert (4 + length) % 8 == 0
    head = json.loads(body[4 : 4 + length])
    numbers = array.array("d", body[4 + length :])
    for line in head[name]:
        for place, column in enumerate(line["columns"]):
            at = line["offset"] // 8 + place * line["blocks"]
            line[column] = list(numbers[at : at + line["blocks"]])
    return head[name]


def series(client, **query):
    return lines_of(client.get("/api/v1/series", params=query))


@pytest.fixture
def long(store):
    """The uid of a run with one spike."""
    with store.start("long", capture=False) as run:
        run.log_points("loss", [5.0 if one == SPIKE else 0.25 for one in range(LENGTH)])
    return run.uid


def test_few_points_come_as_they_are(client):
    (line,) = series(client, runs="mnist#1", keys="loss")

    assert (line["key"], line["set_name"], line["exact"]) == ("loss", None, True)
    assert (line["count"], line["blocks"], line["columns"]) == (2, 2, ["x", "value"])
    assert (line["x"], line["value"]) == ([0.0, 10.0], [1.0, 0.5])


@pytest.mark.parametrize("width", [50, 500, 5_000, LENGTH])
def test_a_spike_is_in_a_block_at_every_zoom(client, long, width):
    begin = max(SPIKE - width // 2, 0)
    window = {"from": begin, "to": begin + width, "points": 100}

    (line,) = series(client, runs=long, keys="loss", **window)

    assert line["exact"] is (width <= 100)
    columns = ["x", "value"] if line["exact"] else ["x", "first", "min", "max", "last", "x_last"]
    assert line["columns"] == columns
    high, last = (line["value"], line["x"]) if line["exact"] else (line["max"], line["x_last"])
    place = high.index(5.0)
    assert high.count(5.0) == 1
    assert line["x"][place] <= SPIKE <= last[place]
    assert last[place] - line["x"][place] <= width / 100
    assert line["count"] == min(begin + width, LENGTH - 1) - begin + 1


def test_what_a_run_lacks_is_left_out_and_what_sets_have_is_there(client, store):
    sets = [{"name": "a", "lr": 1}, {"name": "b", "lr": 2}]
    with store.start("sets", params=sets, capture=False) as run:
        run.log({"loss": 1.0, "x,y": 2.0, "50%": 3.0})
        run.of_set("b").log(loss=4.0)

    asked = {"runs": f"{run.uid},mnist#1", "keys": "loss,none,x%2Cy,50%25,b/loss"}
    found = [
        (line["reference"].split("_")[0], line["key"], line["set_name"], line["value"][0])
        for line in series(client, **asked)
    ]

    assert found == [
        ("sets", "loss", None, 1.0), ("sets", "loss", "b", 4.0), ("sets", "x,y", None, 2.0),
        ("sets", "50%", None, 3.0), ("mnist", "loss", None, 1.0),
    ]  # fmt: skip
    assert series(client, runs=run.uid, keys="b/loss")[0]["set_name"] == "b"


def test_x_is_a_step_or_a_time(client, store):
    run = store.start("times", capture=False)
    begin = run.record.started_at.timestamp()
    run.log_points("loss", [1.0, 2.0, 3.0], times=[begin + 10, begin + 20, begin + 30])
    run.finish()

    (relative,) = series(client, runs=run.uid, keys="loss", x="relative", **{"from": 15.5})
    (timed,) = series(client, runs=run.uid, keys="loss", x="time", to=begin + 15)

    assert relative["x"] == pytest.approx([20, 30])
    assert timed["x"] == pytest.approx([begin + 10])


def test_an_answer_does_not_depend_on_the_other_runs_asked_for(client, long):
    alone = series(client, runs=long, keys="loss")
    among = series(client, runs=f"mnist#1,{long},cifar#1", keys="loss")

    assert [line["uid"] for line in among].index(long) == 1
    for name in ("x", "first", "min", "max", "last", "x_last"):
        assert among[1][name] == alone[0][name]


def test_sparklines_show_extremes(client, store, long):
    with store.start("odd", capture=False) as odd:
        odd.log_points("loss", [1.0, math.nan, math.inf])
    rows = client.get("/api/v1/runs/rows", params={"uids": f"{long},{odd.uid}"}).json()["rows"]
    ids = [row["id"] for row in rows]

    asked = {"ids": ",".join(map(str, [*ids, 4_000_000])), "key": "loss", "points": 16}
    found = client.get("/api/v1/sparklines", params=asked).json()["sparklines"]

    assert found.keys() == {str(one) for one in ids}
    assert found[str(ids[1])] == [1.0, "NaN", "Infinity"]
    assert len(found[str(ids[0])]) <= 16
    assert found[str(ids[0])].count(5.0) == 1
    assert client.get("/api/v1/sparklines", params={**asked, "key": "no"}).json() == {
        "sparklines": {}
    }


@pytest.mark.parametrize(
    "query",
    [
        {"from": "NaN"}, {"from": "1e400"}, {"to": "1_0"}, {"from": "٣"}, {"to": ""},
        {"points": "3"}, {"points": "100001"}, {"x": "epoch"}, {"keys": ""}, {"runs": ""},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(client, query):
    response = client.get("/api/v1/series", params={"runs": "mnist#1", "keys": "loss", **query})

    assert (response.status_code, response.json()["error"]["code"]) == (400, "usage")


def head_of(response):
    (length,) = struct.unpack_from("<I", response.content)
    return json.loads(response.content[4 : 4 + length])


def test_a_damaged_series_costs_no_other(client, store):
    with store.backend.database.driver.write() as connection:
        connection.execute(
            "UPDATE metric_chunks SET chunk = :chunk WHERE run_id = 1", {"chunk": b"\1\1"}
        )
    asked = {"runs": "mnist#1,mnist#2", "keys": "loss,none"}
    ids = {"ids": "1,2", "key": "loss"}

    response = client.get("/api/v1/series", params=asked)
    groups = client.get("/api/v1/series/groups", params=asked)

    assert [line["reference"][:7] for line in lines_of(response)] == ["mnist_2"]
    (left_out,) = head_of(response)["left_out"]
    assert left_out["name"].startswith("mnist_1_")
    assert "cannot be read" in left_out["reason"]
    assert [len(group["runs"]) for group in lines_of(groups, "groups")] == [1]
    assert [one["name"][:7] for one in head_of(groups)["left_out"]] == ["mnist_1"]
    assert client.get("/api/v1/sparklines", params=ids).json()["sparklines"].keys() == {"2"}


def test_a_run_that_was_deleted_meanwhile_is_left_out(client, store):
    store.delete("mnist#1")

    (line,) = series(client, runs="mnist#1,mnist#2", keys="loss")

    assert line["reference"].startswith("mnist_2_")


def test_a_run_that_is_not_there_is_an_error(client):
    response = client.get("/api/v1/series", params={"runs": "mnist#77", "keys": "loss"})

    assert (response.status_code, response.json()["error"]["code"]) == (404, "run-not-found")


# Means over repeats


@pytest.fixture
def repeated(store):
    """Uids of runs: three seeds of one setting, one of another."""
    uids = []
    for lr, seed in ((0.1, 1), (0.1, 2), (0.1, 3), (0.5, 1)):
        with store.start("rep", params={"lr": lr, "seed": seed}, capture=False) as run:
            for step in range(10 - seed):
                run.log(loss=lr * step + seed)
        uids.append(run.uid)
    return uids


def means(client, uids, **query):
    asked = {"runs": ",".join(uids), "keys": "loss", **query}
    return lines_of(client.get("/api/v1/series/groups", params=asked), "groups")


def test_means_are_over_everything_equal_but_the_seed(client, repeated):
    first, other = means(client, repeated)

    assert (first["label"], other["label"]) == ("lr=0.1", "lr=0.5")
    assert (first["runs"], other["runs"]) == (repeated[:3], repeated[3:])
    assert first["columns"] == ["x", "mean", "low", "high", "n"]
    assert first["x"] == list(range(9))
    assert first["n"] == [3, 3, 3, 3, 3, 3, 3, 2, 1]
    assert first["mean"][:8] == pytest.approx([0.1 * step + 2 for step in range(7)] + [2.2])
    # Student's quantile for three values is 4.3027, for two 12.706.
    half = 4.302653 / math.sqrt(3)
    assert first["high"][0] - first["mean"][0] == pytest.approx(half)
    assert first["mean"][0] - first["low"][0] == pytest.approx(half)
    assert first["high"][7] - first["mean"][7] == pytest.approx(12.7062 / 2, rel=1e-5)
    assert math.isnan(first["low"][8])
    assert other["low"] == other["mean"] == other["high"]


def test_a_mean_does_not_depend_on_the_other_runs_asked_for(client, repeated):
    together, alone = means(client, repeated)[0], means(client, repeated[:3])[0]

    for name in ("id", "x", "mean", "n", "runs"):
        assert together[name] == alone[name]


def test_a_run_that_goes_on_counts_and_the_older_of_one_seed_does_not(client, store, repeated):
    again = store.start("rep", params={"lr": 0.1, "seed": 3}, capture=False)
    again.log(loss=30.0)

    response = client.get(
        "/api/v1/series/groups", params={"runs": ",".join([*repeated, again.uid]), "keys": "loss"}
    )

    first = lines_of(response, "groups")[0]
    assert first["runs"] == [*repeated[:2], again.uid]
    assert first["mean"][0] == 11.0
    (length,) = struct.unpack_from("<I", response.content)
    head = json.loads(response.content[4 : 4 + length])
    assert head["level"] == 0.95
    assert [one["name"].rsplit("_", 1)[0] for one in head["left_out"]] == ["rep_3"]
    again.finish()


def test_means_of_long_series_are_of_what_was_logged(client, store):
    uids = []
    for seed in range(2):
        with store.start("long", params={"seed": seed}, capture=False) as run:
            run.log_points("loss", [one * 7919 % 1000 + seed for one in range(LENGTH)])
        uids.append(run.uid)

    (line,) = means(client, uids, points=100)
    (window,) = means(client, uids, points=100, **{"from": 100, "to": 150})

    assert len(line["x"]) == 101
    assert line["mean"] == [x * 7919 % 1000 + 0.5 for x in line["x"]]
    assert window["x"] == list(range(100, 151))
    assert window["mean"] == [x * 7919 % 1000 + 0.5 for x in window["x"]]


def test_means_over_relative_time_begin_with_each_run(client, store):
    uids = []
    for seed in range(2):
        run = store.start("timed", params={"seed": seed}, capture=False)
        begin = run.record.started_at.timestamp()
        run.log_points("loss", [1.0 + seed, 3.0], times=[begin + 10, begin + 20 + seed])
        run.finish()
        uids.append(run.uid)

    (line,) = means(client, uids, x="relative")

    assert line["x"] == pytest.approx([10, 20, 21])
    assert line["mean"] == pytest.approx([1.5, 2.5, 3.0])
    assert line["n"] == [2, 2, 1]
