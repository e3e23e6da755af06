"""Contents of artifacts in object storage, for a store on a server."""

import errno
import hashlib
import multiprocessing
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from urllib.parse import quote

import pytest

from runstore import Status, Store
from runstore.errors import (
    InvalidValueError,
    MissingExtraError,
    NotFoundError,
    StoreCorruptError,
    StoreUnavailableError,
    StoreWarning,
    UsageError,
)
from runstore.model.results.findings import DAMAGED, DANGLING, ORPHANED, UNUSED
from runstore.storage.files.objects import MARK, Objects
from runstore.storage.postgres.location import masked, server_location
from runstore.storage.remote import bucket as bucket_module
from runstore.storage.remote import copies as copies_module
from runstore.storage.remote.bucket import Bucket
from runstore.storage.remote.places import check_mark, note
from runstore.store import migrate, move_contents

psycopg = pytest.importorskip("psycopg")

WEIGHTS = b"weights of a model"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _libraries():
    """Load them for these tests, not in each process that collects them."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")


@pytest.fixture
def bucket(monkeypatch):
    from s3_server import TestBucket, variables

    for name, value in variables().items():
        monkeypatch.setenv(name, value)
    return TestBucket()


@pytest.fixture
def place(url, bucket):
    """Return the URL of a store with its contents in a bucket."""
    return naming(url, bucket.url)


@pytest.fixture
def impatient(monkeypatch):
    """Try a bucket once, and again at once."""
    monkeypatch.setattr(bucket_module, "_ATTEMPTS", 1)
    monkeypatch.setattr(bucket_module, "_PAUSE_S", 0.0)


def take_away(monkeypatch):
    """Make all buckets unavailable."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    bucket_module._opened_s3.clear()


def naming(url, objects):
    return f"{url}{'&' if '?' in url else '?'}objects={objects}"


def record(place, **files):
    """Record a run with files, and return its reference."""
    with Store.open(place) as store, store.start("fit", capture=False) as run:
        for name, contents in (files or {"model": WEIGHTS}).items():
            run.save(f"{name}.bin", contents)
    return run.reference


def read(place, name="model.bin", reference="fit#1"):
    with Store.open(place) as store, store.get(reference).open(name, "rb") as file:
        return file.read()


def key_of(contents):
    digest = hashlib.sha256(contents).hexdigest()
    return f"runs/{digest[:2]}/{digest[2:]}"


def forget_copies(url):
    """Remove the copies of this machine."""
    shutil.rmtree(server_location(url).folder / "objects", ignore_errors=True)


def findings(place, *, deep=False):
    with Store.open(place) as store:
        return {one.kind: one.names for one in store.check(deep=deep)}


def age_rows(url):
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE objects SET saved_at = saved_at - 200000000000")


def collect(place, **options):
    with Store.open(place) as store:
        return store.collect_garbage(**options)


# Saving and reading


def test_contents_are_objects_named_by_their_digest(place, bucket):
    record(place)

    assert bucket.contents() == [key_of(WEIGHTS)]
    assert bucket.get(key_of(WEIGHTS)) == WEIGHTS


def test_another_machine_finds_the_bucket_by_the_store(place, url, bucket, monkeypatch, tmp_path):
    record(place)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))

    assert read(url) == WEIGHTS


def test_the_configuration_of_fsspec_holds(place, bucket, monkeypatch):
    import fsspec

    take_away(monkeypatch)
    given = {"endpoint_url": bucket.server, "config_kwargs": {"read_timeout": 7}}
    monkeypatch.setitem(fsspec.config.conf, "s3", given)

    record(place)

    assert bucket.contents() == [key_of(WEIGHTS)]
    bucket_module._opened_s3.clear()


def test_the_same_contents_are_uploaded_once(place, bucket):
    record(place, one=WEIGHTS, two=WEIGHTS)
    bucket.put("marker", b"")
    before = bucket.keys()

    record(place)

    assert bucket.keys() == before


def test_a_new_file_takes_two_requests(place, bucket):
    from s3_server import requests

    with Store.open(place) as store, store.start("fit", capture=False) as run:
        run.save("first.bin", b"first")  # and the mark of the store
        before = len(requests)
        run.save("model.bin", WEIGHTS)

        assert requests[before:] == ["HEAD", "PUT"]


def test_a_large_file_is_uploaded_in_parts(place, url, bucket, monkeypatch):
    monkeypatch.setattr(bucket_module, "_PART_BYTES", 5 << 20)
    body = os.urandom(1 << 20) * 11

    record(place, model=body)
    forget_copies(url)

    assert bucket.get(key_of(body)) == body
    assert Bucket(bucket.url).find(key_of(body).removeprefix("runs/")).etag.endswith("-3")
    assert read(place) == body


@pytest.mark.parametrize("size", [0, 5 << 20, (5 << 20) + 1])
def test_an_intact_object_is_recognized(place, bucket, monkeypatch, size):
    """Otherwise each save would upload it again."""
    monkeypatch.setattr(bucket_module, "_PART_BYTES", 5 << 20)
    body = bytes(size)
    record(place, model=body)
    monkeypatch.setattr(Bucket, "_upload", None)

    record(place, model=body)

    assert bucket.contents() == [key_of(body)]


def test_output_is_read_and_searched_on_another_machine(place, url, bucket, monkeypatch, tmp_path):
    from runstore.recording.output.keeper import OutputKeeper

    with Store.open(place) as store, store.start("fit", capture=False) as run:
        keeper = OutputKeeper(store.backend.spool, run.uid)
        keeper.feed("stdout", b"first\nCUDA out of memory\n")
        keeper.close()
        run.execution.has_output = True
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))

    with Store.open(url) as store:
        assert [line.number for page in store.grep("CUDA") for line in page.lines] == [2]
        assert [line.text for line in store.get("fit#1").output] == ["first", "CUDA out of memory"]


def test_runs_are_pushed_and_pulled(place, bucket, tmp_path):
    record(place)

    with Store.open(tmp_path / "laptop") as laptop, Store.open(place) as team:
        laptop.pull(team)
        with laptop.start("more", capture=False) as run:
            run.save("plot.svg", b"<svg/>")
        laptop.push(team)

    assert read(tmp_path / "laptop") == WEIGHTS
    assert read(place, "plot.svg", "more#1") == b"<svg/>"
    assert set(bucket.contents()) == {key_of(WEIGHTS), key_of(b"<svg/>")}


def test_purged_contents_are_removed_later(place, url, bucket):
    reference = record(place)
    with Store.open(place) as store:
        store.delete(reference)
        store.collect_garbage(older_than=0)
    bucket.age()
    age_rows(url)

    assert collect(place).freed.contents.files == 1
    assert bucket.contents() == []


# Damage


def test_changed_contents_are_never_returned(place, url, bucket):
    record(place)
    forget_copies(url)
    bucket.put(key_of(WEIGHTS), WEIGHTS[::-1])

    with pytest.raises(StoreCorruptError, match=f"{bucket.url}/.* was changed or damaged"):
        read(place)

    assert DAMAGED in findings(place, deep=True)


@pytest.mark.parametrize("body", [b"", WEIGHTS + b"x"])
def test_contents_of_another_size_are_never_returned(place, url, bucket, body):
    record(place)
    forget_copies(url)
    bucket.put(key_of(WEIGHTS), body)

    with pytest.raises(StoreCorruptError):
        read(place)

    assert DAMAGED in findings(place)


def test_changed_contents_are_repaired_by_saving_them_again(place, url, bucket):
    record(place)
    bucket.put(key_of(WEIGHTS), WEIGHTS[::-1])

    record(place)
    forget_copies(url)

    assert read(place) == WEIGHTS
    assert findings(place, deep=True) == {}


def test_a_missing_object_is_an_error_that_names_it(place, url, bucket):
    record(place)
    forget_copies(url)
    bucket.remove(key_of(WEIGHTS))

    with pytest.raises(NotFoundError, match=f"There is no object {bucket.url}/"):
        read(place)

    [told] = findings(place)[DANGLING]
    assert "model.bin" in told


@pytest.mark.parametrize("is_in_bucket", [True, False])
def test_a_damaged_copy_is_replaced(place, url, is_in_bucket):
    place = place if is_in_bucket else url
    record(place)
    [copy] = [one for one in server_location(url).folder.glob("objects/*/*") if one.is_file()]
    copy.chmod(0o600)
    copy.write_bytes(WEIGHTS[::-1])

    assert read(place) == WEIGHTS


# A bucket that is away


def test_files_wait_until_the_bucket_returns(place, url, bucket, monkeypatch, impatient):
    with Store.open(place) as store:
        run = store.start("fit", capture=False)
        run.save("before.bin", b"before")
        take_away(monkeypatch)
        store.backend.objects._bucket._opened = None  # it keeps its connections
        with pytest.warns(StoreWarning, match=f"{bucket.url} cannot be used.*Kept in .*model.bin"):
            run.save("model.bin", WEIGHTS)
        run.log(loss=0.5)
        run.tags["kind"] = "test"
        run.finish()
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT path FROM artifacts").fetchall()
    assert rows == [("before.bin",)]

    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.server)
    forget_copies(url)

    assert read(place) == WEIGHTS
    with Store.open(place) as store:
        found = store.get("fit#1")
        assert (found.status, found.tags["kind"]) == (Status.COMPLETE, "test")
        assert [*found.artifacts] == ["before.bin", "model.bin"]
    assert findings(place, deep=True) == {}


def test_a_stream_that_was_read_is_kept_as_well(place, bucket, monkeypatch, impatient):
    bucket.delete()
    read_end, write_end = os.pipe()
    os.write(write_end, WEIGHTS)
    os.close(write_end)
    with (
        Store.open(place) as store,
        store.start("fit", capture=False) as run,
        os.fdopen(read_end, "rb") as pipe,
        pytest.warns(StoreWarning, match="the bucket does not exist"),
    ):
        run.save("model.bin", pipe)
    bucket.create()

    assert read(place) == WEIGHTS


def test_contents_are_sent_although_the_folder_of_copies_cannot_be_synced(
    place, bucket, url, monkeypatch
):
    """Here from a pipe, which cannot be read again."""
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    read_end, write_end = os.pipe()
    os.write(write_end, WEIGHTS)
    os.close(write_end)
    with monkeypatch.context() as disk, os.fdopen(read_end, "rb") as pipe:
        disk.setattr(os, "fsync", fsync)
        record(place, model=pipe)
    forget_copies(url)

    assert read(place) == WEIGHTS


def test_missing_credentials_are_said(place, bucket, monkeypatch, impatient):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    bucket_module._opened_s3.clear()

    with pytest.warns(StoreWarning, match="credentials"):
        record(place)


def test_a_program_does_not_wait_for_each_file(place, bucket, monkeypatch):
    monkeypatch.setattr(bucket_module, "_ATTEMPTS", 1)
    take_away(monkeypatch)
    tries = []
    opening = Bucket._system
    monkeypatch.setattr(Bucket, "_system", lambda self: tries.append(1) or opening(self))

    with pytest.warns(StoreWarning):
        record(place, **{f"file{number}": str(number).encode() for number in range(20)})

    assert len(tries) == 1


@pytest.fixture
def silent(monkeypatch):
    """A bucket that accepts connections and never answers; the connections."""
    accepted = []

    def accept():
        with suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])

    monkeypatch.setattr(bucket_module, "_ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        bucket_module._opened_s3.clear()
        yield accepted
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for one in accepted:
        one.close()
    bucket_module._opened_s3.clear()


def test_one_limit_holds_for_all_attempts_at_a_silent_bucket(place, silent):
    with pytest.warns(StoreWarning, match=r"did not answer within 0\.5 s.*Kept in .*model\.bin"):
        record(place)

    assert len(silent) <= 1  # none, if a slow machine needed the time for the client


def test_saving_pauses_for_longer_after_a_long_wait_than_reading(place, silent, monkeypatch):
    monkeypatch.setattr(bucket_module, "_ANSWER_S", 1.5)
    with (
        Store.open(place) as store,
        store.start("fit", capture=False) as run,
        pytest.warns(StoreWarning),
    ):
        run.save("one.bin", b"one")
        bucket = store.backend.objects._bucket_opened
        assert bucket._saving_from - bucket._away_until > 10.0
        bucket._away_until = 0.0  # as half a minute later
        run.save("two.bin", b"two")
        assert len(silent) == 1

        with pytest.raises(StoreUnavailableError, match="did not answer"):
            store.backend.objects.check("0" * 64, 1)
        assert len(silent) == 2


def test_a_bucket_that_becomes_silent_during_an_upload_is_not_asked_again(
    place, bucket, monkeypatch
):
    """Neither by another attempt nor to discard the parts: gc removes them a day later."""
    from s3_server import requests

    monkeypatch.setattr(bucket_module, "_PART_BYTES", 5 << 20)
    record(place)
    monkeypatch.setattr(bucket_module, "_ANSWER_S", 4)  # other requests are answered in it
    monkeypatch.setattr(bucket_module, "_SLOWEST_BYTES_PER_S", 1 << 30)
    bucket_module._opened_s3.clear()
    is_over = threading.Event()
    parts = []

    def be_silent(request):
        if request.args.get("partNumber"):
            parts.append(request.args["partNumber"])
            is_over.wait(60)

    monkeypatch.setattr("s3_server.hooks", [be_silent])
    before = len(requests)
    try:
        with pytest.warns(StoreWarning, match="did not answer within"):
            record(place, model=os.urandom(1 << 20) * 11)

        assert parts
        assert "DELETE" not in requests[before:]
    finally:
        is_over.set()
        bucket_module._opened_s3.clear()


def test_output_waits_as_well(place, bucket, monkeypatch, impatient):
    from runstore.recording.output.keeper import OutputKeeper

    take_away(monkeypatch)
    with (
        pytest.warns(StoreWarning),
        Store.open(place) as store,
        store.start("fit", capture=False) as run,
    ):
        keeper = OutputKeeper(store.backend.spool, run.uid)
        keeper.feed("stdout", b"hello\n")
        keeper.close()
        run.execution.has_output = True
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.server)

    with Store.open(place) as store:
        assert [line.text for line in store.get("fit#1").output] == ["hello"]
    assert len(bucket.contents()) == 1


def test_a_check_says_that_the_bucket_is_away(place, bucket, monkeypatch, impatient):
    record(place)
    take_away(monkeypatch)

    with Store.open(place) as store:
        [found] = store.check()

    assert f"{bucket.url} cannot be used" in found.what


def test_a_file_is_uploaded_at_the_end_of_the_process(place, bucket):
    """When `start_run` is used without a block, the interpreter can start no threads any more."""
    program = f"""
import atexit, concurrent.futures.thread, runstore
store = runstore.Store.open({place!r})
run = store.start("fit", capture=False)
atexit.register(lambda: run.save("model.bin", {WEIGHTS!r}))
"""
    # Names are resolved in threads, addresses are not.
    variables = {**os.environ, "AWS_ENDPOINT_URL": bucket.server.replace("127.0.0.1", "localhost")}

    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=variables, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip

    assert "artifact" not in ended.stderr
    assert read(place) == WEIGHTS
    assert key_of(WEIGHTS) in bucket.contents()


# Many at once


def save_the_same(place):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record(place)


def test_many_processes_save_the_same_file(place, url, bucket, request):
    is_long = request.config.getoption("--campaign")
    count = 16 if is_long else 3
    context = multiprocessing.get_context("spawn" if is_long else "fork")
    with context.Pool(count) as pool:
        pool.map(save_the_same, [place] * count, chunksize=1)

    assert bucket.contents() == [key_of(WEIGHTS)]
    forget_copies(url)
    assert read(place, reference=f"fit#{count}") == WEIGHTS


def test_a_forked_child_saves_and_reads(place, url, bucket):
    record(place, first=b"first")
    with Store.open(place) as store:
        with store.get("fit#1").open("first.bin", "rb") as file:
            assert file.read() == b"first"
        child = os.fork()
        if child == 0:
            with store.start("fit", capture=False) as run:
                run.save("model.bin", WEIGHTS)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    assert read(place, reference="fit#2") == WEIGHTS


# Cleaning up


def test_unreferenced_contents_are_removed_after_a_day(place, url, bucket):
    record(place)
    unused = key_of(b"unused")
    bucket.put(unused, b"unused")

    assert findings(place)[UNUSED] == (f"s3://{bucket.name}/{unused}",)
    assert collect(place).freed.contents.files == 0
    assert unused in bucket.contents()

    bucket.age()
    assert collect(place, dry=True).freed.contents.files == 1
    assert unused in bucket.contents()
    assert collect(place).freed.contents.files == 1
    assert bucket.contents() == [key_of(WEIGHTS)]
    assert read(place) == WEIGHTS


def test_contents_that_are_being_saved_again_are_spared(place, url, bucket):
    """An object may be old, although a program has just found it in the bucket."""
    record(place, unused=b"unused")
    with Store.open(place) as store:
        store.delete("fit#1")
        store.collect_garbage(older_than=0)
        bucket.age()
        age_rows(url)
        store.backend.objects.keep_bytes(b"unused")

        assert store.collect_garbage().freed.contents.files == 0
    assert bucket.contents() == [key_of(b"unused")]


def test_contents_that_are_being_removed_are_not_relied_on(place, url, bucket, monkeypatch):
    from runstore.storage.remote import bucket_objects

    monkeypatch.setattr(bucket_objects, "_REMOVAL_PATIENCE_S", 0.1)
    record(place, first=b"first")
    bucket.put(key_of(WEIGHTS), WEIGHTS)
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO objects VALUES (%s, 0, %s)",
            [hashlib.sha256(WEIGHTS).hexdigest(), -time.time_ns() // 1000],
        )

    with pytest.warns(StoreWarning, match="Another program is removing the contents"):
        record(place)
    bucket.remove(key_of(WEIGHTS))
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM objects WHERE saved_at < 0")

    assert read(place, reference="fit#2") == WEIGHTS
    assert key_of(WEIGHTS) in bucket.contents()


def test_foreign_objects_are_reported_and_kept(place, url, bucket):
    record(place)
    strange = ["runs/notes.txt", "runs/ab/short", "runs/AB/" + "c" * 62, "runs/ab/" + "C" * 62,
               "runs/zz/deep/er", "other/" + "a" * 64]  # fmt: skip
    for key in strange:
        bucket.put(key, b"mine")
    bucket.age()

    told = findings(place)[ORPHANED]
    collect(place)

    assert set(strange) < set(bucket.keys())
    assert f"{bucket.url}/notes.txt" in told
    assert not any("other" in one for one in told)


def test_uploads_that_were_cut_off_are_removed_after_a_day(place, bucket, monkeypatch):
    record(place)
    bucket.begin_upload(key_of(b"cut off"))
    bucket.begin_upload("runs/of-another-program")
    with monkeypatch.context() as patched:
        patched.setattr(bucket_module, "_OLD_UPLOAD_S", 2**40)
        collect(place)
        assert len(bucket.uploads()) == 2

    collect(place)

    assert bucket.uploads() == ["runs/of-another-program"]


def test_copies_are_limited(place, url, bucket, monkeypatch):
    record(place, old=b"o" * 600, new=b"n" * 600)
    [old] = server_location(url).folder.glob(f"objects/{key_of(b'o' * 600)[5:]}")
    [new] = server_location(url).folder.glob(f"objects/{key_of(b'n' * 600)[5:]}")
    os.utime(old, (0, 0))
    monkeypatch.setattr(copies_module, "_LARGEST_BYTES", 1000)

    record(place)

    assert (old.exists(), new.exists()) == (False, True)
    assert read(place, "old.bin") == b"o" * 600


# The place belongs to the store


def test_another_bucket_is_refused(place, url, bucket):
    record(place)

    with pytest.raises(UsageError, match=f"are in {bucket.url}, not in s3://elsewhere/x"):
        Store.open(naming(url, "s3://elsewhere/x"))


def test_a_store_with_contents_in_the_database_is_not_split(url, bucket):
    record(url)

    with pytest.raises(UsageError, match="are in the database, not in"):
        Store.open(naming(url, bucket.url))


def test_a_program_that_knows_no_bucket_yet_does_not_split_the_store(url, place, bucket):
    with Store.open(url) as early:
        run = early.start("fit", capture=False)
        assert early.backend.objects is not None
        record(place)

        with pytest.warns(StoreWarning, match=f"are in {bucket.url} now"):
            run.save("late.bin", b"late")
        run.finish()

    assert read(url, "late.bin") == b"late"
    assert key_of(b"late") in bucket.contents()


def test_two_stores_do_not_share_a_prefix(place, bucket, impatient):
    from postgres_server import database

    record(place)

    with (
        database() as other,
        pytest.warns(StoreWarning, match="has the contents of another store"),
    ):
        record(naming(other, bucket.url), other=b"other")

    assert bucket.contents() == [key_of(WEIGHTS)]


def test_a_bucket_without_the_mark_is_refused(place, bucket, impatient):
    record(place)
    bucket.remove("runs/runstore.txt")

    with pytest.warns(StoreWarning, match=r"its file runstore\.txt is missing"):
        record(place, more=b"more")

    assert bucket.contents() == [key_of(WEIGHTS)]


def test_a_folder_that_is_not_mounted_is_not_written_to(url, tmp_path):
    shared = tmp_path / "shared"
    record(naming(url, shared))
    shared.rename(tmp_path / "unmounted")
    shared.mkdir()

    with pytest.warns(StoreWarning, match=r"its file runstore\.txt is missing"):
        record(url, more=b"more")
    assert list(shared.iterdir()) == []

    shared.rmdir()
    (tmp_path / "unmounted").rename(shared)
    assert read(url, "more.bin", "fit#2") == b"more"
    assert findings(url) == {}


def test_a_place_that_another_program_marks_meanwhile_is_used(url, tmp_path):
    """The second program marks the folder and records a run after the first has looked."""
    shared = tmp_path / "shared"
    with Store.open(url) as store:
        driver = store.backend.database.driver
        noted = note(driver, str(shared))

        def look():
            found = (shared / MARK).read_text() if shared.exists() else None
            if found is None:
                record(url)
            return found

        check_mark(driver, noted._replace(is_new=False), look, pytest.fail)

    assert read(url) == WEIGHTS


def test_a_folder_has_other_paths_on_other_machines(url, tmp_path):
    (tmp_path / "mounted").mkdir()
    (tmp_path / "elsewhere").symlink_to("mounted")

    record(naming(url, tmp_path / "mounted" / "shared"))

    assert read(naming(url, tmp_path / "elsewhere" / "shared")) == WEIGHTS


# URLs


@pytest.mark.parametrize(
    "text",
    ["s3://key:secret@bucket/x", "s3://bucket/x?secret=1", "simplecache::s3://b/x", "file:///x",
     "s3://", "s3:///", "relative", "http://host/x", "s3://bucket/a%0Ab"],
)  # fmt: skip
def test_other_urls_are_refused_without_showing_secrets(url, text):
    with pytest.raises(UsageError) as raised:
        Store.open(naming(url, text))

    assert "key:secret" not in str(raised.value)


def test_secrets_in_the_url_of_a_bucket_are_masked():
    shown = masked("postgresql:///runs?objects=s3://key:secret@bucket/x")

    assert shown == "postgresql:///runs?objects=s3://***%40bucket/x"


@pytest.mark.parametrize("prefix", ["", "/a b/[x]*#+é/*"])
def test_any_prefix_can_be_used(url, bucket, prefix):
    place = naming(url, quote(f"s3://{bucket.name}{prefix}", safe=""))
    record(place)
    forget_copies(url)

    assert read(place) == WEIGHTS
    assert findings(place, deep=True) == {}
    [key] = bucket.contents()
    assert key == f"{prefix}/{key_of(WEIGHTS).removeprefix('runs/')}".lstrip("/")


@pytest.mark.parametrize("name", ["elsewhere", "file:///x", ""])
def test_a_damaged_name_of_the_place_is_refused(place, url, name):
    record(place)
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE store_state SET value = %s WHERE name = 'objects'", [f"{'a' * 16} {name}"]
        )

    with pytest.raises(StoreCorruptError, match="as the place of the contents"):
        read(url)


def test_other_file_systems_of_fsspec(url):
    import fsspec

    place = naming(url, "memory://runs/team")
    record(place, model=WEIGHTS, empty=b"")
    record(place, model=WEIGHTS)
    forget_copies(url)
    memory = fsspec.filesystem("memory")
    digest = hashlib.sha256(WEIGHTS).hexdigest()

    assert [read(place), read(place, "empty.bin")] == [WEIGHTS, b""]
    assert memory.cat_file(f"/runs/team/{digest[:2]}/{digest[2:]}") == WEIGHTS
    assert findings(place, deep=True) == {}
    assert collect(place).freed.contents.files == 0
    memory.rm("/runs", recursive=True)


def test_slashes_at_the_end_do_not_matter(place, bucket):
    record(place)

    assert read(f"{place}/") == WEIGHTS


def test_a_missing_extra_is_said_when_the_store_is_opened(place, bucket, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)

    with pytest.raises(MissingExtraError, match=r"\[s3\]"):
        Store.open(place)


def test_listing_runs_loads_no_library_of_buckets(place, url, bucket):
    record(place)
    program = f"""
import sys, runstore
with runstore.Store.open({url!r}) as store:
    print(len(list(store.find())))
print([name for name in ("fsspec", "s3fs", "botocore") if name in sys.modules])
"""

    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100
    ).stdout

    assert printed.splitlines() == ["1", "[]"]


def test_no_credentials_are_stored(place, url, bucket):
    record(place)

    state = server_location(url).folder
    kept = [one.read_bytes() for one in state.rglob("*") if one.is_file()]
    with psycopg.connect(url) as connection:
        kept += [repr(connection.execute("SELECT * FROM store_state").fetchall()).encode()]
    assert any(WEIGHTS in one for one in kept)
    assert not any(b"hidden-from-users" in one for one in kept)


# Moving


@pytest.fixture
def two_places(request, bucket, tmp_path):
    """Return two places of contents, and a function that counts those in the second."""
    places = {
        "database": ("database", None),
        "folder": (
            str(tmp_path / "shared"),
            lambda: len([*(tmp_path / "shared").glob("??/*")]),
        ),
        "bucket": (bucket.url, lambda: len(bucket.contents())),
    }
    first, second = request.param
    return places[first][0], *places[second]


@pytest.mark.parametrize(
    "two_places",
    [("database", "bucket"), ("folder", "bucket"), ("bucket", "folder"), ("bucket", "database")],
    indirect=True,
)
def test_contents_are_moved(url, two_places):
    first, second, counted = two_places
    record(url if first == "database" else naming(url, first), one=b"one", two=b"two", empty=b"")

    with migrate(url) as store:
        # An empty file has no rows.
        assert move_contents(store, second).files == (2 if second == "database" else 3)
        assert move_contents(store, second).files == 0
    forget_copies(url)

    assert [read(url, f"{name}.bin") for name in ("one", "two", "empty")] == [b"one", b"two", b""]
    assert counted is None or counted() == 3
    assert findings(url, deep=True).keys() <= {UNUSED}
    record(url, more=b"more")
    assert counted is None or counted() == 4


def test_contents_are_moved_back(place, url, bucket, tmp_path):
    record(place)
    for target in (str(tmp_path / "shared"), bucket.url, str(tmp_path / "shared")):
        with migrate(url) as store:
            move_contents(store, target)

    assert read(url) == WEIGHTS


@pytest.mark.parametrize(
    "two_places",
    [("database", "bucket"), ("folder", "bucket"), ("bucket", "folder")],
    indirect=True,
)
def test_a_program_that_saves_in_the_former_place_loses_nothing(url, two_places):
    first, second, _ = two_places
    with Store.open(url if first == "database" else naming(url, first)) as early:
        run = early.start("fit", capture=False)
        run.save("early.bin", b"early")
        with migrate(url) as store:
            move_contents(store, second)

        with pytest.warns(StoreWarning, match=f"are in {second} now.*Kept in"):
            run.save("late.bin", b"late")
        run.finish()

    assert read(url, "early.bin") == b"early"
    assert read(url, "late.bin") == b"late"


def test_what_was_saved_during_a_move_is_copied_by_repeating_it(place, url, bucket, tmp_path):
    target = str(tmp_path / "shared")
    record(place)
    with migrate(url) as store:
        move_contents(store, target)
    shutil.rmtree(tmp_path / "shared" / key_of(WEIGHTS)[5:7])  # as if it had not been there
    assert DANGLING in findings(url)

    with migrate(url) as store:
        assert move_contents(store, target).files == 1

    assert findings(url) == {}


def test_a_move_from_a_folder_that_is_not_mounted_is_refused(url, bucket, tmp_path):
    shared = tmp_path / "shared"
    record(naming(url, shared))
    shared.rename(tmp_path / "unmounted")

    with migrate(url) as store, pytest.raises(StoreUnavailableError, match="is missing"):
        move_contents(store, bucket.url)

    (tmp_path / "unmounted").rename(shared)
    assert read(url) == WEIGHTS


def test_an_interrupted_move_continues(place, url, bucket, tmp_path, monkeypatch):
    record(place, one=b"one", two=b"two")
    copying, copied = Objects.keep_open, []

    def interrupted(objects, file):
        if copied:
            raise KeyboardInterrupt
        copied.append(1)
        return copying(objects, file)

    with migrate(url) as store:
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Objects, "keep_open", interrupted)
            move_contents(store, str(tmp_path / "shared"))
        assert read(url, "two.bin") == b"two"

        assert move_contents(store, str(tmp_path / "shared")).files == 1
    assert {read(url, "one.bin"), read(url, "two.bin")} == {b"one", b"two"}


def test_files_too_large_for_the_database_stay_in_the_bucket(place, url, bucket, monkeypatch):
    from runstore.storage.postgres import objects

    record(place)
    monkeypatch.setattr(objects, "LARGEST_BYTES", 3)

    with migrate(url) as store, pytest.raises(InvalidValueError, match="cannot be kept"):
        move_contents(store, "database")

    assert read(url) == WEIGHTS


def test_the_contents_of_a_folder_store_are_not_moved(tmp_path, bucket):
    with Store.open(tmp_path / "store") as store, pytest.raises(UsageError, match="in the folder"):
        move_contents(store, bucket.url)


# The page


def test_the_page_shows_files_and_says_that_the_bucket_is_away(
    place, url, bucket, monkeypatch, impatient
):
    pytest.importorskip("httpx")
    from web_client import client_of, served_at

    record(place)
    forget_copies(url)
    with Store.open(url) as store, client_of(served_at(store)) as client:
        take_away(monkeypatch)
        refused = client.get("/api/v1/runs/fit%231/artifacts/model.bin")
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.server)
        found = client.get("/api/v1/runs/fit%231/artifacts/model.bin")

    assert (refused.status_code, bucket.url in refused.text) == (503, True)
    assert (found.status_code, found.content) == (200, WEIGHTS)
