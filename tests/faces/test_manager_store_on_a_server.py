"""ManagerStore with its runs on a server: `store.json` in folders of one or several machines."""

import json
import pickle
import shutil
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

from managers import BLOCKS, STORES, Manager, blocks_of
from runstore import ArtifactManager, ManagerStore, Store, StoreWarning, start_run
from runstore.errors import UsageError
from runstore.location import find_place
from runstore.recording import live_runs

pytestmark = [
    pytest.mark.folder_only("has a server of its own"),
    pytest.mark.usefixtures("without_git"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def url(here, monkeypatch):
    from postgres_server import database

    with database() as url:
        monkeypatch.setenv("RUNSTORE_URL", url)
        yield url
        # A sign of life that waited for the server would bring the lists of this test into the
        # database of the next one.
        ticker = live_runs._registry._ticker
        assert ticker.pause(60)
        ticker.resume()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that changes to another machine, as far as its user's folder goes."""
    return lambda name: monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name))


def references_in(folder):
    return [block["reference"] for block in blocks_of(folder)]


def test_two_machines_have_all_runs_in_their_own_files(here, url, machine):
    first = ManagerStore("a")
    first.add_run(Manager())
    machine("other")
    second = ManagerStore("b")
    block = second.add_run(Manager())

    assert block["run_number"] == 2
    assert len(references_in(here / "b")) == 2
    assert len(references_in(here / "a")) == 1  # nothing here has happened since
    assert first.get_run(block["reference"])[1] == 1
    assert blocks_of(here / "a") == blocks_of(here / "b") == first.runs == second.runs


def test_any_program_of_a_machine_writes_what_other_machines_recorded(here, url, machine):
    machine("first")
    ManagerStore("a").save()
    machine("other")
    with start_run("fit", capture=False) as run:
        pass
    assert references_in(here / "a") == []

    machine("first")
    Store.open().close()

    assert references_in(here / "a") == [run.reference]


def test_files_of_one_machine_follow_each_change(here, url):
    lists = [ManagerStore("a"), ManagerStore("b")]
    for one in lists:
        one.save()

    with start_run("fit", capture=False) as run:
        run.edit(notes="of the program")
    manager = Manager()
    lists[0].add_run(manager)

    assert blocks_of(here / "a") == blocks_of(here / "b")
    assert [block["notes"] for block in blocks_of(here / "b")] == ["of the program", None]
    lists[1].load()
    lists[1].runs.pop()
    lists[1].save()
    assert references_in(here / "a") == references_in(here / "b") == [run.reference]


def test_run_that_another_machine_removed_for_good_leaves_each_file(here, url, machine):
    store = ManagerStore("a")
    for _ in range(3):
        manager = Manager()
        store.add_run(manager)
        manager.status = "complete"
        store.update_run(manager)
    machine("other")
    with Store.open() as other:
        other.delete("mnist#2")
        other.collect_garbage(older_than=timedelta(0))

    store.add_run(Manager())

    assert [block["run_number"] for block in blocks_of(here / "a")] == [1, 3, 4]


def test_a_url_keeps_the_file_in_the_folder_of_the_project(here, url, monkeypatch):
    monkeypatch.delenv("RUNSTORE_URL")

    store = ManagerStore(url)
    store.add_run(Manager())

    assert store.path == str(here / ".runstore" / "store.json")
    assert blocks_of(here / ".runstore") == store.runs
    assert sorted(path.name for path in (here / ".runstore").iterdir()) == [
        ".gitignore", ".store.json.lock", "server.txt", "store.json",
    ]  # fmt: skip
    with ArtifactManager("fit", manager_cache_path=url):
        pass
    assert blocks_of(here / ".runstore")[-1]["status"] == "complete"


def test_a_project_with_runs_of_its_own_keeps_them_apart(here, url, monkeypatch):
    with Store.open(here / ".runstore") as own:
        own.start("own", capture=False).finish()

    store = ManagerStore(url)
    block = store.add_run(Manager())

    assert find_place(here) == str(here / ".runstore")
    assert [one["reference"] for one in json.loads(Path(store.path).read_text())] == [
        block["reference"]
    ]
    assert not (here / ".runstore" / "store.json").exists()


def test_a_folder_with_a_database_keeps_using_it(here, url):
    with Store.open("kept") as own:
        own.start("own", capture=False).finish()

    with pytest.warns(StoreWarning, match="its own database"):
        store = ManagerStore("kept")

    assert [block["experiment_name"] for block in store.runs] == ["own"]


def test_folder_of_curifactory_is_taken_to_the_server(here, url):
    shutil.copytree(STORES / "0.20.5", here / "data")

    store = ManagerStore("data")

    assert store.runs == BLOCKS == blocks_of(here / "data")
    with Store.open() as opened:
        assert len(opened.list()) == len(BLOCKS)
        sets = opened.get(BLOCKS[0]["reference"]).parameter_sets
        assert any(one.values for one in sets)


def test_a_forgotten_url_makes_no_second_history(here, url, monkeypatch):
    ManagerStore("data").add_run(Manager())
    ManagerStore(url)
    monkeypatch.delenv("RUNSTORE_URL")

    for call in (
        lambda: ManagerStore("data"),
        lambda: Store.open("data"),
        Store.open,
        lambda: ArtifactManager("fit"),
    ):
        with pytest.raises(UsageError, match="belongs to a store on a server"):
            call()
    assert not list(here.rglob("runstore.db"))


def test_another_database_gets_no_runs_by_mistake(here, url, monkeypatch):
    from postgres_server import named_database

    ManagerStore("data").add_run(Manager())
    before = blocks_of(here / "data")
    other = named_database("runstore_other")
    monkeypatch.setenv("RUNSTORE_URL", other)

    with pytest.raises(UsageError, match="belongs to postgresql://"):
        ManagerStore("data")

    with Store.open() as opened:
        assert len(opened.list()) == 0
    assert blocks_of(here / "data") == before
    (here / "data" / "server.txt").unlink()
    assert ManagerStore("data").runs == before


def test_a_server_of_the_settings_is_used(here, url, monkeypatch):
    monkeypatch.delenv("RUNSTORE_URL")
    (here / "pyproject.toml").write_text(f'[tool.runstore]\nstore = "{url}"\n')

    block = ManagerStore("data").add_run(Manager())

    with Store.open() as opened:
        assert opened.get(block["reference"]).experiment_name == "mnist"


def test_a_copy_of_a_store_has_the_same_runs_and_file(here, url, monkeypatch):
    store = ManagerStore("data")
    store.add_run(Manager())
    sent = pickle.dumps(store)
    monkeypatch.delenv("RUNSTORE_URL")
    monkeypatch.chdir("/")

    again = pickle.loads(sent)  # noqa: S301 - our own

    assert again.path == str(here / "data" / "store.json")
    assert again.runs == store.runs


def test_passwords_are_in_no_file(here, url, monkeypatch):
    secret = "sesame"  # noqa: S105 - of tests
    monkeypatch.setenv("RUNSTORE_URL", url.replace("postgres@", f"postgres:{secret}@"))

    store = ManagerStore("data")
    store.add_run(Manager())

    assert secret not in repr(store) + store.path
    for path in (here / "data").iterdir():
        assert secret.encode() not in path.read_bytes(), path


def test_a_folder_that_cannot_be_written_costs_a_warning_and_not_the_run(here, url):
    store = ManagerStore("data")
    (here / "data" / ".store.json.lock").unlink()
    (here / "data" / ".store.json.lock").mkdir()

    with pytest.warns(StoreWarning, match="The run is kept in the database; the file"):
        block = store.add_run(Manager())

    (here / "data" / ".store.json.lock").rmdir()
    with Store.open() as opened:
        assert opened.get(block["reference"]).run_number == 1


@pytest.fixture
def away(url, monkeypatch):
    """Return a function that makes the server unavailable inside a block."""
    from postgres_server import admin
    from runstore import store as stores
    from runstore.recording import aside
    from runstore.storage.postgres.connections import pool

    monkeypatch.setattr(pool, "RETURNS_WITHIN_S", 0)
    name = url.partition("?")[0].rpartition("/")[2]

    @contextmanager
    def block():
        stores._shared.clear()
        aside._warned.clear()
        admin(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - our own name
        )
        yield
        stores._shared.clear()
        admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    return block


def test_a_server_that_is_away_leaves_the_list_complete(here, url, away):
    ManagerStore("data").add_run(Manager())
    before = blocks_of(here / "data")

    with away():
        with pytest.warns(StoreWarning, match="recorded on this machine"):
            store = ManagerStore("data")
        assert store.runs == before
        assert store.get_run(before[0]["reference"]) == (before[0], 0)
        manager = Manager()
        block = store.add_run(manager)
        manager.status = "complete"
        store.update_run(manager)
        other = ManagerStore("data")
        assert blocks_of(here / "data") == [*before, block] == store.runs == other.runs
        manager = Manager()
        other.add_run(manager)
        assert len(blocks_of(here / "data")) == 3
        manager.status = "complete"
        other.update_run(manager)
        before[0]["notes"] = other.runs[0]["notes"] = "an edit"
        with pytest.warns(StoreWarning, match="Edits of runs on the server were not saved"):
            other.save()

    again = ManagerStore("data")
    Store.open().close()  # delivers what the shared store left to a thread
    again.load()
    assert [one["run_number"] for one in again.runs] == [1, 2, 3]
    assert [one["run_number"] for one in blocks_of(here / "data")] == [1, 2, 3]
    assert again.runs[1]["status"] == "complete"
    assert again.get_run(block["reference"])[1] == 1


def test_a_first_folder_without_its_server_is_begun(here, url, away):
    with away(), pytest.warns(StoreWarning, match="recorded on this machine"):
        block = ManagerStore("data").add_run(Manager())
    assert blocks_of(here / "data") == [block]


def test_a_file_is_complete_while_others_are_in_the_middle_of_a_change(here, url):
    """Numbers of changes are certain only when all transactions before them have ended."""
    import psycopg

    lists = ManagerStore("data")
    lists.save()
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_current_xact_id()")

        manager = Manager()
        block = lists.add_run(manager)
        assert blocks_of(here / "data") == [block] == lists.runs
        manager.status = "complete"
        lists.update_run(manager)
        with start_run("fit", capture=False) as run:
            assert references_in(here / "data")[-1] == run.reference
        other.commit()

    assert [one["status"] for one in blocks_of(here / "data")] == ["complete", "complete"]
    newest = lists.get_run(run.reference)[0]
    assert ManagerStore("data").runs == blocks_of(here / "data") == [lists.runs[0], newest]


def test_a_file_that_could_not_be_written_once_is_written_with_the_next_change(here, url):
    ManagerStore("data").save()
    (here / "data" / ".store.json.lock").unlink()
    (here / "data" / ".store.json.lock").mkdir()
    with pytest.warns(StoreWarning, match="was not updated"):
        first = start_run("fit", capture=False)
    (here / "data" / ".store.json.lock").rmdir()

    first.finish()

    assert [one["status"] for one in blocks_of(here / "data")] == ["complete"]
