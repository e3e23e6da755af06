"""Runs that start while their server cannot be reached wait on this machine, and are delivered."""

import json
import multiprocessing
import os
import random
import shlex
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest

import runstore
from command_server import Program
from commands import runstore as command
from runstore import Status, Store, background
from runstore.errors import (
    NotFoundError,
    RunNotFoundError,
    ServerUnreachableError,
    StoreError,
    StoreLockedError,
    StoreUnavailableError,
    StoreWarning,
)
from runstore.maintenance import delivery
from runstore.model.facts import Facts
from runstore.model.results.transfers import Skipped, Transfer
from runstore.recording import aside
from runstore.storage.files.spool import Spool
from runstore.storage.metrics.table import MetricTable
from runstore.storage.postgres import away, driver
from runstore.storage.postgres.connections import pool
from runstore.storage.postgres.waiting import kept_in_place
from runstore.waiting import WaitingRuns
from server_gate import Gate

psycopg = pytest.importorskip("psycopg")


@pytest.fixture(autouse=True)
def new_program(monkeypatch):
    """Warn again, as a new program does, and wait less, even on a slow machine."""
    monkeypatch.setattr(aside, "_warned", set())
    monkeypatch.setattr(away, "_QUICK_S", 3600.0)
    monkeypatch.setattr(pool, "RETURNS_WITHIN_S", 0)


@pytest.fixture
def gate(tmp_path, url):
    return Gate(tmp_path / "gate", url)


@pytest.fixture
def closed(gate):
    """Return a gate that is closed; the store has one run."""
    with Store.open(gate.url) as store:
        store.start("mnist", capture=False).finish()
    gate.close()
    return gate


@pytest.fixture
def returned(closed, monkeypatch):
    """Return the store of a server that has just returned; two runs wait, of this program."""
    monkeypatch.setattr(background, "do_later", lambda _: None)
    with Store.open(closed.url) as store:
        with pytest.warns(StoreWarning):
            store.start("mnist", capture=False).finish()
        store.start("mnist", capture=False).finish()
        closed.open()
        yield store


def waiting_in(store):
    return store.backend.part(WaitingRuns)


def start_aside(gate, name="mnist", **more):
    """Return an ended run that was started while the server was away."""
    with Store.open(gate.url) as store, warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        with store.start(name, capture=False, **more) as run:
            run.log(loss=0.5)
    return run


def references(gate):
    with Store.open(gate.direct) as store:
        return sorted(run.reference.rpartition("_")[0] for run in store.list())


def test_a_run_is_recorded_with_a_provisional_reference_and_delivered(closed):
    match = "cannot be reached.* runstore push"
    with Store.open(closed.url) as store, pytest.warns(StoreWarning, match=match) as told:
        with store.start("mnist", params={"lr": 0.1}, notes="aside", capture=False) as run:
            run.log(loss=0.5)
            run.save("model.txt", b"weights")
            run.tags["phase"] = "pilot"
            with runstore.start_run("inner", store=store, capture=False) as inner:
                inner.log(x=1)
        store.start("mnist", capture=False).finish()
    assert len(told) == 1
    assert not run.execution.is_first, "the store is on the server, and has a run"
    assert run.run_number >= 10**15
    with pytest.raises(ServerUnreachableError, match="3 runs wait on this machine"):
        Store.open(closed.url, create=False)

    closed.open()

    with Store.open(closed.url) as store:
        kept = store.get(run.reference)
        assert (kept.run_number, kept.status, kept.notes) == (2, Status.COMPLETE, "aside")
        assert dict(kept.tags) == {"phase": "pilot"}
        assert kept.parameter_sets[0].values == {"lr": 0.1}
        assert kept.metric("loss").values.tolist() == [0.5]
        saved = kept.artifacts["model.txt"]
        with store.backend.objects.opened(saved.digest, saved.size_bytes) as file:
            assert file.read() == b"weights"
        assert store.get(inner.reference).parent_uid == run.uid
        assert store.get(f"mnist#{run.run_number}").uid == run.uid
        assert store.get("mnist#3").status is Status.COMPLETE
        assert store.start("mnist", capture=False).run_number == 4
        assert not [one for one in store.check(deep=True) if one.is_trouble]


def test_a_second_delivery_changes_nothing(closed):
    run = start_aside(closed)
    closed.open()

    with Store.open(closed.url) as store:
        before = store.list()[0]
        (store.path / "waiting" / "delivered").unlink()
        again = store.backend.part(WaitingRuns).deliver()
        assert (again.added, again.changed, again.unchanged) == (0, 0, 1)
        assert store.list()[0] == before
        assert store.backend.part(WaitingRuns).count == 0
    assert references(closed) == ["mnist_1", "mnist_2"]
    assert before.uid == run.uid


def test_a_server_that_returns_meanwhile_does_not_disturb_the_run(closed):
    with Store.open(closed.url) as store, pytest.warns(StoreWarning):
        run = store.start("mnist", capture=False)
        closed.open()
        run.log(loss=1.0)
        other = store.start("mnist", capture=False)
        other.finish()
        run.finish()
        assert (run.record.status, other.run_number) == (Status.COMPLETE, 2)

    with Store.open(closed.url) as store:
        assert store.get(run.reference).metric("loss").values.tolist() == [1.0]


def test_a_long_program_delivers_its_runs_when_the_server_returns(closed):
    with Store.open(closed.url) as store, pytest.warns(StoreWarning):
        run = store.start("mnist", capture=False)
        run.finish()
        with pytest.raises(ServerUnreachableError, match="1 run waits"):
            store.list()
        closed.open()
        store.start("mnist", capture=False).finish()
        background.wait_until_done(60)

        assert store.get(run.reference).status is Status.COMPLETE


def test_a_delivery_does_not_wait_for_background_work(closed, monkeypatch):
    """It may be such work, and would wait for itself."""
    with Store.open(closed.url) as store, pytest.warns(StoreWarning):
        store.start("mnist", capture=False).finish()
        closed.open()
        with monkeypatch.context() as patch:
            patch.setattr(background, "wait_until_done", None)  # would be an error
            assert store.backend.part(WaitingRuns).deliver().added == 1


@pytest.mark.parametrize(
    ("limits", "within_s", "is_now"),
    [
        ({}, 0.0, True),
        ({"_FEW_RUNS": 1, "_FEW_BYTES": 7, "_FEW_POINTS": 1}, 0.0, True),
        ({"_FEW_RUNS": 0}, 0.0, False),
        ({"_FEW_RUNS": 0}, 10.0, True),
        ({"_FEW_BYTES": 6}, 10.0, False),
        ({"_FEW_POINTS": 0}, 10.0, False),
    ],
)
def test_little_is_delivered_at_once_and_the_rest_in_the_background(
    closed, monkeypatch, limits, within_s, is_now
):
    for name, value in limits.items():
        monkeypatch.setattr(delivery, name, value)
    with Store.open(closed.url) as store, pytest.warns(StoreWarning):
        with store.start("mnist", capture=False) as run:
            run.log(loss=0.5)
            run.save("model.txt", b"weights")
        waiting, later = store.backend.part(WaitingRuns), []
        monkeypatch.setattr(background, "do_later", later.append)
        closed.open()
        assert len(store.list()) == 1
        later.clear()  # of the connection

        waiting.deliver_some(within_s)

        assert (waiting.count, len(later)) == ((0, 0) if is_now else (1, 1))
        for one in later:
            one.do()
        assert references(closed) == ["mnist_1", "mnist_2"]


def test_an_active_run_waits_for_its_end(closed):
    with Store.open(closed.url) as first, pytest.warns(StoreWarning):
        run = first.start("mnist", capture=False)
        closed.open()
        with Store.open(closed.url) as store:
            assert store.get(run.reference).status is Status.RUNNING
            with pytest.raises(RunNotFoundError, match="waits on this machine"):
                store.tag(run.reference, {"a": 1})
            assert store.backend.part(WaitingRuns).count == 1
            background.wait_until_done(60)  # opening the store began a delivery
            run.finish()
            assert store.backend.part(WaitingRuns).deliver().added == 1
            assert store.get(run.reference).status is Status.COMPLETE


def test_an_exception_that_leaves_the_block_of_the_store_ends_a_waiting_run(closed):
    with (
        pytest.raises(ValueError, match="boom"),
        pytest.warns(StoreWarning),
        Store.open(closed.url) as store,
    ):
        run = store.start("mnist", capture=False)
        raise ValueError("boom")
    closed.open()

    with Store.open(closed.url) as store:
        assert store.get(run.reference).status is Status.ERROR


def test_an_edit_after_the_delivery_is_delivered_as_well(closed):
    run = start_aside(closed)
    closed.open()
    Store.open(closed.url).close()

    with Store.open(f"{Store.open(closed.url).path}/waiting") as waiting:
        waiting.edit(run.uid, notes="later")

    with Store.open(closed.url) as store:
        assert store.get(run.reference).notes == "later"
        assert store.get(run.uid).run_number == 2


def test_a_provisional_name_is_found_before_the_delivery(closed):
    run = start_aside(closed)

    with Store.open(closed.url) as store:
        for name in (run, run.uid, run.reference, f"mnist#{run.run_number}"):
            found = store.get(name)
            assert (found.uid, found.metric("loss").values.tolist()) == (run.uid, [0.5])
        for name in ("latest", "mnist#1", "mnist#-1", run.reference.replace("mnist", "other")):
            with pytest.raises(ServerUnreachableError):
                store.get(name)


def test_the_parent_of_a_run_is_looked_up_when_it_is_delivered(closed):
    run = start_aside(closed, parent="mnist#1")
    closed.open()

    with Store.open(closed.url) as store:
        assert store.get(run.uid).parent_uid == store.get("mnist#1").uid


def test_a_waiting_run_can_be_resumed(closed):
    run = start_aside(closed)

    with Store.open(closed.url) as store:
        again = store.resume(run.reference)
        again.log(loss=0.25)
        again.finish()

    closed.open()
    with Store.open(closed.url) as store:
        assert store.get(run.reference).metric("loss").values.tolist() == [0.5, 0.25]


def test_a_start_whose_answer_was_lost_is_one_run(gate, monkeypatch):
    with Store.open(gate.url) as store:
        call = driver.PostgresDriver.call

        def lost(self, *arguments):
            call(self, *arguments)
            gate.close()
            return call(self, *arguments)

        with monkeypatch.context() as patch, pytest.warns(StoreWarning):
            patch.setattr(driver.PostgresDriver, "call", lost)
            run = store.start("mnist", capture=False)
        run.finish()

    gate.open()
    with Store.open(gate.url) as store:
        assert [one.uid for one in store.list()] == [run.uid]
        assert store.get("mnist#1").status is Status.COMPLETE
        assert store.get(run.reference).run_number == 1


def test_a_wrong_database_is_an_error(gate):
    with pytest.raises(StoreUnavailableError, match="does not exist") as raised:
        Store.open(f"postgresql://postgres@/nothing?{gate.direct.partition('?')[2]}")

    assert not isinstance(raised.value, ServerUnreachableError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('connection to server at "h", port 1 failed: Connection refused', True),
        ("failed to resolve host 'h': [Errno -2] Name or service not known", True),
        ("connection timeout expired", True),
        ("failed: FATAL:  the database system is starting up", True),
        ("failed: FATAL:  sorry, too many clients already", True),
        ("failed: FATAL:  no more connections allowed (max_client_conn)", True),
        ("failed: server closed the connection unexpectedly", True),
        ("failed: FATAL:  tut mir leid, schon zu viele Verbindungen", True),
        ('failed: FATAL:  demasiadas conexiones para el rol "ann"', True),
        ("failed: FATAL:  désolé, trop de clients sont déjà connectés", True),
        ("failed: ВАЖНО:  извините, уже слишком много клиентов", True),
        ("failed: FATAL:  現在クライアント数が多すぎます", True),
        ('failed: FATAL:  password authentication failed for user "ann"', False),
        ('failed: FATAL:  database "runs" does not exist', False),
        ('failed: ВАЖНО:  база данных "runs" не существует', False),
        ("failed: fe_sendauth: no password supplied", False),
        ("failed: server does not support SSL, but SSL was required", False),
        ('connection is bad: invalid port number: "99999"', False),
    ],
)
def test_a_wrong_setting_is_told_from_a_server_that_is_away(text, expected):
    assert away.is_unreachable(text, lambda: True) is expected


def test_a_slow_failure_is_remembered_and_a_quick_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(away, "_QUICK_S", 0.5)
    away.remember(tmp_path, 0.01, "refused")
    assert away.remembered(tmp_path) is None

    away.remember(tmp_path, 5.0, "no answer")
    assert away.remembered(tmp_path) == "no answer"

    (note,) = tmp_path.iterdir()
    an_hour_ago = time.time() - 3600
    os.utime(note, (an_hour_ago, an_hour_ago))
    assert away.remembered(tmp_path) is None
    away.forget(tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_failure_is_remembered_before_the_first_run_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(away, "_QUICK_S", 0.5)
    folder = tmp_path / "state" / "server"

    away.remember(folder, 5.0, "no answer")

    assert away.remembered(folder) == "no answer"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_failure_on_one_host_is_none_of_another_with_the_same_home(tmp_path, monkeypatch):
    monkeypatch.setattr(away, "_QUICK_S", 0.5)
    away.remember(tmp_path, 5.0, "no network")

    with monkeypatch.context() as patch:
        patch.setattr(away, "host_number", lambda: 1)
        assert away.remembered(tmp_path) is None
        away.forget(tmp_path)  # it reached the server
    assert away.remembered(tmp_path) == "no network"

    (note,) = tmp_path.iterdir()
    os.utime(note, (0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(away, "host_number", lambda: 1)
        away.remember(tmp_path, 5.0, "timeout")
    assert [path.name for path in tmp_path.iterdir()] == ["unreachable-00000001"]


def test_programs_do_not_wait_again_for_a_server_that_is_away(closed, monkeypatch):
    start_aside(closed)
    monkeypatch.setattr(away, "_QUICK_S", 0.5)
    with Store.open(closed.url) as store:
        away.remember(store.path, 5.0, "timeout")

    with monkeypatch.context() as patch:
        patch.setattr(pool.ConnectionPool, "_connected", None)  # would be an error
        start_aside(closed)

    closed.open()
    with Store.open(closed.url, create=False) as store:
        assert len(store.list()) == 3


@pytest.mark.parametrize("use", ["start", "list"])
def test_a_store_that_was_opened_while_a_failure_counted_delivers_later(closed, monkeypatch, use):
    """Such an opening does not try to connect, so that it delivers nothing itself."""
    start_aside(closed)
    monkeypatch.setattr(away, "_QUICK_S", 0.5)
    with Store.open(closed.url) as store:
        away.remember(store.path, 5.0, "timeout")

    closed.open()
    with Store.open(closed.url) as store:
        away.forget(store.path)  # a minute has passed
        if use == "start":
            store.start("mnist", capture=False).finish()
        else:
            assert store.list()
        background.wait_until_done(60)

        expected = ["mnist_1", "mnist_2", *(["mnist_3"] if use == "start" else [])]
        assert references(closed) == expected


def test_a_machine_that_cannot_keep_the_run_either_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "state").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    with Store.open(f"postgresql://ann@/runs?host={tmp_path}") as store:
        with pytest.raises(StoreError, match="cannot be recorded on this machine either"):
            store.start("mnist", capture=False)
        with pytest.raises(ServerUnreachableError):
            store.list()


def start_in_process(url):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runstore.start_run("mnist", store=url, capture=False, output=False).finish()


def test_many_programs_start_at_once(closed):
    context = multiprocessing.get_context("fork")
    several = [context.Process(target=start_in_process, args=(closed.url,)) for _ in range(8)]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
    assert [one.exitcode for one in several] == [0] * 8

    closed.open()
    Store.open(closed.url).close()

    assert references(closed) == [f"mnist_{number}" for number in range(1, 10)]
    with Store.open(closed.url) as store:  # their processes have ended
        assert not (store.path / "waiting").exists()


def test_commands(closed, tmp_path):
    env = {"RUNSTORE_URL": closed.url}
    done = command("exec", "-e", "fit", "--", "echo", "hello", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert done.stderr.count("cannot be reached") == 1
    reference = next(word.rstrip(":") for word in done.stderr.split() if word.startswith("fit_"))
    shown = command("show", reference, "--json", cwd=tmp_path, env=env)
    assert json.loads(shown.stdout)["reference"] == reference
    assert "Using the runs of this machine" in shown.stderr
    assert command("output", reference, cwd=tmp_path, env=env).stdout == "hello\n"
    removed = command("rm", "-y", reference, cwd=tmp_path, env=env).stderr.splitlines()
    undo = next(line for line in removed if line.startswith("Undo with: runstore "))
    words = shlex.split(undo.removeprefix("Undo with: runstore "))
    assert command(*words, cwd=tmp_path, env=env).returncode == 0
    for words in (("ls",), ("push",), ("doctor",), ("show", "fit#1")):
        ended = command(*words, cwd=tmp_path, env=env)
        assert ended.returncode == 5
        assert "1 run waits on this machine" in ended.stderr, ended.stderr

    closed.open()
    pushed = command("push", cwd=tmp_path, env=env)
    assert "1 run was added to postgresql://" in pushed.stderr
    assert "no data is waiting" in command("push", cwd=tmp_path, env=env).stderr
    assert json.loads(command("push", "--json", cwd=tmp_path, env=env).stdout)["waiting"] == 0
    assert command("output", reference, cwd=tmp_path, env=env).stdout == "hello\n"
    assert "fit_1_" in command("ls", reference, cwd=tmp_path, env=env).stdout
    assert command("rm", reference, "--yes", cwd=tmp_path, env=env).returncode == 0


def test_data_for_an_earlier_url_is_named_and_delivered(gate, tmp_path):
    """The folder on this machine belongs to a URL, and its server may get another name."""
    env = {"RUNSTORE_URL": gate.direct}
    with Store.open(gate.url) as store:
        run = store.start("mnist", capture=False)
        run.finish()
        with store.start("mnist", capture=False) as active:
            body = {"changes": {"late": "yes"}, "author": "ada"}
            spool = Spool(store.path)  # not that of this program, which tries again itself
            kept = [spool.keep(one.uid, "tags", body) for one in (run, active)]
            points = kept[0].with_name(f"{active.uid}.1.points")
            points.touch()
            spool.keep(UNKNOWN, "tags", body)

            checked = command("doctor", "--json", cwd=tmp_path, env=env)
            pushed = command("push", "--recover", cwd=tmp_path, env=env)

            assert points.exists(), "its program works with it"
        assert [dict(one.tags) for one in store.list()] == [{"late": "yes"}] * 2

    found = json.loads(checked.stdout)["findings"]
    (told,) = [one for one in found if "for another URL" in one["what"]]
    assert (told["kind"], told["names"]) == ("waiting", [str(path) for path in kept])
    assert "runstore push --recover" in told["hint"]
    assert "data of 2 runs" in pushed.stderr


def test_children_of_a_waiting_run_add_to_it(closed, tmp_path):
    program = "import runstore; runstore.attach_run().log(child=2)"
    with (
        Store.open(closed.url) as store,
        pytest.warns(StoreWarning),
        runstore.start_run("fit", store=store, capture=False) as run,
    ):
        env = {**os.environ, "RUNSTORE_URL": closed.url, "RUNSTORE_PARENT": run.uid}
        subprocess.run([sys.executable, "-c", program], env=env, check=True)
        closed.open()
        assert command("metric", "acc=0.5", cwd=tmp_path, env=env).returncode == 0

    with Store.open(closed.url) as store:
        assert store.get(run.reference).metrics.keys() >= {"child", "acc"}


def test_a_folder_of_plain_files_keeps_its_place(closed):
    with Store.open(closed.url) as store, pytest.warns(StoreWarning):
        run = store.start("mnist", capture=False, full_store=True)
        folder = run.store.folder_of(run.reference)
        assert store.folder_of(run.reference) == folder
        with pytest.raises(ServerUnreachableError):
            store.folder_of("mnist_1_2026-11-23-T101500")
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("plain")
        closed.open()
        assert not [one for one in store.check() if one.is_trouble]
        run.finish()

    with Store.open(closed.url) as store:
        assert store.folder_of(store.get(run.reference).reference) == folder
        assert (folder / "notes.txt").read_text() == "plain"
        assert not [one for one in store.check() if one.is_trouble]


def test_a_program_that_is_killed_leaves_its_points(closed):
    program = (
        "import os, runstore; run = runstore.start_run('fit', output=False, capture=False);"
        "[run.log(loss=step) for step in range(10)]; os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "RUNSTORE_URL": closed.url, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", program], env=env, check=False)
    with Store.open(closed.url) as store, pytest.warns(StoreWarning):
        store.record("old", started_at="2025-03-01T10:30:00Z", status="lost")
    closed.open()

    with Store.open(closed.url) as store:
        assert store.get("fit#1").status is Status.LOST
        assert store.get("fit#1").metric("loss").values.tolist() == [*range(10)]
        assert store.backend.part(WaitingRuns).count == 0
        assert not (store.path / "waiting").exists()


def test_a_past_run_waits_as_well(closed):
    with Store.open(closed.url) as store, pytest.warns(StoreWarning):
        past = store.record("old", started_at="2025-03-01T10:30:00Z", metrics={"loss": [2, 1]})
    closed.open()

    with Store.open(closed.url) as store:
        assert store.get(past.reference).run_number == 1
        assert store.get("old#1").metric("loss").values.tolist() == [2.0, 1.0]


def test_a_warning_that_is_an_error_leaves_no_active_run(closed):
    with Store.open(closed.url) as store, warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StoreWarning):
            store.start("mnist", capture=False)
    closed.open()

    with Store.open(closed.url) as store:
        assert store.get("mnist#2").status is Status.ERROR


def test_runs_that_wait_for_another_url_can_be_delivered(closed, tmp_path):
    run = start_aside(closed)
    env = {"RUNSTORE_URL": closed.direct}

    told = command("doctor", cwd=tmp_path, env=env).stderr
    assert f"1 run of this machine waits for {closed.url}" in told
    words = told.partition("runstore push ")[2].split()
    assert command("push", *words[:2], closed.direct, cwd=tmp_path, env=env).returncode == 0

    with Store.open(closed.direct) as store:
        assert store.get(run.reference).run_number == 2
    closed.open()
    with Store.open(closed.url) as store:
        assert len(store.list()) == 2


def test_a_start_that_failed_leaves_nothing_that_waits(closed, monkeypatch):
    """The disk of this machine is full: there is no room for the tables of waiting runs."""

    def full(_):
        raise StoreUnavailableError("No space left on device.")

    monkeypatch.setattr("runstore.storage.migrations.migrate", full)
    with (
        Store.open(closed.url) as store,
        pytest.warns(StoreWarning),
        pytest.raises(StoreUnavailableError, match="cannot be recorded on this machine either"),
    ):
        store.start("mnist", capture=False)
    assert (store.path / "waiting" / "runstore.db").exists()

    closed.open()
    with warnings.catch_warnings(), Store.open(closed.url) as store:
        warnings.simplefilter("error")
        assert waiting_in(store).deliver() is None
        assert waiting_in(store).count == 0
        store.start("mnist", capture=False).finish()


def test_a_damaged_store_of_waiting_runs_is_kept_and_replaced(closed):
    start_aside(closed)
    with Store.open(closed.url) as store:
        damaged = store.path / "waiting" / "runstore.db"
    damaged.write_bytes(b"damaged" * 1000)

    with Store.open(closed.url) as store, pytest.warns(StoreWarning, match="was renamed to"):
        run = store.start("mnist", capture=False)
        run.finish()
    kept = next(damaged.parents[1].glob("waiting.damaged-*"))
    assert (kept / "runstore.db").read_bytes() == b"damaged" * 1000
    closed.open()

    with Store.open(closed.url) as store:
        assert store.get(run.reference).run_number == 2


def test_damage_does_not_disturb_the_store_on_the_server(closed):
    start_aside(closed)
    with Store.open(closed.url) as store:
        damaged = store.path / "waiting" / "runstore.db"
    damaged.write_bytes(b"damaged" * 1000)
    closed.open()

    with pytest.warns(StoreWarning, match="cannot be delivered"), Store.open(closed.url) as store:
        assert store.get("mnist#1").status is Status.COMPLETE


def test_a_deleted_run_is_not_delivered_again(closed):
    run = start_aside(closed)
    closed.open()
    with Store.open(closed.url) as store:
        store.delete(run.reference)
        store.collect_garbage(older_than=0)
        (store.path / "waiting" / "delivered").unlink()

    with Store.open(closed.url) as store:
        for name in (run.uid, run.reference):
            with pytest.raises(NotFoundError):
                store.get(name)


def test_one_program_delivers_at_a_time(returned, monkeypatch):
    transfer = delivery.transfer

    def meanwhile(*given, **options):
        with pytest.raises(StoreLockedError):
            waiting_in(returned).deliver()
        return transfer(*given, **options)

    monkeypatch.setattr(delivery, "transfer", meanwhile)

    assert waiting_in(returned).deliver().added == 2


def test_a_delivery_ends_when_its_time_is_up_and_is_continued(returned, monkeypatch):
    clock = iter([100.0, 100.5, 101.5])
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_RUNS_AT_ONCE", 1)
        patch.setattr(delivery, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        assert waiting_in(returned).deliver(within_s=1.0).added == 1
    assert (returned.path / "waiting").exists()

    result = waiting_in(returned).deliver()

    assert (result.added, result.unchanged) == (1, 1)
    assert waiting_in(returned).count == 0


def test_a_run_whose_program_was_killed_is_delivered_once(returned, closed):
    closed.close()
    program = (
        "import os, runstore; runstore.start_run('fit', capture=False); os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "RUNSTORE_URL": closed.url, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", program], env=env, check=False)
    closed.open()

    assert waiting_in(returned).deliver().added == 3

    assert waiting_in(returned).count == 0
    assert returned.get("fit#1").status is Status.LOST


@pytest.mark.parametrize(
    ("is_gone", "kept_s", "is_removed"),
    [
        (True, 86_400, True),
        (False, 0, False),
        (None, 86_400, False),  # of another machine, not long ago
        (None, 0, True),
    ],
)
def test_waiting_runs_are_removed_when_no_program_can_add_to_them(
    returned, monkeypatch, is_gone, kept_s, is_removed
):
    monkeypatch.setattr(delivery, "is_gone", lambda *_, **__: is_gone)
    monkeypatch.setattr(delivery, "_KEPT_S", kept_s)

    waiting_in(returned).deliver()

    left = [path.name for path in returned.path.iterdir()]
    assert ("waiting" not in left) is is_removed
    assert not [name for name in left if name.startswith("delivered-")]
    assert len(returned.list()) == 3


@pytest.mark.parametrize("why", ["in flight", "starting", "added", "changed", "skipped"])
def test_waiting_runs_stay_while_the_server_may_lack_some_of_it(returned, monkeypatch, why):
    monkeypatch.setattr(delivery, "is_gone", lambda *_, **__: True)
    transfer = delivery.transfer

    def compared(*given, is_dry=False, **options):
        if is_dry:
            skipped = Skipped("mnist_1", "uid", "active")
            return Transfer(**{why: (skipped,) if why == "skipped" else 1})
        return transfer(*given, **options)

    with ExitStack() as meanwhile:
        if why == "in flight":
            points = returned.path / "waiting" / "spool" / f"{UNKNOWN}.1.points"
            points.parent.mkdir(exist_ok=True)
            points.touch()
        elif why == "starting":
            meanwhile.enter_context(kept_in_place(returned.path))
        else:
            monkeypatch.setattr(delivery, "transfer", compared)

        assert waiting_in(returned).deliver().added == 2

    assert (returned.path / "waiting" / "runstore.db").exists()


def test_points_that_a_child_logs_as_waiting_runs_are_removed_are_kept(
    returned, closed, monkeypatch
):
    """It goes on after the end of its run, in a file that it creates after the comparison."""
    closed.close()
    run = returned.start("fit", capture=False)
    asked, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.read(asked[0], 1)
        run.log(loss=0.5)
        os.write(done[1], b"+")
        os._exit(0)
    run.finish()
    closed.open()
    monkeypatch.setattr(delivery, "is_gone", lambda *_, **__: True)
    transfer = delivery.transfer

    def logged_since(*given, is_dry=False, **options):
        found = transfer(*given, is_dry=is_dry, **options)
        if is_dry:
            os.write(asked[1], b"+")
            assert os.read(done[0], 1) == b"+"
        return found

    monkeypatch.setattr(delivery, "transfer", logged_since)
    waiting_in(returned).deliver()
    os.waitpid(child, 0)

    assert not (returned.path / "waiting").exists()
    with Store.open(closed.url) as store:
        assert store.get(run.uid).metric("loss").values.tolist() == [0.5]
        assert store.backend.spool.point_files() == []


@pytest.mark.parametrize("place", [0, 1])
def test_a_run_that_was_skipped_is_delivered_later(returned, monkeypatch, place):
    transfer = delivery.transfer

    def without_one(source, target, uids, **options):
        done = transfer(source, target, [one for one in uids if one != uids[place]], **options)
        return replace(done, skipped=(Skipped("mnist_1", uids[place], "damaged"),))

    with monkeypatch.context() as patch:
        patch.setattr(delivery, "transfer", without_one)
        assert waiting_in(returned).deliver().added == 1
    assert waiting_in(returned).count == 2 - place, "with all that changed after it"

    assert waiting_in(returned).deliver().added == 1
    assert waiting_in(returned).count == 0


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, []),
        (Transfer(unchanged=2), []),
        (Transfer(added=1), ["1 run was delivered from this machine to the server."]),
        (Transfer(added=2000), ["2,000 runs were delivered from this machine to the server."]),
    ],
)
def test_a_delivery_in_the_background_is_told(tmp_path, monkeypatch, result, told):
    said = []
    monkeypatch.setattr(delivery, "say", said.append)

    delivery.DeliveryLater(tmp_path, "the server", lambda: result).do()

    assert said == told


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (StoreLockedError("It is locked."), False),
        (ServerUnreachableError("It is away."), False),
        (StoreUnavailableError("It is full."), True),
        (OSError("It is gone."), True),
    ],
)
def test_a_delivery_in_the_background_fails_with_a_warning(tmp_path, monkeypatch, error, is_told):
    said = []
    monkeypatch.setattr(delivery, "warn_in_background", said.append)

    def fail():
        raise error

    delivery.DeliveryLater(tmp_path, "the server", fail).do()

    assert bool(said) is is_told
    assert all(str(tmp_path) in one and "runstore push" in one for one in said)


def test_what_an_interrupted_removal_left_is_removed(returned):
    left = returned.path / "delivered-abc"
    (left / "spool").mkdir(parents=True)
    (left / "runstore.db").touch()
    (left / "spool" / f"{UNKNOWN}.1.points").write_bytes(b"of a child")

    waiting_in(returned).deliver()

    assert not left.exists()
    (kept,) = returned.backend.spool.point_files()
    assert kept.read_bytes() == b"of a child"


UNKNOWN = "01a2200e-3169-7cfe-8046-f25584ea8d26"
RECORDER = """
import runstore
for number in range(60):
    with runstore.start_run("fit", params={"n": number}, capture=False, output=False) as run:
        for step in range(20):
            run.log(loss=step)
        run.save("w.txt", b"%d" % number)
    print(run.uid, run.reference, flush=True)
"""


@pytest.mark.campaign
@pytest.mark.timeout(200)
def test_a_delivery_that_is_killed_at_any_moment_loses_and_doubles_nothing(
    closed, tmp_path, is_full_campaign
):
    if not is_full_campaign:
        pytest.skip("takes half a minute")
    env = {**os.environ, "RUNSTORE_URL": closed.url, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", RECORDER], env=env, check=True, capture_output=True, text=True
    )
    recorded = dict(line.split() for line in done.stdout.splitlines())
    closed.open()
    push = [sys.executable, "-m", "runstore", "push"]
    choose = random.Random(5)
    for _ in range(20):
        pushing = subprocess.Popen(push, env=env, stderr=subprocess.PIPE)
        with suppress(subprocess.TimeoutExpired):
            pushing.wait(choose.uniform(0.2, 1.5))
        pushing.kill()
        pushing.communicate()
    several = [subprocess.Popen(push, env=env, stderr=subprocess.PIPE) for _ in range(3)]
    assert [one.wait(60) for one in several] == [0] * 3
    for one in several:
        one.communicate()

    with Store.open(closed.url) as store:
        kept = {run.uid: run for run in store.list("fit")}
        assert kept.keys() == recorded.keys()
        assert sorted(run.run_number for run in kept.values()) == list(range(1, 61))
        assert {run.metrics["loss"].count for run in kept.values()} == {20}
        assert all(store.get(recorded[uid]).uid == uid for uid in kept)
        assert not [one for one in store.check(deep=True) if one.is_trouble]
        assert not (store.path / "waiting").exists()


def test_facts_that_were_recorded_after_the_end_was_delivered_are_delivered(returned, monkeypatch):
    """As of a program that is captured in the background, or of a child that goes on."""
    waiting_in(returned).deliver()
    backend = waiting_in(returned).store().backend
    uid = backend.database.uids_since(0)[0]
    backend.database.attach_facts(uid, Facts(values={"git.branch": "late"}))
    monkeypatch.setattr(delivery, "is_gone", lambda *_, **__: True)

    for _ in range(2):
        waiting_in(returned).deliver()

    assert returned.get(uid).facts.values["git.branch"] == "late"
    assert not (returned.path / "waiting").exists()


KILLED_ASIDE = """
import os, sys, warnings
from runstore import Store
warnings.simplefilter("ignore")
run = Store.open(sys.argv[1]).start("mnist", capture=False)
run.log(loss=0.5)
print(run.uid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_points_that_are_imported_after_the_end_was_delivered_are_delivered(closed, monkeypatch):
    """Another program kept the waiting store locked for a moment."""
    program = Program(KILLED_ASIDE, closed.url)
    uid = program.communicate()[0].strip()
    closed.open()

    def locked(*_, **__):
        raise StoreLockedError("as if another program kept it locked")

    with monkeypatch.context() as patched, pytest.warns(StoreWarning, match="are left out"):
        patched.setattr(MetricTable, "absorb", locked)
        Store.open(closed.url).close()

    with Store.open(closed.url) as store:
        assert store.get(uid).status is Status.LOST
        assert store.get(uid).metric("loss").values.tolist() == [0.5]
