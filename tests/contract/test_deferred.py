"""What the database refuses is kept aside, said once, and taken in once, in its order."""

import contextlib
import os
import resource
import sqlite3
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from other_users import skip_without_root
from runstore.errors import NotFoundError, RunNotFoundError, StoreLockedError, StoreWarning
from runstore.inflight import deferred as deferred_module
from runstore.inflight.deferred import Deferred, is_over
from runstore.model.artifacts import Artifact, Input, Preview
from runstore.model.facts import Facts
from runstore.model.params.build import parameter_set
from runstore.model.status import Status
from runstore.storage.files.locks import lock_now, unlock
from runstore.storage.files.objects import Objects
from runstore.storage.metrics import table
from runstore.storage.metrics.point_files import PointFile
from runstore.storage.metrics.point_records import KeyOf

AT = datetime(2026, 11, 27, 12, 0, 0, 123456, tzinfo=timezone.utc)
LOCKED = StoreLockedError("The store is locked.")
_LARGE = 8 << 20  # bytes, more than the files of the store


@pytest.fixture
def deferred(store):
    return Deferred(store.backend)


@pytest.fixture
def held(store, monkeypatch):
    """Another program that is writing, for longer than anybody waits."""
    monkeypatch.setattr(deferred_module, "PATIENCE_S", 0.0)
    monkeypatch.setattr("runstore.storage.sqlite.driver._OTHERS_TAKE_S", 0.0)
    with contextlib.closing(sqlite3.connect(store.path / "runstore.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def spooled(store):
    return [(one.kind, one.body) for one in store.backend.spool.records()]


# Keeping aside


def test_what_the_database_takes_is_not_kept_aside(store, deferred):
    written = []

    deferred.unless(lambda: written.append(1), lambda _: pytest.fail("it was kept"))

    assert written == [1]


def test_what_the_database_refuses_is_kept_with_its_reason(deferred):
    kept = []

    def refuse():
        raise LOCKED

    deferred.unless(refuse, kept.append)

    assert kept == [LOCKED]


def test_what_cannot_be_written_yet_is_not_tried(deferred):
    kept = []

    deferred.unless(lambda: pytest.fail("it was tried"), kept.append, is_refused=True)

    assert kept == [None]


def test_what_comes_after_something_kept_is_kept_as_well(store, deferred, run):
    kept = []
    with pytest.warns(StoreWarning, match="Kept in"):
        deferred.notes(run.uid, "older", "ada", LOCKED)

    deferred.unless(lambda: pytest.fail("it was tried"), kept.append)

    assert kept == [None]


def test_what_is_written_within_a_transaction_is_kept_and_taken_after_it(store, deferred, run):
    """A signal handler that interrupts a transaction of its own thread."""
    with store.backend.database.driver.write():
        deferred.unless(
            lambda: pytest.fail("it was tried"),
            lambda error: deferred.notes(run.uid, "by a handler", "ada", error),
        )
        assert [kind for kind, _ in spooled(store)] == ["notes"]

    assert spooled(store) == []
    assert store.get(run.uid).notes == "by a handler"


def test_a_run_that_is_gone_keeps_nothing_and_says_so(deferred):
    def write():
        raise RunNotFoundError("There is no run x in this store.")

    with pytest.warns(StoreWarning) as said:
        deferred.unless(write, lambda _: pytest.fail("it was kept"))

    assert str(said[0].message).startswith(
        "There is no run x in this store. It was permanently deleted while it was running"
    )


def test_of_one_trouble_a_program_hears_once(store, deferred, run):
    with pytest.warns(StoreWarning) as said:
        deferred.notes(run.uid, "one", "ada", LOCKED)
        deferred.notes(run.uid, "two", "ada", LOCKED)
    place = store.path / "spool"
    (one,) = said
    assert str(one.message) == (
        f"The store is locked. Kept in {place} until the store can be written again: notes"
        " and later data."
    )

    deferred.take_records()
    with pytest.warns(StoreWarning, match=r"^Kept in .*: the tag 'a' and later data\.$"):
        deferred.tags(run.uid, {"a": "b"}, "ada", None)


def test_what_no_place_takes_is_said_each_time(store, deferred, run, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.backend.spool, "keep", refuse)

    with pytest.warns(StoreWarning) as said:
        deferred.notes(run.uid, "one", "ada", LOCKED)
        deferred.notes(run.uid, "two", "ada", None)

    assert [str(one.message) for one in said] == [
        "The store is locked. This was not recorded: notes; [Errno 28] No space left on device.",
        "This was not recorded: notes; [Errno 28] No space left on device.",
    ]


# Taking in


ARTIFACT = {"path": "model.bin", "size_bytes": 7, "media_type": "text/plain", "saved_at": AT}


def keep_everything(store, deferred, run):
    """Keep one record of each kind; return the digest of the artifact."""
    digest = store.backend.objects.keep_bytes(b"weights").digest
    preview = Preview(media_type="text/plain", body=b"wei")
    deferred.artifact(Artifact(run_uid=run.uid, digest=digest, **ARTIFACT), preview, None, LOCKED)
    for modified in (None, AT):
        used = Input(
            name=f"data {modified}",
            digest="ab",
            size_bytes=5,
            modified_at=modified,
            location="/data",
            source_uid=None,
            used_at=AT,
        )
        deferred.input(run.uid, used, LOCKED)
    deferred.tags(run.uid, {"phase": "pilot", "gone": None}, "ada", LOCKED)
    deferred.notes(run.uid, "went well", "ada", LOCKED)
    deferred.params(run.uid, parameter_set({"lr": 0.1}, name="late"), None, "ada", LOCKED)
    facts = Facts(values={"git.branch": "main"}, documents={"patch": "+1"}, unknown={"gpu": "no"})
    deferred.facts(run.uid, facts, "facts", LOCKED)
    ending = {
        "status": "error",
        "ended_at": int(AT.timestamp()) * 1_000_000,
        "error": "ValueError: x",
        "traceback": "text",
        "exit_code": 3,
    }
    deferred.end(run.uid, run.reference, ending, LOCKED)
    return digest


def test_each_kind_is_taken_in_as_it_was(store, deferred):
    started = store.start("fit", capture=False)
    with pytest.warns(StoreWarning, match="the artifact 'model.bin'") as said:
        digest = keep_everything(store, deferred, started)
    assert len(said) == 1
    kinds = [kind for kind, _ in spooled(store)]
    assert kinds == ["artifact", "input", "input", "tags", "notes", "params", "facts", "end"]

    deferred.take_in()

    found = store.get(started.uid)
    assert spooled(store) == []
    artifact = found.artifacts["model.bin"]
    assert (artifact.digest, artifact.saved_at, artifact.media_type) == (digest, AT, "text/plain")
    assert store.backend.artifacts.preview_of(digest).body == b"wei"
    assert {(one.name, one.modified_at, one.used_at) for one in found.inputs} == {
        ("data None", None, AT),
        (f"data {AT}", AT, AT),
    }
    assert found.tags == {"phase": "pilot"}
    assert (found.notes, found.status, found.exit_code) == ("went well", "error", 3)
    assert (found.error, found.traceback) == ("ValueError: x", "text")
    assert found.params["lr"] == 0.1
    assert (found.facts.values["git.branch"], found.facts.unknown["gpu"]) == ("main", "no")
    assert store.document(started.uid, "patch") == "+1"
    assert {one.author for one in store.events(started.uid)} == {"ada"}
    with contextlib.suppress(Exception):
        started.finish()


@pytest.mark.parametrize("is_removed", [True, False])
def test_a_record_is_taken_in_once(store, deferred, run, monkeypatch, is_removed):
    with pytest.warns(StoreWarning, match="Kept"):
        deferred.notes(run.uid, "older", "ada", LOCKED)
    if not is_removed:

        def refuse(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(deferred_module, "remove_file", refuse)

    assert deferred.take_records() is True
    store.edit(run.uid, notes="newer", author="ada")
    assert deferred.take_records() is True

    assert store.get(run.uid).notes == "newer"
    assert len(spooled(store)) == (0 if is_removed else 1)


def seen_before_removal(store, monkeypatch, module, text):
    """Return what a query finds, by another connection, whenever a module removes a file."""
    remove, seen = module.remove_file, []

    def look_first(path):
        with contextlib.closing(sqlite3.connect(store.path / "runstore.db")) as other:
            seen.extend(other.execute(text).fetchall())
        remove(path)

    monkeypatch.setattr(module, "remove_file", look_first)
    return seen


@pytest.mark.folder_only
def test_a_record_goes_once_the_database_has_it(store, deferred, run, monkeypatch):
    """Killed in between, it is taken in twice; the other way around it would be lost."""
    with pytest.warns(StoreWarning, match="Kept"):
        deferred.notes(run.uid, "kept", "ada", LOCKED)
    seen = seen_before_removal(store, monkeypatch, deferred_module, "SELECT notes FROM runs")

    deferred.take_records()

    assert seen == [("kept",)]


@pytest.mark.folder_only
def test_points_go_once_the_database_has_them(store, deferred, monkeypatch):
    with store.start("fit", capture=False) as run:
        pass
    leave(store, run)[1].unlink()
    seen = seen_before_removal(store, monkeypatch, table, "SELECT count FROM metric_summaries")

    deferred.take_in()

    assert seen == [(1,)]


@pytest.mark.folder_only
def test_output_goes_once_its_contents_and_their_row_are_there(store, deferred, monkeypatch):
    with store.start("fit", capture=False) as run:
        pass
    points, path = leave(store, run)
    points.unlink()
    text = "SELECT part, digest FROM outputs"
    seen = seen_before_removal(store, monkeypatch, deferred_module, text)

    deferred.take_in()

    ((part, digest),) = seen
    assert part == path.name
    assert store.backend.objects.path_of(digest).exists()


@pytest.mark.folder_only
def test_a_database_that_does_not_answer_leaves_all_records(store, deferred, run, held):
    with pytest.warns(StoreWarning, match="Kept"):
        deferred.notes(run.uid, "kept", "ada", LOCKED)
    points = store.backend.spool.point_files()

    assert deferred.take_records() is False
    deferred.take_back_quietly()
    deferred.take_in()

    assert [kind for kind, _ in spooled(store)] == ["notes"]
    assert store.backend.spool.point_files() == points
    held.rollback()
    assert deferred.take_records() is True
    assert store.get(run.uid).notes == "kept"


def test_a_record_that_another_process_takes_stops_those_after_it(store, deferred, run):
    """They would be written over by what is older."""
    with pytest.warns(StoreWarning, match="Kept"):
        deferred.notes(run.uid, "older", "ada", LOCKED)
    deferred.notes(run.uid, "newer", "ada", LOCKED)
    first, second = (one.path for one in store.backend.spool.records())
    other = os.open(first, os.O_RDWR)
    assert lock_now(other) is True

    assert deferred.take_records() is False
    assert (first.exists(), second.exists()) == (True, True)
    unlock(other)
    os.close(other)
    assert deferred.take_records() is True
    assert store.get(run.uid).notes == "newer"


def test_a_record_that_vanishes_is_no_trouble(store, deferred, run, monkeypatch):
    with pytest.warns(StoreWarning, match="Kept"):
        deferred.notes(run.uid, "older", "ada", LOCKED)
    deferred.notes(run.uid, "newer", "ada", LOCKED)
    waited = deferred_module.wait_for_lock

    def taken(descriptor, **options):
        monkeypatch.setattr(deferred_module, "wait_for_lock", waited)
        min(store.backend.spool.place.glob("*.json")).unlink()
        return waited(descriptor, **options)

    monkeypatch.setattr(deferred_module, "wait_for_lock", taken)

    assert deferred.take_records() is True
    assert store.get(run.uid).notes == "newer"
    assert len([one for one in store.events(run.uid) if one.field == "notes"]) == 1


def test_an_end_that_was_told_before_is_dropped(store, deferred):
    with store.start("fit", capture=False) as run:
        pass
    ending = {"ended_at": 7, "error": None, "traceback": None, "exit_code": None}
    with pytest.warns(StoreWarning, match=r"the end of fit_1_\S+ \(error\)"):
        deferred.end(run.uid, run.reference, {"status": "error", **ending}, LOCKED)

    assert deferred.take_records() is True

    assert store.get(run.uid).status == "complete"
    assert spooled(store) == []


def test_a_record_of_another_store_is_left_and_those_after_it_are_taken(store, deferred, run):
    stranger = "01890000-0000-7000-8000-000000000000"
    saved = Artifact(run_uid=stranger, digest="ab" * 32, **ARTIFACT)
    with pytest.warns(StoreWarning, match="Kept"):
        deferred.artifact(saved, None, None, LOCKED)
    deferred.notes(run.uid, "mine", "ada", LOCKED)

    assert deferred.take_records() is True

    assert [kind for kind, _ in spooled(store)] == ["artifact"]
    assert store.get(run.uid).notes == "mine"


def test_contents_that_were_kept_elsewhere_come_with_their_artifact(store, deferred, run):
    objects = Objects(store.backend.spool.own_place() / "objects")
    kept = objects.keep_bytes(b"weights")
    saved = Artifact(run_uid=run.uid, digest=kept.digest, **ARTIFACT)
    with pytest.warns(StoreWarning, match="Kept in .*artifact"):
        deferred.artifact(saved, None, objects.folder, LOCKED)

    assert deferred.take_records() is True

    assert store.get(run.uid).read_bytes("model.bin") == b"weights"
    assert not objects.path_of(kept.digest).exists()
    assert spooled(store) == []


@pytest.mark.folder_only("limits the size of its files")
def test_the_newest_artifact_of_a_name_stays_if_an_older_one_was_too_large_at_first(
    store, deferred, run
):
    """Taken in after it, the older one would overwrite it."""
    objects = Objects(store.backend.spool.own_place() / "objects")
    contents = (bytes(_LARGE), b"newest")
    with pytest.warns(StoreWarning, match="Kept"):
        for one in contents:
            digest = objects.keep_bytes(one).digest
            saved = Artifact(
                run_uid=run.uid, digest=digest, **{**ARTIFACT, "size_bytes": len(one)}
            )
            deferred.artifact(saved, None, objects.folder, LOCKED)
        deferred.notes(run.uid, "taken", "ada", LOCKED)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGE - 1, before[1]))  # as on a full disk
    try:
        deferred.take_records()
        assert [kind for kind, _ in spooled(store)] == ["artifact", "artifact"]
        assert store.get(run.uid).notes == "taken"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    deferred.take_records()

    assert store.get(run.uid).read_bytes("model.bin") == b"newest"
    assert spooled(store) == []


def test_an_artifact_whose_contents_came_before_gets_its_row(store, deferred, run):
    """The last one was killed between the contents and the row."""
    objects = Objects(store.backend.spool.own_place() / "objects")
    kept = store.backend.objects.keep_bytes(b"weights")
    saved = Artifact(run_uid=run.uid, digest=kept.digest, **ARTIFACT)
    with pytest.warns(StoreWarning, match="Kept"):
        deferred.artifact(saved, None, objects.folder, LOCKED)

    deferred.take_records()

    assert store.get(run.uid).read_bytes("model.bin") == b"weights"


def test_a_lock_is_waited_for_once_not_for_each_file(store, deferred, monkeypatch):
    for _ in range(3):
        run = store.start("fit", capture=False)
        run.log(loss=0.5)
        store.backend.database.finish_run(run.uid, Status.LOST, ended_at=1)
    tried = []

    def absorb(path, **_options):
        tried.append(path)
        raise LOCKED

    monkeypatch.setattr(store.backend.metrics, "absorb", absorb)

    deferred.take_in()

    assert len(tried) == 1


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, " and 2 more")])
def test_files_that_nobody_writes_are_said_once(store, deferred, count, more):
    place = store.backend.spool.in_first_place(Path)
    for number in range(count):
        (place / f"{number}.json").write_text("{}")

    with pytest.warns(StoreWarning) as said:
        deferred.take_in()
        deferred.take_in()

    (one,) = said
    assert str(one.message) == (
        f"In the spool, '0.json'{more} was ignored: its name is not that of a record. It was not"
        " changed. To list such files: runstore doctor."
    )
    (place / "9.json").write_text("{}")
    with pytest.warns(StoreWarning, match=r"'9\.json' was ignored"):
        deferred.take_in()


@pytest.mark.parametrize("kind", ["notes", "tags"])
def test_a_run_in_the_trash_gets_what_was_kept(store, deferred, kind):
    with store.start("fit", capture=False) as run:
        pass
    with pytest.warns(StoreWarning, match="Kept"):
        if kind == "notes":
            deferred.notes(run.uid, "late", "ada", LOCKED)
        else:
            deferred.tags(run.uid, {"late": ""}, "ada", LOCKED)
    store.delete(run.uid)

    assert deferred.take_records() is True

    assert spooled(store) == []
    (found,) = store.restore(run.uid)
    assert (found.notes == "late") is (kind == "notes")
    assert (found.tags == {"late": ""}) is (kind == "tags")


# Whose points and output are taken in


def leave(store, run):
    """Leave points and output of a run in the spool, as a program does that is killed."""
    place = store.backend.spool.in_first_place(Path)
    file = PointFile(place / f"{run.uid}.1.points", 10)
    file.say_series(KeyOf(-1, "loss"), 0)
    file.write(0, 1, 1_795_780_800_000_000, 0.5)
    file.seal()
    output = place / f"{run.uid}.1.output"
    output.write_bytes(b"1 1795780800000000 printed\n")
    return file.path, output


def test_points_and_output_of_a_run_that_is_over_are_taken_in(store, deferred):
    with store.start("fit", capture=False) as run:
        pass
    paths = leave(store, run)

    deferred.take_in()

    assert not any(path.exists() for path in paths)
    assert list(store.get(run.uid).metric("loss").values) == [0.5]
    assert [one.part for one in store.backend.artifacts.outputs_of(run.uid)] == [paths[1].name]
    leave(store, run)
    deferred.take_in()
    assert not any(path.exists() for path in paths), "what was taken in before goes"


def test_points_and_output_of_a_run_that_lives_are_left(store, deferred, run):
    paths = leave(store, run)

    deferred.take_in()

    assert all(path.exists() for path in paths)
    for path in paths:
        path.unlink()


def test_points_and_output_of_no_run_are_left(store, deferred):
    class Nobody:
        uid = "01890000-0000-7000-8000-000000000000"

    paths = leave(store, Nobody)

    deferred.take_in()

    assert all(path.exists() for path in paths)


def test_output_of_another_user_is_left(store, deferred):
    skip_without_root()
    with store.start("fit", capture=False) as run:
        pass
    paths = leave(store, run)
    for path in paths:
        os.chown(path, 1234, 1234)

    deferred.take_in()

    assert all(path.exists() for path in paths)


def test_output_with_holes_is_said_and_left(store, deferred):
    with store.start("fit", capture=False) as run:
        pass
    path = store.backend.spool.in_first_place(Path) / f"{run.uid}.1.output"
    path.touch()
    os.truncate(path, 1 << 25)

    with pytest.warns(StoreWarning, match="was ignored: it has holes"):
        deferred.take_in()

    assert path.exists()


def test_output_that_is_being_written_is_left(store, deferred):
    with store.start("fit", capture=False) as run:
        pass
    _, path = leave(store, run)
    with path.open("rb+") as writer:
        assert lock_now(writer.fileno()) is True
        deferred.take_in()
        deferred.take_output_of(run.uid)

    assert path.exists()


def test_a_run_is_over_when_it_has_ended_or_its_process_is_gone(store, run):
    record = store.get(run.uid)

    assert is_over(record) is False
    assert is_over(replace(record, process=None)) is True
    gone = record.process._replace(started_ticks="1")
    assert is_over(replace(record, process=gone)) is True
    elsewhere = record.process._replace(boot_id="other/other/4026531836")
    assert is_over(replace(record, process=elsewhere)) is False
    assert is_over(replace(record, status=Status.LOST)) is True


def test_the_output_of_a_run_that_is_gone_goes_with_it(store, deferred):
    run = store.start("fit", capture=False)
    run.finish()
    store.delete(run.uid)
    store.collect_garbage(older_than=AT - AT)
    path = store.backend.spool.in_first_place(Path) / f"{run.uid}.1.output"
    path.write_bytes(b"printed")

    deferred.take_output_of(run.uid)

    assert not path.exists()


def test_output_that_somebody_else_took_is_no_trouble(store, deferred, monkeypatch):
    run = store.start("fit", capture=False)
    run.finish()
    path = store.backend.spool.in_first_place(Path) / f"{run.uid}.1.output"
    path.write_bytes(b"printed")

    def too_late(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(deferred_module, "open_output", too_late)
    with pytest.raises(FileNotFoundError):
        deferred.take_output_of(run.uid)
    assert path.exists()
    with pytest.raises(NotFoundError):
        store.get("nobody")
