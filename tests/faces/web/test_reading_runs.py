"""The API as programs use it: order vectors, rows, columns, filters, one run."""

import array
import struct

import pytest

from web_client import TOKEN, client_of, served_at


def order_of(response):
    assert response.status_code == 200, response.text
    magic, count, changed = struct.unpack_from("<4sIQ", response.content)
    ids = array.array("I", response.content[16:])
    assert (magic, count) == (b"RSO1", len(ids))
    return changed, list(ids)


def rows_of(client, ids, columns=""):
    response = client.get(
        "/api/v1/runs/rows", params={"ids": ",".join(map(str, ids)), "columns": columns}
    )
    assert response.status_code == 200, response.text
    return response.json()["rows"]


def test_the_order_vector_names_every_run_newest_first(client):
    _, ids = order_of(client.get("/api/v1/runs/order"))

    numbers = [(row["experiment"], row["run_number"]) for row in rows_of(client, ids)]
    assert numbers == [("cifar", 2), ("cifar", 1), ("mnist", 3), ("mnist", 2), ("mnist", 1)]


def test_the_order_vector_follows_filter_order_and_experiment(client):
    by_loss = "params.lr > 0 order by metrics.loss.last"

    _, ids = order_of(client.get("/api/v1/runs/order", params={"filter": by_loss}))
    _, of_one = order_of(
        client.get("/api/v1/runs/order", params={"filter": by_loss, "experiment": "mnist"})
    )

    assert [row["cells"] for row in rows_of(client, ids, "params.lr")] == [
        [0.4], [0.3], [0.2], [0.1]
    ]  # fmt: skip
    assert [row["run_number"] for row in rows_of(client, of_one)] == [3, 2]


def test_every_page_of_find_has_the_order_of_the_vector(client, store):
    for text in ("", "order by params.lr desc", "tags.phase = pilot order by experiment"):
        _, ids = order_of(client.get("/api/v1/runs/order", params={"filter": text}))

        assert [row["uid"] for row in rows_of(client, ids)] == [
            run.uid for run in store.find(text)
        ]


def test_the_uids_of_a_filter_have_the_order_of_the_vector(client, store):
    store.delete("cifar#1")
    for text in ("", "order by params.lr desc", "tags.phase = pilot"):
        found = client.get("/api/v1/runs/uids", params={"filter": text}).json()
        _, ids = order_of(client.get("/api/v1/runs/order", params={"filter": text}))

        assert found["ids"] == list(ids)
        assert found["uids"] == [run.uid for run in store.find(text)]

    (uid,) = client.get("/api/v1/runs/uids", params={"trash": "1"}).json()["uids"]
    assert store.trash()[0].uid == uid


def test_the_vector_of_the_trash_has_deleted_runs_alone(client, store):
    store.delete(["mnist#1", "cifar#1"])

    _, ids = order_of(client.get("/api/v1/runs/order", params={"trash": "1"}))
    _, kept = order_of(client.get("/api/v1/runs/order"))
    _, few = order_of(
        client.get("/api/v1/runs/order", params={"trash": "1", "filter": "params.lr > 0.1"})
    )

    assert {row["reference"].split("_20")[0] for row in rows_of(client, ids)} == {
        "mnist_1", "cifar_1"
    }  # fmt: skip
    assert all(row["deleted_at"] for row in rows_of(client, ids))
    assert len(kept) == 3
    assert not set(kept) & set(ids)
    assert [row["experiment"] for row in rows_of(client, few)] == ["cifar"]


def test_cells_stand_in_the_order_of_the_columns(client):
    _, ids = order_of(client.get("/api/v1/runs/order", params={"filter": "params.lr = 0.2"}))

    names = (
        "params.lr, params.model.layers[0], metrics.loss, metrics.loss.max, metrics.loss@0,"
        " metrics.loss@10, metrics.loss@7, tags.phase, params.none, status, duration"
    )
    (row,) = rows_of(client, ids, names)

    *cells, duration = row["cells"]
    assert cells == [
        0.2, 2.0, 0.5 / 3, 1 / 3, 1 / 3, 0.5 / 3, None, "pilot", None, "complete"
    ]  # fmt: skip
    assert duration == row["duration_s"]


def test_a_metric_with_a_sign_in_its_name_is_no_step(client, store):
    with store.start("top", capture=False) as run:
        run.log({"recall@10": 0.7, "recall": 0.1}, step=10)

    (row,) = rows_of(
        client,
        order_of(client.get("/api/v1/runs/order", params={"experiment": "top"}))[1],
        "metrics.recall@10, metrics.recall@10.max, metrics.recall",
    )

    assert row["cells"] == [0.7, 0.7, 0.1]


def test_what_is_still_in_flight_is_shown(client, store):
    with store.start("live", capture=False) as run:
        run.log(loss=3.0)
        run.log(loss=2.0)

        (row,) = client.get(
            "/api/v1/runs/rows", params={"uids": run.uid, "columns": "metrics.loss.min"}
        ).json()["rows"]

        assert (row["status"], row["cells"]) == ("running", [2.0])


def test_numbers_that_json_does_not_know_are_words(client, store):
    with store.start("odd", params={"a": float("inf"), "b": 2**60}, capture=False) as run:
        run.log(loss=float("nan"))
    asked = {"uids": run.uid, "columns": "params.a, params.b, metrics.loss"}

    (row,) = client.get("/api/v1/runs/rows", params=asked).json()["rows"]

    assert row["cells"] == ["Infinity", str(2**60), "NaN"]


def test_rows_come_in_the_order_asked_for_without_those_that_are_gone(client):
    _, ids = order_of(client.get("/api/v1/runs/order"))

    rows = rows_of(client, [ids[3], 4_000_000_000, ids[0]])

    assert [row["id"] for row in rows] == [ids[3], ids[0]]


def test_columns_that_differ_are_found(client):
    found = client.get("/api/v1/columns/differing").json()["columns"]

    assert set(found) == {"params.lr", "params.model.layers[0]", "metrics.loss", "tags.phase"}


def test_every_known_column_can_be_asked_for(client, store):
    odd = {"a.b": 1, 'say "hi"': {"x y": 2}, "comma,name": 3, "ä": [{"deep": 4}]}
    store.start("odd", params=odd, capture=False).finish()
    known = client.get("/api/v1/columns", params={"limit": 1000}).json()
    names = [one["name"] for one in known["columns"]]

    (row,) = client.get(
        "/api/v1/runs/rows",
        params={"uids": store.get("odd#1").uid, "columns": ", ".join(names)},
    ).json()["rows"]

    cells = dict(zip(names, row["cells"], strict=True))
    assert known["total"] == len(names)
    found = [value for name, value in cells.items() if name.startswith("params.") and value]
    assert sorted(found) == [1.0, 2.0, 3.0, 4.0]


def test_columns_are_searched_by_words(client):
    found = client.get("/api/v1/columns", params={"search": "LAY model", "limit": 1}).json()

    assert found["total"] == 2
    assert found["columns"] == [
        {"name": "params.model.layers[0]", "kind": "param", "runs": 5, "more": False}
    ]


def test_runs_with_several_sets_count_once(client, store):
    sets = [{"name": "a", "wd": 1}, {"name": "b", "wd": 2, "only": 3}]
    for _ in range(2):
        with store.start("sets", params=sets, capture=False) as run:
            run.log(score=1)
            for name in "ab":
                run.of_set(name).log(score=2)

    known = client.get("/api/v1/columns", params={"limit": 1000}).json()["columns"]
    counts = {one["name"]: one["runs"] for one in known}

    assert [counts[f"params.{key}"] for key in ("wd", "only")] == [2, 2]
    assert counts["metrics.score"] == 2


def test_one_run_is_what_the_command_line_shows(client, store):
    told = client.get("/api/v1/runs/mnist%232").json()

    assert told["uid"] == store.get("mnist#2").uid
    assert told["parameter_sets"][0]["values"] == {
        "lr": 0.1, "model": {"layers": [1, 2]}, "same": 1
    }  # fmt: skip
    assert [one["key"] for one in told["metrics"]] == ["loss"]


def test_a_name_may_have_slashes(client, store):
    store.start("a/b", capture=False).finish()

    assert client.get("/api/v1/runs/a%2Fb%231").json()["experiment_name"] == "a/b"


def test_pages_lead_to_each_other(client):
    first = client.get("/api/v1/runs", params={"limit": 3}).json()
    second = client.get("/api/v1/runs", params={"limit": 3, "after": first["next"]}).json()

    assert [len(first["runs"]), len(second["runs"])] == [3, 2]
    assert second["next"] is None


def test_experiments_are_counted_by_status(client):
    found = client.get("/api/v1/experiments").json()["experiments"]

    assert [(one["name"], one["runs"], one["by_status"]) for one in found] == [
        ("cifar", 2, {"complete": 2}),
        ("mnist", 3, {"complete": 3}),
    ]


def test_what_is_asked_again_is_not_sent_again(client):
    for address in ("/api/v1/runs/order", "/api/v1/store", "/api/v1/columns"):
        first = client.get(address)
        again = client.get(address, headers={"If-None-Match": first.headers["etag"]})

        assert (again.status_code, again.content) == (304, b"")


def test_answers_change_their_etag_with_what_they_say(client, store):
    before = client.get("/api/v1/runs/order").headers["etag"]
    store.delete("mnist#1")

    after = client.get("/api/v1/runs/order", headers={"If-None-Match": before})

    assert after.status_code == 200


def test_long_answers_are_compressed_where_the_client_takes_it(client):
    plain = client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "identity"})
    small = client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert small.json() == plain.json()


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/api/v1/runs/order?filter=params.lr%20%3C", 400, "filter"),
        ("/api/v1/runs/order?fliter=", 400, "usage"),
        ("/api/v1/runs/order?filter=&filter=", 400, "usage"),
        ("/api/v1/runs/order?experiment=nothing", 404, "not-found"),
        ("/api/v1/runs/rows", 400, "usage"),
        ("/api/v1/runs/rows?ids=1&uids=a", 400, "usage"),
        ("/api/v1/runs/rows?ids=x", 400, "usage"),
        ("/api/v1/runs/rows?ids=-1", 400, "usage"),
        ("/api/v1/runs/rows?ids=1&columns=output", 400, "filter"),
        ("/api/v1/runs?limit=0", 400, "usage"),
        ("/api/v1/runs?after=nonsense", 400, "usage"),
        ("/api/v1/runs/nothing", 404, "run-not-found"),
        ("/api/v1/runs/%FF", 400, "usage"),
        ("/api/v1/nothing", 404, "no-endpoint"),
        ("/api/v2/store", 404, "no-endpoint"),
    ],
)
def test_mistakes_have_a_status_and_a_code(client, address, status, code):
    response = client.get(address)

    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.json()["error"]["message"]


def test_a_mistake_in_a_filter_has_its_place_and_what_is_meant(client):
    told = client.get("/api/v1/filter", params={"text": "status = eror"}).json()

    assert told["error"]["position"] == 9
    assert told["error"]["end"] == 13
    assert told["error"]["suggestions"] == ["error"]


def test_the_last_part_of_a_metric_suggests_the_metric(client, store):
    with store.start("fit", capture=False) as run:
        run.log({"train/acc": 1.0, "val/acc": 1.0})

    told = client.get("/api/v1/filter", params={"text": "acc < 1"}).json()

    assert told["error"]["suggestions"] == ["metrics.train/acc", "metrics.val/acc"]


def test_names_that_no_run_has_are_hinted_at(client):
    told = client.get("/api/v1/filter", params={"text": "params.lrr < 1"}).json()

    assert told["error"] is None
    assert "Did you mean 'lr'?" in told["hints"][0]


def test_programs_present_a_token(store):
    with client_of(served_at(store), headers={}) as stranger:
        assert stranger.get("/api/v1/store").status_code == 401
        told = stranger.get("/api/v1/store", headers={"Authorization": f"Bearer {TOKEN}"})
        assert told.status_code == 200


def test_groups_have_their_runs_side_by_side_in_the_vector(client):
    asked = {"by": "params.same, tags.phase", "filter": "order by params.lr"}
    told = client.get("/api/v1/runs/order/groups", params=asked).json()
    changed, ids = order_of(client.get("/api/v1/runs/order", params=asked))

    rows = rows_of(client, ids, "tags.phase")

    assert changed == told["changed"]
    assert [(one["values"], one["count"], one["start"]) for one in told["groups"]] == [
        ({"params.same": 1.0, "tags.phase": "main"}, 1, 0),
        ({"params.same": 1.0, "tags.phase": "pilot"}, 4, 1),
    ]
    assert [row["cells"] for row in rows] == [["main"], *[["pilot"]] * 4]


def test_runs_without_a_value_are_a_group(client):
    asked = {"by": "params.none"}

    (group,) = client.get("/api/v1/runs/order/groups", params=asked).json()["groups"]

    assert (group["values"], group["count"]) == ({"params.none": None}, 5)


def test_true_and_1_are_two_groups_as_in_lists(client, store):
    for value in (True, 1, 1.0, False, 0):
        store.start("truth", params={"x": value}, capture=False).finish()

    asked = {"by": "params.x", "experiment": "truth"}
    groups = client.get("/api/v1/runs/order/groups", params=asked).json()["groups"]

    found = [(str(one["values"]["params.x"]), one["count"]) for one in groups]
    assert found == [("0.0", 1), ("False", 1), ("1.0", 2), ("True", 1)]
    assert found == [
        (str(one.value), one.runs) for one in store.group("params.x", "experiment = truth")
    ]


@pytest.mark.parametrize("by", ["metrics.loss", "output", "started", "packages.numpy", "a,", "lr"])
def test_what_runs_cannot_be_grouped_by_is_refused(client, by):
    assert client.get("/api/v1/runs/order/groups", params={"by": by}).status_code == 400
    assert client.get("/api/v1/runs/order", params={"by": by}).status_code == 400


def test_counts_of_experiments_follow_every_change(client, store):
    def counts():
        told = client.get("/api/v1/experiments").json()["experiments"]
        return {one["name"]: one["by_status"] for one in told}

    before = counts()
    store.delete("mnist#1")
    store.start("new", capture=False).finish("error")

    assert before["mnist"] == {"complete": 3}
    assert counts() == {"new": {"error": 1}, "mnist": {"complete": 2}, "cifar": {"complete": 2}}


def test_columns_of_the_newest_runs_are_found_at_once(client, store):
    """Their parameters may not be in the index yet; the first look at the page needs them."""
    for lr in (0.1, 0.2):
        store.start("first", params={"fresh": lr}, capture=False).finish()

    found = client.get("/api/v1/columns/differing", params={"filter": "experiment = first"})

    assert found.json()["columns"] == ["params.fresh"]


def test_columns_of_one_run_and_of_equal_results_are_found(client, store):
    """A first run has something to show; equal runs show that their results are equal."""

    def found():
        asked = {"filter": "experiment = same"}
        return client.get("/api/v1/columns/differing", params=asked).json()["columns"]

    for expected in (["params.lr", "params.seed", "metrics.loss"], ["metrics.loss"]):
        run = store.start("same", params={"seed": 1, "lr": 0.1}, capture=False)
        run.log(loss=0.5)
        run.finish()
        assert found() == expected
    store.start("same", params={"seed": 2, "lr": 0.2}, capture=False).finish()

    assert found() == ["params.lr", "params.seed", "metrics.loss"]


def test_columns_of_one_odd_run_come_last(client, store):
    """Thirty runs are told apart by what they share, not by the many keys of one."""
    for number in range(30):
        store.start("usual", params={"x": number / 7}, capture=False).finish()
    store.start("odd", params={f"key{n}": n for n in range(20)}, capture=False).finish()

    asked = {"filter": "experiment in (usual, odd)"}
    found = client.get("/api/v1/columns/differing", params=asked).json()["columns"]

    assert found[0] == "params.x"
