"""The metrics that a chart can be made of."""


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


def test_runs_that_were_deleted_meanwhile_are_left_out(store, client):
    gone = store.get("mnist#1").uid
    store.delete(gone)

    found = keys_of(client, runs=f"{gone},mnist#2")

    assert [one["runs"] for one in found["keys"]] == [1]
