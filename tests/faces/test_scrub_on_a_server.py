"""runstore scrub with a store on a server: no row, file or copy on this machine has the secret."""

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("psycopg")

import psycopg

from commands import runstore
from leaked_secrets import SECRET, TOKEN, filled, places_of
from runstore import ManagerStore, Store
from runstore.maintenance.scrub import scrub, wanted
from runstore.storage.integrity.history import verify

pytestmark = pytest.mark.folder_only("has a server of its own")

_TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"


@pytest.fixture
def url(tmp_path, monkeypatch):
    from postgres_server import database

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with database() as url:
        yield url


def rows_with(url, secret):
    """Return the tables with rows that have the secret, in text or in bytes."""
    forms = [secret, secret.encode().hex(), secret.encode("utf-16-le").hex()]
    with psycopg.connect(url) as connection:
        names = [row[0] for row in connection.execute(f"{_TABLES} AND relkind = 'r'")]
        return {
            name
            for name in names
            for form in forms
            if connection.execute(
                f"SELECT count(*) FROM {name} t WHERE position(%s IN t::text) > 0",  # noqa: S608
                [form],
            ).fetchone() != (0,)
        }  # fmt: skip


def files_with(url, secret):
    """Return the files of tables with the secret, if the server is of this machine."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        folder = Path(connection.execute("SHOW data_directory").fetchone()[0])
        paths = connection.execute(
            f"SELECT pg_relation_filepath(oid) FROM ({_TABLES}) n (name)"  # noqa: S608
            " JOIN pg_class c ON c.oid = n.name::regclass WHERE relkind IN ('r', 'i')"
        ).fetchall()
    if not os.access(folder, os.R_OK):
        return []
    return [path for (path,) in paths if secret.encode() in (folder / path).read_bytes()]


def test_no_row_and_no_file_is_left(url, tmp_path):
    filled(url)
    assert rows_with(url, SECRET) >= {"runs", "params", "object_parts", "events"}

    with Store.open(url) as store:
        planned = scrub(store.backend, wanted((SECRET,)))
        done = scrub(store.backend, wanted((SECRET,)), is_dry=False)
        again = scrub(store.backend, wanted((SECRET,)))
        run = store.get("fit#1")

        assert run.error == "it is ***"
        assert run.params == {"password": "***", "deep": [1, {"x": "***"}]}
        assert [line.text for line in run.output] == ["printed ***"]
        assert set(run.artifacts) == {"log.txt", "clean.bin"}
        assert run.read_bytes("log.txt") == b"first\nhas ***\nlast\n"
        assert store.check(deep=True) == ()
        assert verify(store.backend.database.driver).problems == ()
        assert len(list(store.grep("printed"))) == 1

    assert rows_with(url, SECRET) == set()
    assert files_with(url, SECRET) == []
    assert places_of(tmp_path) == []
    assert done.left == again.places == []
    assert {one.what for one in done.places} <= {one.what for one in planned.places}


def test_copies_on_another_machine_are_removed_there(url, tmp_path, monkeypatch):
    filled(url)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    with Store.open(url) as store:
        scrub(store.backend, wanted((SECRET,)), is_dry=False)
    assert places_of(tmp_path / "other") == []
    assert places_of(tmp_path / "state")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Store.open(url) as store:
        scrub(store.backend, wanted((SECRET,)), is_dry=False)

    assert places_of(tmp_path) == []


def test_names_that_become_the_same_stay_apart(url):
    with Store.open(url) as store:
        run = store.start("fit", capture=False)
        run.tags[f"a{SECRET}"] = "1"
        run.tags["a***"] = "2"
        run.finish()

        scrub(store.backend, wanted((SECRET,)), is_dry=False)

        assert sorted(store.get("fit#1").tags.values()) == ["1", "2"]


def test_lists_of_blocks_and_their_remains_are_clean(url, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNSTORE_URL", url)
    folder = tmp_path / "data"
    ManagerStore(folder).save()
    filled(url)
    (folder / "store.json.damaged-2026-11-27").write_text(json.dumps([{"notes": SECRET}]))

    with Store.open(url) as store:
        scrub(store.backend, wanted((SECRET,)), is_dry=False)

    assert places_of(folder) == []


def test_the_command_cleans_by_rules_and_by_pattern(url, tmp_path):
    with Store.open(url) as store:
        store.start("fit", capture=False).finish("error", error="it ended")
        with store.backend.database.driver.write() as connection:
            connection.execute("UPDATE runs SET error = ?", (f"token {TOKEN}",))

    ended = runstore("scrub", "-y", cwd=tmp_path, env={"RUNSTORE_URL": url})

    assert ended.returncode == 0, ended.stderr
    assert rows_with(url, TOKEN) == set()
    ended = runstore("scrub", "--pattern", "toke.", "-y", cwd=tmp_path, env={"RUNSTORE_URL": url})
    assert (ended.returncode, rows_with(url, "token")) == (0, set())


def test_a_reader_changes_nothing(url):
    filled(url)
    with Store.open(url) as store:
        from runstore.errors import StoreReadOnlyError

        store.backend.database.driver.refuse_writes(StoreReadOnlyError("The role may only read."))
        with pytest.raises(StoreReadOnlyError, match="The role may only read"):
            scrub(store.backend, wanted((SECRET,)), is_dry=False)

    assert rows_with(url, SECRET)
