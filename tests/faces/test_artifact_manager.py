"""ArtifactManager: a run under the names that a manager has, by hand and from our runner."""

from __future__ import annotations

import json
import os
import shlex
import signal
import string
import sys
import warnings
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from command_server import Program
from places import place, store_at
from runstore import (
    ArtifactManager,
    ManagerStore,
    Status,
    attach_run,
    current_run,
    parameter_set,
)
from runstore.background import wait_until_done
from runstore.errors import ConflictError, InvalidValueError, StoreReadOnlyError

KEYS_OF_THE_PAGE = [
    "reference", "experiment_name", "run_number", "timestamp", "commit", "params_files", "args",
    "full_store", "status", "cli", "hostname", "notes",
]  # fmt: skip


def file_of(folder):
    return json.loads((folder / "store.json").read_text())


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working directory without a repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def manager_of(project, name="example_experiment", **options):
    return ArtifactManager(name, manager_cache_path=project / "data", **options)


def test_stored_manager_is_a_block_with_the_keys_of_the_page(project, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["experiment", "example_experiment", "-p", "two words"])
    manager = manager_of(
        project, params=parameter_set({"lr": 0.1}, name="test_params", file="example_params")
    )

    manager.store()
    manager.status = "complete"
    manager.store()

    (block,) = file_of(project / "data")
    assert list(block) == KEYS_OF_THE_PAGE
    assert block == manager.run_info
    assert block["reference"] == manager.get_reference_name()
    assert block["run_number"] == manager.experiment_run_number == 1
    assert block["params_files"] == manager.experiment_args_file_list == ["example_params"]
    assert block["args"] == manager.experiment_args
    assert block["args"]["example_params"][0][0] == "test_params"
    assert block["status"] == "complete"
    assert shlex.split(block["cli"]) == ["experiment", "example_experiment", "-p", "two words"]
    assert block["notes"] == ""


def test_name_is_known_before_the_run_is_added(project):
    manager = manager_of(project, "mnist")
    began = manager.run_timestamp

    assert manager.get_str_timestamp() == began.strftime("%Y-%m-%d-T%H%M%S")
    assert manager.get_reference_name() == f"mnist_0_{manager.get_str_timestamp()}"
    assert isinstance(began, datetime)
    assert not (project / "data").exists()

    manager.store()
    assert manager.get_reference_name() == f"mnist_1_{manager.get_str_timestamp()}"


def test_later_calls_write_how_the_run_stands(project):
    manager = manager_of(project, notes="first")
    manager.store()

    manager.notes, manager.status, manager.error = "second", "error", "ValueError - broke"
    manager.experiment_args_file_list = ["small"]
    manager.experiment_args = {"small": [["baseline", "193a0b66d11fd03e2bf0d1cfe966ef480"]]}
    manager.store()

    (block,) = file_of(project / "data")
    assert (block["status"], block["error"]) == ("error", "ValueError - broke")
    assert (block["notes"], block["params_files"]) == ("second", ["small"])
    with store_at(project / "data") as store:
        run = store.get("latest")
        assert [event.field for event in store.events(run.uid)] == ["notes"]
        assert run.parameter_sets[0].hash == "193a0b66d11fd03e2bf0d1cfe966ef480"


def test_values_of_parameters_are_kept(project):
    manager = manager_of(project)
    manager.store()
    manager.set_params({"lr": 0.1, "layers": [8, 4]})
    manager.store()

    with store_at(project / "data") as store:
        assert store.get("latest").params == {"lr": 0.1, "layers": [8, 4]}


def test_parameters_added_to_the_run_stay(project):
    manager = manager_of(project, "fit", params={"width": 3})
    with manager:
        run = current_run()
        run.params.update(lr=0.1, net={"depth": 2})
        run.params["seed"] = 7

    found = store_at(project / "data").get("fit#1")
    assert found.params == {"width": 3, "lr": 0.1, "net": {"depth": 2}, "seed": 7}
    block, _ = ManagerStore(manager.manager_cache_path).get_run(found.reference)
    assert block["args"] == {"fit": [["default", found.parameter_sets[0].hash]]}


def test_parameters_added_by_another_process_stay(project):
    """Curifactory makes a new ManagerStore for each change."""
    manager = SimpleNamespace(
        experiment_name="fit",
        experiment_args={},
        experiment_args_file_list=[],
        run_timestamp=datetime(2026, 11, 23, 10, 15),  # noqa: DTZ001 - as Curifactory's
        status="incomplete",
    )
    ManagerStore(project / "data").add_run(manager)
    attach_run("fit#1", store=place(project / "data")).params.update(lr=0.1)
    manager.status = "complete"

    block = ManagerStore(project / "data").update_run(manager)

    assert block["status"] == "complete"
    assert store_at(project / "data").get("fit#1").params == {"lr": 0.1}


def test_parameters_that_the_manager_changes_replace_others(project):
    manager = manager_of(project, "fit", params={"width": 3})
    with manager:
        current_run().params.update(lr=0.1)
        manager.set_params({"width": 4})

    assert store_at(project / "data").get("fit#1").params == {"width": 4}


def test_block_that_is_left_is_complete(project):
    with manager_of(project) as manager:
        assert current_run() is manager.run
        assert manager.run_info["status"] == "incomplete"

    assert (manager.status, manager.run.status) == ("complete", Status.COMPLETE)
    assert file_of(project / "data")[0]["status"] == "complete"
    assert current_run() is None


def test_exception_is_an_error_with_its_text_and_goes_on(project):
    with pytest.raises(ValueError, match="broke"), manager_of(project) as manager:
        manager.status = "complete"
        raise ValueError("it broke")

    assert (manager.status, manager.error) == ("error", "ValueError: it broke")
    assert file_of(project / "data")[0]["error"] == "ValueError: it broke"
    with store_at(project / "data") as store:
        assert 'raise ValueError("it broke")' in store.get("latest").traceback


def test_end_that_the_block_itself_reports_stays(project):
    with manager_of(project) as manager:
        manager.status, manager.error = "error", "no convergence"

    assert (manager.status, manager.error) == ("error", "no convergence")
    with pytest.raises(ConflictError), manager:
        pass


def test_run_inside_belongs_to_the_manager(project):
    with manager_of(project) as manager, store_at(project / "data") as store:
        child = store.start("part", capture=False)
        child.finish()

        assert store.get(child.uid).parent_uid == manager.run.uid


SCRIPT = """
import signal, time
from runstore import ArtifactManager
# A test run in the background of a shell inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
manager = ArtifactManager("stopped", manager_cache_path="data")
{begin}
print("begun", flush=True)
{body}
"""


@pytest.mark.parametrize("begin", ["manager.__enter__()", "manager.store()"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_stopped_is_interrupted(project, begin, number):
    # Python itself sleeps on when a signal comes in the moment before its system call.
    script = SCRIPT.format(begin=begin, body="for _ in range(600): time.sleep(0.1)")
    process = Program(script, cwd=project)
    assert process.stdout.readline() == "begun\n"
    os.kill(process.pid, number)
    process.wait()

    with store_at(project / "data") as store:
        assert store.get("stopped#1").status is Status.INTERRUPTED
    assert file_of(project / "data")[0]["status"] == "incomplete"


def test_full_store_has_a_folder_and_a_command_that_repeats_it(project):
    line = "experiment mnist -p small --overwrite --store-full"
    with manager_of(project, "a/b ü", store_full=True, run_line=line) as manager:
        folder = manager.run_output_path
        model = Path(manager.get_run_output_path("artifacts/model.txt"))
        model.write_text("x")

    assert folder.parent == project / "data" / "runs"
    assert (folder / "artifacts" / "model.txt").exists()
    assert json.loads((folder / "block.json").read_text()) == file_of(project / "data")[0]
    words = shlex.split(manager.reproduction_line)
    assert words[:4] == ["experiment", "mnist", "-p", "small"]
    assert words[4:] == [
        "--cache",
        str((folder / "artifacts").relative_to(project)),
        "--dry-cache",
    ]


def test_working_directory_may_change(project, monkeypatch):
    manager = ArtifactManager("mnist", store_full=True, manager_cache_path="data")
    manager.store()
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")

    manager.status = "complete"
    manager.store()

    assert file_of(project / "data")[0]["status"] == "complete"
    assert list((project / "elsewhere").iterdir()) == []
    assert Path(manager.get_run_output_path()).parent == project / "data" / "runs"


def test_secrets_of_the_command_line_are_not_kept(project):
    # Composed, because the code of this module may be kept as well.
    secret = f"hf_{string.ascii_lowercase}"
    line = f"experiment mnist --token {secret} --store-full"
    manager = manager_of(project, run_line=line, store_full=True)
    manager.store()
    manager.store()

    kept = b"".join(one.read_bytes() for one in (project / "data").rglob("*") if one.is_file())
    assert secret.encode() not in kept
    assert manager.run_info["cli"] == "experiment mnist --token '***' --store-full"


def test_store_of_the_project_is_the_default(project):
    ArtifactManager("mnist").store()

    with store_at(project / ".runstore") as store:
        assert store.get("latest").experiment_name == "mnist"


def test_name_that_cannot_be_kept_is_refused(project):
    with pytest.raises(InvalidValueError):
        manager_of(project, "two\nlines").store()


@pytest.mark.folder_only("moves the folder away")
def test_vanished_store_does_not_hurt_the_experiment(project):
    """The body has done its work; what cannot be written is said, not raised."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with manager_of(project) as manager:
            manager.set_params({"lr": 1})
            (project / "data").rename(project / "away")
            (project / "data").write_text("in its place")
        wait_until_done(60)

    assert any("parameters and later data" in str(one.message) for one in told)
    assert manager.run is not None


def refuse(project, manager):
    manager.run.store.backend.database.driver.refuse_writes(StoreReadOnlyError("No room."))


def allow(project, manager):
    manager.run.store.backend.database.driver.refuse_writes(None)


def move_away(project, _):
    (project / "data").rename(project / "away")


def move_back(project, _):
    (project / "away").rename(project / "data")


def lock_out(project, _):
    (project / "data" / ".store.json.lock").unlink()
    (project / "data" / ".store.json.lock").mkdir()


def let_in(project, _):
    (project / "data" / ".store.json.lock").rmdir()


@pytest.mark.folder_only("is about files and folders")
@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
@pytest.mark.parametrize("said", ["incomplete", "error"])
@pytest.mark.parametrize(
    ("hinder", "help_out"), [(refuse, allow), (move_away, move_back), (lock_out, let_in)]
)
def test_last_changes_outlive_a_store_that_cannot_be_written(project, hinder, help_out, said):
    sets = [parameter_set({"lr": n}, name=f"s{n}", file="small") for n in (1, 2)]
    with manager_of(project, "fit", params={"width": 3}) as manager:
        manager.run.log(loss=0.3)
        manager.set_params(sets)
        manager.notes, manager.status, manager.error = "late", said, "no convergence"
        hinder(project, manager)
    wait_until_done(60)
    help_out(project, manager)

    (run,) = store_at(project / "data").list()
    assert run.notes == "late"
    assert [(one.file, one.name, one.values) for one in run.parameter_sets] == [
        ("small", "s1", {"lr": 1}),
        ("small", "s2", {"lr": 2}),
    ]
    expected = ("error", "no convergence") if said == "error" else ("complete", None)
    assert (run.status.value, run.error) == expected
    assert ManagerStore(project / "data").runs[0]["params_files"] == ["small"]


# A run that began elsewhere, as our runner hands it to an experiment.


def test_run_of_the_runner_has_the_names_of_a_manager(project):
    with store_at(project / "data") as store:
        sets = [parameter_set({"lr": n}, name=f"s{n}", file="small") for n in (1, 2)]
        run = store.start("mnist", params=sets, notes="by runner", argv=["runstore", "run", "x y"])
        manager = ArtifactManager.of_run(run, runs_folder=project / "full")

        assert manager.run is run
        assert manager.get_reference_name() == run.reference
        assert (manager.experiment_name, manager.experiment_run_number) == ("mnist", 1)
        assert manager.get_str_timestamp() == run.timestamp
        assert manager.run_timestamp == run.started_at
        assert manager.experiment_args_file_list == ["small"]
        assert manager.experiment_args == {"small": [[one.name, one.hash] for one in sets]}
        assert manager.run_line == "runstore run 'x y'"
        assert (manager.notes, manager.status) == ("by runner", "incomplete")
        assert Path(manager.manager_cache_path) == store.path
        assert manager.run_output_path == project / "full" / run.reference
        run.finish()


def test_store_of_such_a_run_writes_notes_and_leaves_its_end_alone(project):
    with store_at(project / "data") as store:
        run = store.start("mnist", capture=False)
        manager = ArtifactManager.of_run(run)
        manager.notes, manager.status = "seen", "error"

        manager.store()

        assert (store.get(run.uid).notes, store.get(run.uid).status) == ("seen", Status.RUNNING)
        run.finish()
        assert not (project / "data" / "store.json").exists()


def test_store_json_shows_runs_of_the_runner_where_there_is_one(project):
    ManagerStore(project / "data").save()
    with store_at(project / "data") as store:
        run = store.start("mnist", capture=False)
        assert file_of(project / "data")[0]["status"] == "incomplete"

        run.finish()

    assert file_of(project / "data")[0]["status"] == "complete"


def test_such_a_run_can_be_a_block_too(project):
    with store_at(project / "data") as store:
        run = store.start("mnist", capture=False)
        with ArtifactManager.of_run(run) as manager:
            assert current_run() is run

        assert store.get(run.uid).status is Status.COMPLETE
        assert manager.status == "complete"
