"""A store on a server works on machines whose state folder cannot be used."""

import os
import resource
import shutil
import sys
import warnings
from contextlib import contextmanager

import pytest

from runstore import Status, Store
from runstore import location as locations
from runstore.errors import StoreUnavailableError, StoreWarning
from runstore.storage.postgres.location import server_location
from runstore.waiting import WaitingRuns

pytest.importorskip("psycopg")

NOWHERE = "/proc/nowhere"  # not even root can create it
WEIGHTS = b"weights" * 1000


@contextmanager
def full_disks():
    """Refuse every longer file of this process, as full disks do; the server is another one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # its beginning would be kept
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(autouse=True)
def new_program(monkeypatch):
    """Warn again, as a new program does."""
    monkeypatch.setattr(locations, "_warned", set())


def contents(store, name):
    with store.get("fit#1").open(name, "rb") as file:
        return file.read()


@pytest.mark.parametrize("place", ["database", "bucket"])
def test_files_are_saved_without_a_copy_if_the_disk_is_full(url, place, tmp_path, request):
    (tmp_path / "weights.bin").write_bytes(WEIGHTS)
    if place == "bucket":
        url = request.getfixturevalue("bucket_url")
    with (
        Store.open(url) as store,
        store.start("fit", capture=False) as run,
        full_disks(),
        (tmp_path / "weights.bin").open("rb") as stream,
    ):
        run.save("file.bin", tmp_path / "weights.bin")
        run.save("bytes.bin", WEIGHTS + b"bytes")
        stream.seek(7)
        run.save("stream.bin", stream)

    shutil.rmtree(server_location(url).folder)
    with Store.open(url) as store:
        assert contents(store, "file.bin") == WEIGHTS
        assert contents(store, "bytes.bin") == WEIGHTS + b"bytes"
        assert contents(store, "stream.bin") == WEIGHTS[7:]
        assert not [one for one in store.check(deep=True) if one.is_trouble]


@pytest.fixture
def bucket_url(url, monkeypatch):
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    from s3_server import TestBucket, variables

    for name, value in variables().items():
        monkeypatch.setenv(name, value)
    return f"{url}{'&' if '?' in url else '?'}objects={TestBucket().url}"


def test_a_file_that_changes_while_it_is_saved_is_not_stored(url, tmp_path):
    from runstore.storage.files.objects import Contents

    with Store.open(url) as store, (tmp_path / "file").open("wb+") as file:
        file.write(b"changed")
        file.seek(0)
        with pytest.raises(OSError, match="changed while it was saved"):
            store.backend.objects._send(Contents("a" * 64, 7), file)
        assert store.backend.objects.size_of("a" * 64) is None


def test_without_any_folder_runs_are_read_and_recorded(url, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", NOWHERE)
    monkeypatch.setenv("TMPDIR", NOWHERE)

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with Store.open(url) as store, store.start("fit", params={"lr": 0.1}) as run:
            for step in range(10):
                run.log(loss=step / 10)
            run.save("model.bin", WEIGHTS)
            run.tags["phase"] = "pilot"
        with Store.open(url, create=False) as store:
            kept = store.get("fit#1")
            assert kept.status is Status.COMPLETE
            assert kept.metric("loss").values.tolist() == [step / 10 for step in range(10)]
            assert kept.artifacts["model.bin"].size_bytes == len(WEIGHTS)
            assert dict(kept.tags) == {"phase": "pilot"}
            assert store.check() == ()
            assert store.backend.part(WaitingRuns).for_others() == []
    assert sum("cannot be used" in str(one.message) for one in found) == 1
    assert not any("lost" in str(one.message) for one in found)


def test_an_unknown_home_is_replaced_by_a_private_folder(url, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with pytest.warns(StoreWarning, match="state folder cannot be written"):
        store = Store.open(url)
    with store, store.start("fit", capture=False) as run:
        run.log(loss=0.5)
        run.save("model.bin", WEIGHTS)

    top = tmp_path / f"runstore-state-{os.geteuid()}"
    assert store.path.is_relative_to(top)
    assert [one.stat().st_mode & 0o077 for one in (top, *store.path.parents[:2])] == [0, 0, 0]
    with Store.open(url) as again:
        assert contents(again, "model.bin") == WEIGHTS


def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    theirs = tmp_path / f"runstore-state-{os.geteuid()}"
    theirs.mkdir(mode=0o777)
    theirs.chmod(0o777)

    assert not server_location("postgresql://ann@host/runs").folder.is_relative_to(tmp_path)


def deleted_meanwhile(store, run):
    """Log points, and delete the state folder before they were imported."""
    for step in range(5_000):
        run.log(loss=float(step))
    shutil.rmtree(store.path)


@pytest.mark.parametrize("when", ["during the run", "at its end"])
def test_points_of_a_deleted_state_folder_reach_the_server(url, when):
    with Store.open(url) as store, store.start("fit", capture=False) as run:
        deleted_meanwhile(store, run)
        if when == "during the run":
            run.execution._points._tend()
            assert store.get(run.reference).metrics["loss"].count == 5_000
        run.log(loss=-1.0)

    with Store.open(url) as store:
        assert store.get("fit#1").metric("loss").values.tolist() == [*map(float, range(5_000)), -1]


def test_output_in_a_deleted_state_folder_is_kept(url, capsys):
    with Store.open(url) as store, store.start("fit", capture=False) as run:
        run.keep_output()
        print("before")
        shutil.rmtree(store.path)
        print("after")

        run.finish()

        assert [line.text for line in store.get(run.reference).output] == ["before", "after"]


def test_an_object_is_saved_and_read_by_way_of_memory(url, tmp_path, monkeypatch):
    numpy = pytest.importorskip("numpy")
    monkeypatch.setattr("runstore.storage.files.temporary._MEMORY", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", NOWHERE)
    monkeypatch.setenv("TMPDIR", NOWHERE)
    monkeypatch.setattr("tempfile.tempdir", NOWHERE)
    warnings.simplefilter("ignore", StoreWarning)

    with Store.open(url) as store, store.start("fit", capture=False) as run:
        run.save("array.npy", numpy.arange(1000))

        with store.get(run.reference).open("array.npy", "rb") as file:
            assert numpy.load(file).tolist() == [*range(1000)]


def test_points_of_a_deleted_state_folder_are_written_again_if_the_server_is_away(
    url, tmp_path, monkeypatch
):
    from postgres_server import admin
    from runstore.storage.postgres.connections import pool

    monkeypatch.setattr(pool, "RETURNS_WITHIN_S", 0)
    name = url.partition("?")[0].rpartition("/")[2]
    with Store.open(url) as store:
        run = store.start("fit", capture=False)
        deleted_meanwhile(store, run)
        admin(
            f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - our own name
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            run.finish()
        admin(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    with Store.open(url) as store:
        assert store.get("fit#1").metric("loss").values.tolist() == [*map(float, range(5_000))]


def test_runs_behind_a_loop_of_links_stop_no_run(url):
    """They wait there, perhaps: programs record their runs, and a delivery names the reason."""
    with Store.open(url):
        folder = server_location(url).folder
    (folder / "waiting").symlink_to("waiting")

    with Store.open(url) as store:
        store.start("fit", capture=False).finish()

        assert store.get("fit#1").status is Status.COMPLETE
        with pytest.raises(StoreUnavailableError, match="symbolic links"):
            store.backend.part(WaitingRuns).deliver()
