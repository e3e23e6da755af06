"""The metrics that a chart can be made of, and the names of its lines."""

import pytest

import runstore


def keys_of(client, **query):
    response = client.get("/api/v1/series/keys", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_keys_of_most_runs_come_first(store, client):
    with store.start("mnist", capture=False) as run:
        run.log({"acc": 0.5, "loss": 1.0}, step=0)

    found = keys_of(client, runs="mnist#1,mnist#2,mnist#4")

    assert found == {
        "total": 2,
        "keys": [
            {"key": "loss", "runs": 3, "points": 2},
            {"key": "acc", "runs": 1, "points": 1},
        ],
    }


def test_keys_are_found_by_any_of_their_words(store, client):
    with store.start("mnist", capture=False) as run:
        run.log({"val/acc": 0.5, "val/loss": 1.0, "train/loss": 1.0}, step=0)

    found = keys_of(client, runs=run.uid, search="LOSS val")
    limited = keys_of(client, runs=run.uid, limit=1)

    assert [one["key"] for one in found["keys"]] == ["val/loss"]
    assert (limited["total"], len(limited["keys"])) == (3, 1)


def test_a_run_counts_once_however_often_it_is_named(client):
    found = keys_of(client, runs="mnist#1,mnist#1")

    assert [one["runs"] for one in found["keys"]] == [1]


@pytest.mark.parametrize("path", ["series", "series/groups", "series/keys", "series/names"])
def test_runs_that_were_deleted_meanwhile_are_left_out(store, client, path):
    """A chart of many runs does not fail because of one; only if none is there, that is said."""
    gone = store.get("mnist#1").uid
    query = {"runs": f"{gone},mnist#2"} | (
        {} if path in {"series/keys", "series/names"} else {"keys": "loss"}
    )
    store.delete(gone)

    some = client.get(f"/api/v1/{path}", params=query)
    none = client.get(f"/api/v1/{path}", params={**query, "runs": gone})

    assert some.status_code == 200
    assert store.get("mnist#2").uid.encode() in some.content or b'"runs":1' in some.content
    assert (none.status_code, none.json()["error"]["code"]) == (404, "run-not-found")


def test_lines_are_named_by_the_parameters_that_differ(store, client):
    runs = [
        store.start("named", params={"model": {"lr": lr}, "same": 1}, capture=False)
        for lr in (0.1, 0.2)
    ]
    sets = [runstore.parameter_set({"size": size}, name=f"s{size}") for size in (1, 2)]
    swept = store.start("named", params=sets, capture=False)

    uids = ",".join(run.uid for run in (*runs, swept))
    response = client.get("/api/v1/series/names", params={"runs": uids})

    assert response.status_code == 200, response.text
    names = {(one["uid"], one["set_name"]): one["name"] for one in response.json()["names"]}
    assert [names[run.uid, None] for run in runs] == [
        "named#1 model.lr=0.1 same=1",
        "named#2 model.lr=0.2 same=1",
    ]
    assert names[swept.uid, None] == "named#3"
    assert names[swept.uid, "s1"] == "named#3 s1 size=1"
