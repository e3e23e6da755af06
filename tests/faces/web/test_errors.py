"""What errors mean to a client: a status for each class, and bugs that hide nothing."""

import pytest

from runstore import errors
from runstore.web.api import store as room
from runstore.web.api.all_endpoints import ENDPOINTS
from runstore.web.errors import STATUSES, error_as_json
from web_client import client_of


def every_class(kind=errors.RunstoreError):
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from every_class(child)


def test_every_class_has_a_status():
    assert set(every_class()) <= STATUSES.keys()


def test_facts_of_an_error_reach_the_client():
    error = errors.AmbiguousReferenceError("Two.", candidates=("a", "b"), hint="Choose.")

    assert error_as_json(error) == {
        "error": {
            "code": "ambiguous-reference",
            "message": "Two.",
            "kept": None,
            "hint": "Choose.",
            "candidates": ("a", "b"),
        }
    }


@pytest.fixture
def broken(monkeypatch):
    """A store that cannot be described because of this error."""

    def breaks(error):
        def counts(_self):
            raise error

        monkeypatch.setattr(room.Changes, "counts", counts)

    return breaks


def test_a_bug_is_told_in_the_terminal_and_not_to_the_client(served, broken, capsys):
    broken(KeyError("secret detail"))
    with client_of(served) as client:
        response = client.get("/api/v1/store")

    assert response.status_code == 500
    assert response.json()["error"]["code"] == "bug"
    assert "secret detail" not in response.text
    assert "secret detail" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StoreLockedError("Locked."), 503),
        (errors.StoreCorruptError("Damaged."), 503),
        (errors.StoreUnavailableError("Gone."), 503),
        (errors.UntrustedStoreError("Foreign."), 403),
    ],
)
def test_a_store_that_cannot_be_read_is_told(served, broken, error, status):
    broken(error)
    with client_of(served) as client:
        response = client.get("/api/v1/store")

    assert (response.status_code, response.json()["error"]["code"]) == (status, error.code)
    assert ("retry-after" in response.headers) is (status == 503)


@pytest.mark.folder_only("moves the folder away")
def test_a_store_may_go_and_come_back(client, store, tmp_path):
    before = client.get("/api/v1/runs/order").content
    store.path.rename(tmp_path / "elsewhere")
    gone = client.get("/api/v1/runs/order")
    (tmp_path / "elsewhere").rename(store.path)

    after = client.get("/api/v1/runs/order")

    assert (gone.status_code, gone.json()["error"]["code"]) == (503, "store-unavailable")
    assert (after.status_code, after.content) == (200, before)


@pytest.mark.folder_only("moves the folder away")
def test_another_store_in_its_place_is_shown(client, store, tmp_path):
    from runstore import Store

    with Store.open(tmp_path / "other") as other:
        other.start("other", capture=False).finish()
    store.path.rename(tmp_path / "elsewhere")
    (tmp_path / "other").rename(store.path)

    assert client.get("/api/v1/store").json()["runs"] == 1
    names = [one["name"] for one in client.get("/api/v1/experiments").json()["experiments"]]
    assert names == ["other"]


@pytest.mark.folder_only("damages the file of SQLite")
def test_a_database_that_is_none_is_told_and_left_alone(client, store):
    database = store.path / "runstore.db"
    whole = database.read_bytes()
    aside = store.path / "aside.db"
    database.rename(aside)
    database.write_bytes(b"no database" * 1000)

    damaged = client.get("/api/v1/store")
    left = database.read_bytes()
    database.unlink()
    aside.rename(database)

    assert (damaged.status_code, damaged.json()["error"]["code"]) == (503, "store-corrupt")
    assert left == b"no database" * 1000
    assert client.get("/api/v1/store").status_code == 200
    assert database.read_bytes() == whole


def test_every_endpoint_is_described_in_one_sentence():
    for one in ENDPOINTS:
        assert one.about.endswith(".")
        assert one.about[0].isupper()
