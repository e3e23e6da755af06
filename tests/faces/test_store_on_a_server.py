"""One story on a PostgreSQL server, told through each face: commands, the page, plain Python."""

import array
import asyncio
import json
import sys
from urllib.parse import urlsplit

import pytest

from commands import runstore, runstore_here
from runstore import Status, Store
from threads import at_once

pytest.importorskip("psycopg")

pytestmark = pytest.mark.folder_only("has a server of its own")

PROGRAM = """
import runstore
with runstore.start_run("fit", params={"lr": 0.1, "net": {"kind": "tree"}}) as run:
    print("epoch 1: nan")
    for step in range(3):
        run.log({"loss": 1 / (step + 1)}, step=step)
    run.save("model.txt", b"weights")
"""
SECRET = "sesame"  # noqa: S105 - of tests


@pytest.fixture
def url():
    from postgres_server import database

    with database() as url:
        yield url.replace("postgres@", f"postgres:{SECRET}@")


@pytest.fixture
def say(url, tmp_path, monkeypatch):
    """Return a function that runs a command on the store, and returns its output."""
    monkeypatch.setenv("RUNSTORE_URL", url)

    def said(*words, exit_code=0):
        run = runstore if words[0] == "exec" else runstore_here
        ended = run(*words, cwd=tmp_path)
        assert ended.returncode == exit_code, ended.stderr
        assert SECRET not in ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    return said


def test_commands(say, url, tmp_path):
    (tmp_path / "fit.py").write_text(PROGRAM)
    say("exec", "--", sys.executable, "fit.py")
    say("exec", "--", "false", exit_code=1)

    listed = json.loads(say("ls", "params.lr < 1", "--json"))["runs"]
    shown = json.loads(say("show", "fit#1", "--json"))
    assert [run["reference"] for run in listed] == [shown["reference"]]
    assert "nan" in say("grep", "epoch")
    assert "nan" in say("output", "fit#1")
    assert "loss" in say("best", "fit", "-m", "loss")
    say("note", "fit#1", "a good one")
    say("tag", "fit#1", "phase=final")
    assert "final" in say("ls", "tags.phase = 'final'", "--columns", "run,tags")
    say("mv", "fit#1", "trained")
    assert "trained" in say("undo")
    say("rm", "false#1", "--yes")
    assert "false" in say("trash")
    say("restore", "false#1")
    say("rm", "false#1", "--yes")
    assert "Freed" in say("gc", "--older-than", "0s", "--yes")
    assert "in order" in say("doctor", "--deep")
    say("verify")
    assert "up to date" in say("migrate")
    assert "Contents are in the database now." in say("migrate", "--objects", "database")
    say("download", "fit#1", "--output", "taken")
    assert next((tmp_path / "taken").rglob("model.txt")).read_bytes() == b"weights"
    with Store.open(url) as store, store.backend.database.driver.read() as connection:
        for table in ("runs", "documents", "params", "events"):
            told = f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%{SECRET}%'"  # noqa: S608
            assert connection.execute(told).fetchone() == (0,), table


def test_the_page(url):
    pytest.importorskip("httpx")
    from web_client import client_of, served_at

    with Store.open(url) as store:
        for number in range(3):
            with store.start("fit", params={"lr": number}, capture=False) as run:
                run.log(loss=number)
        with client_of(served_at(store)) as client:
            about = client.get("/api/v1/store").json()
            asked = {"filter": "params.lr > 0 order by metrics.loss.last"}
            order = client.get("/api/v1/runs/order", params=asked).content
            ids = array.array("I", order[16:])
            rows = client.get(
                "/api/v1/runs/rows",
                params={"ids": ",".join(map(str, ids)), "columns": "params.lr"},
            ).json()["rows"]
            detail = client.get("/api/v1/runs/fit%231")

    assert (about["runs"], SECRET in str(about)) == (3, False)
    assert about["name"] == urlsplit(url).path.strip("/")
    assert [row["cells"] for row in rows] == [[1.0], [2.0]]
    assert detail.status_code == 200


def test_the_view_in_a_terminal_shows_the_url(url):
    pytest.importorskip("textual")
    from top_screen import screen, shown, until

    async def look(store):
        async with shown(store) as (app, pilot):
            await until(pilot, lambda: "postgresql://postgres:***@/" in screen(app))
            assert SECRET not in screen(app)

    with Store.open(url) as store:
        asyncio.run(look(store))


def test_threads_share_a_store(url):
    with Store.open(url) as store:

        def record():
            for _ in range(3):
                with store.start("fit", capture=False) as run:
                    run.log(loss=1.0)

        at_once([record] * 4)

        runs = store.list(limit=100)
        assert sorted(run.run_number for run in runs) == list(range(1, 13))
        assert {run.status for run in runs} == {Status.COMPLETE}


def test_the_page_of_a_notebook(url, monkeypatch):
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("uvicorn")
    monkeypatch.setenv("RUNSTORE_URL", url)
    from runstore import ui
    from runstore.web.in_process import end_all

    with Store.open(url) as store:
        store.start("fit", capture=False).finish()
        addresses = [ui(), ui(store), ui(url)]
        try:
            with httpx.Client(follow_redirects=True) as browser:
                assert browser.get(addresses[1]).status_code == 200
                runs = browser.get(addresses[1].partition("/?")[0] + "/api/v1/runs").json()["runs"]
        finally:
            end_all()

    assert len({address.partition("?")[0] for address in addresses}) == 1
    assert [run["experiment_name"] for run in runs] == ["fit"]
    assert SECRET not in "".join(addresses) + addresses[0]._repr_html_()
