"""Filters under a name, through the API."""


def saved(client):
    return client.get("/api/v1/filters").json()["filters"]


def test_filter_is_kept_for_every_face(client, store):
    answer = client.post("/api/v1/filters", json={"name": "low", "filter": "params.lr < 0.2"})

    assert answer.status_code == 200, answer.text
    assert saved(client) == [{"name": "low", "filter": "params.lr < 0.2"}]
    assert store.queries["low"] == "params.lr < 0.2"


def test_null_removes_a_filter(client, store):
    store.queries["low"] = "params.lr < 0.2"

    answer = client.post("/api/v1/filters", json={"name": "low", "filter": None})

    assert answer.status_code == 200, answer.text
    assert saved(client) == []


def test_removing_an_unknown_filter_names_near_ones(client, store):
    store.queries["low"] = "params.lr < 0.2"

    answer = client.post("/api/v1/filters", json={"name": "lox", "filter": None})

    assert answer.status_code == 404
    assert "low" in answer.json()["error"]["hint"]


def test_what_is_no_filter_is_not_kept(client):
    for name, text in (("good", "params.lr <"), ("no name", "params.lr < 1")):
        answer = client.post("/api/v1/filters", json={"name": name, "filter": text})
        assert answer.status_code == 400, answer.text

    assert saved(client) == []
