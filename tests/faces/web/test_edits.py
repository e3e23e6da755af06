"""Edits through the API: tags, notes, the trash, and what undoes exactly one of them."""

import pytest

from runstore.errors import StoreReadOnlyError
from runstore.model.status import Status
from web_client import client_of, served_at


@pytest.fixture
def uids(store):
    return [store.get(name).uid for name in ("mnist#1", "mnist#2", "mnist#3")]


def post(client, path, **body):
    return client.post(f"/api/v1/{path}", json=body)


def done(response):
    assert response.status_code == 200, response.text
    return response.json()


def tags(store, uids):
    return [dict(store.get(uid).tags) for uid in uids]


def test_tags_and_notes_of_many_runs_are_one_edit(client, store, uids):
    answer = done(
        post(client, "edits", runs=uids, add_tags={"good": ""}, remove_tags=["phase"], notes="n")
    )

    assert answer["runs"] == uids
    assert tags(store, uids) == [{"good": ""}] * 3
    assert {store.get(uid).notes for uid in uids} == {"n"}
    operations = {event.operation for uid in uids for event in store.events(uid)[1:]}
    assert operations == {answer["undo"]}


def test_undo_takes_back_exactly_that_edit(client, store, uids):
    before = tags(store, uids)
    first = done(post(client, "edits", runs=uids[:2], add_tags={"good": "1"}))
    done(post(client, "edits", runs=uids, add_tags={"other": "2"}))
    store.tag(uids[2], {"good": "elsewhere"})

    undone = done(post(client, "undo", undo=first["undo"]))

    assert sorted(undone["runs"]) == sorted(uids[:2])
    assert tags(store, uids) == [
        {**before[0], "other": "2"},
        {**before[1], "other": "2"},
        {**before[2], "other": "2", "good": "elsewhere"},
    ]


def test_an_edit_is_undone_once(client, uids):
    token = done(post(client, "edits", runs=uids, add_tags={"good": ""}))["undo"]
    done(post(client, "undo", undo=token))

    again = post(client, "undo", undo=token)

    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize("token", ["", "\\ud800", "a\\u0000b", "x" * 5000])
def test_a_token_of_no_edit_is_not_found(client, token):
    """Also one that no database could hold."""
    body = f'{{"undo": "{token}"}}'

    answer = client.post(
        "/api/v1/undo", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 404
    assert answer.json()["error"]["kept"] == "Nothing was changed."


@pytest.mark.parametrize("path", ["edits", "trash", "restore"])
@pytest.mark.parametrize("name", ["\\ud800", "a\\u0000b", "mnist#\\udfff"])
def test_names_that_no_database_could_hold_are_not_found(client, path, name):
    body = f'{{"runs": ["{name}"]}}'

    answer = client.post(
        f"/api/v1/{path}", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "run-not-found"


def test_what_was_changed_since_is_not_undone_and_nothing_else_is(client, store, uids):
    token = done(post(client, "edits", runs=uids, add_tags={"good": "1"}))["undo"]
    store.tag(uids[1], {"good": "2"})
    before = tags(store, uids)

    response = post(client, "undo", undo=token)

    assert response.status_code == 409
    assert "good was changed since" in response.json()["error"]["message"]
    assert tags(store, uids) == before


def test_an_undo_cannot_be_undone_as_an_edit(client, store, uids):
    token = done(post(client, "edits", runs=uids[:1], add_tags={"good": "1"}))["undo"]
    done(post(client, "undo", undo=token))
    of_undo = store.events(uids[0])[-1].operation

    assert post(client, "undo", undo=of_undo).status_code == 404
    assert post(client, "undo", undo="nonsense").status_code == 404


def test_what_is_so_already_leaves_nothing_to_undo(client, store, uids):
    before = len(store.events(uids[1]))

    answer = done(post(client, "edits", runs=[uids[1]], add_tags={"phase": "pilot"}))

    assert answer["undo"] is None
    assert len(store.events(uids[1])) == before


def test_runs_go_into_the_trash_and_come_back(client, store, uids):
    trashed = done(post(client, "trash", runs=uids[:2]))

    assert {run.uid for run in store.trash()} == set(uids[:2])
    done(post(client, "undo", undo=trashed["undo"]))
    assert store.trash() == ()

    done(post(client, "trash", runs=uids))
    restored = done(post(client, "restore", runs=uids[1:]))
    assert {run.uid for run in store.trash()} == {uids[0]}
    done(post(client, "undo", undo=restored["undo"]))
    assert {run.uid for run in store.trash()} == set(uids)


def test_a_run_that_is_executed_is_not_trashed_unasked(client, store, uids):
    with store.start("live", capture=False) as run:
        refused = post(client, "trash", runs=[uids[0], run.uid])

        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run-active")
        assert store.trash() == ()
        done(post(client, "trash", runs=[run.uid], force=True))
        assert [one.uid for one in store.trash()] == [run.uid]


def test_runs_have_all_of_their_names(client, store):
    answer = done(post(client, "edits", runs=["mnist#2", "cifar#-1"], add_tags={"a": "1"}))

    assert answer["runs"] == [store.get("mnist#2").uid, store.get("cifar#2").uid]


def test_one_run_that_is_not_there_leaves_all_as_they_were(client, store, uids):
    before = tags(store, uids)

    for path in ("edits", "trash", "restore"):
        body = {"add_tags": {"good": ""}} if path == "edits" else {}
        response = post(client, path, runs=[*uids, "nothing"], **body)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "run-not-found")

    assert tags(store, uids) == before
    assert store.trash() == ()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"runs": []},
        {"runs": "latest"},
        {"runs": [1]},
        {"runs": [""]},
        {"runs": ["latest"], "add_tags": {"": "x"}},
        {"runs": ["latest"], "add_tags": {"a": 1}},
        {"runs": ["latest"], "add_tags": [["a", "b"]]},
        {"runs": ["latest"], "add_tags": {"a\nb": "x"}},
        {"runs": ["latest"], "notes": 3},
        {"runs": ["latest"], "experiment": "other"},
        ["latest"],
        "latest",
    ],
)
def test_bodies_that_do_not_fit_change_nothing(client, store, body):
    before = [(run.tags, run.notes) for run in store.list()]

    response = client.post("/api/v1/edits", json=body)

    assert response.status_code == 400, response.text
    assert [(run.tags, run.notes) for run in store.list()] == before


@pytest.mark.parametrize("content", [b"", b"{", b"nul", b"\xff", b"[" * 100_000, b'{"runs": NaN}'])
def test_what_is_no_json_is_refused(client, content):
    response = client.post(
        "/api/v1/edits", content=content, headers={"Content-Type": "application/json"}
    )

    assert (response.status_code, response.json()["error"]["code"]) == (400, "usage")


def test_secrets_in_tags_are_masked(client, store, uids):
    with pytest.warns(UserWarning, match="looks like a secret"):
        done(post(client, "edits", runs=uids[:1], add_tags={"api_key": "sk-" + "a1B2" * 12}))

    assert "a1B2a1B2" not in store.get(uids[0]).tags["api_key"]


@pytest.mark.folder_only("holds the lock of SQLite")
def test_a_run_whose_process_is_gone_is_shown_as_lost_while_others_write(client, store, tmp_path):
    """Its status is a fact, whether or not the database can be told now."""
    import subprocess
    import sys

    code = (
        "import os, sys, runstore;"
        "runstore.Store.open(sys.argv[1]).start('killed', capture=False); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, store.path], check=False, timeout=60)
    asked = {"uids": store.backend.database.runs_by_number("killed", 1)[0].uid}

    with store.backend.database.driver.write():
        (row,) = client.get("/api/v1/runs/rows", params=asked).json()["rows"]

    assert row["status"] == "lost"
    assert store.get("killed#1").status is Status.LOST


# Nothing may be changed


def test_a_page_to_read_changes_nothing(store):
    with client_of(served_at(store, is_read_only=True)) as client:
        told = client.get("/api/v1/store").json()
        for path in ("edits", "trash", "restore", "undo", "nothing"):
            for method in ("POST", "PUT", "DELETE", "PATCH", "X"):
                response = client.request(method, f"/api/v1/{path}", json={"runs": ["latest"]})
                assert response.status_code == 403
                assert response.json()["error"]["code"] == "read-only"
        fresh = client.post("/api/v1/tokens", json={})

    assert told["read_only"] is True
    assert fresh.status_code == 200


def test_the_store_of_a_page_to_read_refuses_by_itself(store):
    served = served_at(store, is_read_only=True)
    with served.opened() as opened, pytest.raises(StoreReadOnlyError):
        opened.tag("mnist#1", {"a": "b"})
