"""What the page of ManagerStore says, told by Curifactory's own class and by ours alike."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from places import store_at
from runstore import ManagerStore, StoreWarning
from runstore.errors import InvalidValueError, UsageError

STORES = Path(__file__).parent.parent / "data" / "curifactory"
KEYS_OF_THE_PAGE = [
    "reference", "experiment_name", "run_number", "timestamp", "commit", "params_files", "args",
    "full_store", "status", "cli", "hostname", "notes",
]  # fmt: skip


def curifactorys_class():
    try:
        from curifactory.store import ManagerStore as TheirManagerStore
    except ImportError:
        pytest.skip("curifactory is not installed")
    return TheirManagerStore


@pytest.fixture(params=["theirs", "ours"])
def any_store(request, tmp_path, monkeypatch):
    """The class to test, in a working directory without a repository."""
    monkeypatch.chdir(tmp_path)
    return curifactorys_class() if request.param == "theirs" else ManagerStore


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


class Manager:
    """A plain object with the attributes that Curifactory 0.20 gives its manager."""

    def __init__(self, experiment_name="mnist", **attributes):
        self.experiment_name = experiment_name
        self.experiment_run_number = 0
        self.run_timestamp = datetime(2026, 11, 23, 10, 15)  # noqa: DTZ001 - as Curifactory's
        self.parameter_files = []
        self.param_file_param_sets = {}
        self.store_full = False
        self.run_line = f"experiment {experiment_name} -p small"
        self.hostname = "mycomputer"
        self.notes = None
        self.status = "incomplete"
        self.error = None
        self.runs_path = "data/runs"
        self.__dict__.update(attributes)

    def get_str_timestamp(self):
        return self.run_timestamp.strftime("%Y-%m-%d-T%H%M%S")

    def get_reference_name(self):
        return f"{self.experiment_name}_{self.experiment_run_number}_{self.get_str_timestamp()}"

    def get_run_output_path(self):
        return f"{self.runs_path}/{self.get_reference_name()}"


def file_of(folder):
    return json.loads((folder / "store.json").read_text())


def test_path_is_the_file_with_and_without_a_final_slash(any_store, folder):
    assert any_store(f"{folder}").path == f"{folder}/store.json"
    assert any_store(f"{folder}/").path == f"{folder}/store.json"


def test_store_of_an_empty_folder_has_no_runs(any_store, folder):
    store = any_store(str(folder))

    assert store.runs == []
    assert store.get_run("mnist_1_2026-11-23-T101500") == (None, -1)
    assert store.get_experiment_runs("mnist") == []


def test_added_run_gets_the_next_number_of_its_experiment(any_store, folder):
    store = any_store(str(folder))
    managers = [Manager("mnist"), Manager("mnist"), Manager("bert"), Manager("mnist")]

    numbers = [store.add_run(one)["run_number"] for one in managers]

    assert numbers == [1, 2, 1, 3]
    assert [one.experiment_run_number for one in managers] == [1, 2, 1, 3]


def test_block_of_an_added_run_says_what_the_manager_says(any_store, folder):
    manager = Manager(
        parameter_files=["small"],
        param_file_param_sets={"small": [["baseline", "44b5e428e7165975a3e4f0d1674dbe5f"]]},
        notes="first\ntry — ü",
    )

    block = any_store(str(folder)).add_run(manager)

    assert block == {
        "reference": "mnist_1_2026-11-23-T101500",
        "experiment_name": "mnist",
        "run_number": 1,
        "timestamp": "2026-11-23-T101500",
        "commit": "No git repository found",
        "workdir_dirty": True,
        "param_files": ["small"],
        "params": {"small": [["baseline", "44b5e428e7165975a3e4f0d1674dbe5f"]]},
        "full_store": False,
        "status": "incomplete",
        "cli": "experiment mnist -p small",
        "hostname": "mycomputer",
        "notes": "first\ntry — ü",
    }
    assert list(block)[5:8] == ["workdir_dirty", "param_files", "params"]
    assert manager.git_commit_hash == "No git repository found"
    assert manager.git_workdir_dirty is True


def test_file_is_current_after_every_call_and_laid_out_as_ever(any_store, folder):
    store = any_store(str(folder))
    manager = Manager(notes="ü")

    block = store.add_run(manager)
    assert (folder / "store.json").read_text() == json.dumps([block], indent=4)

    manager.status = "complete"
    block = store.update_run(manager)
    assert (folder / "store.json").read_text() == json.dumps([block], indent=4)


def test_returned_block_is_the_one_in_the_list(any_store, folder):
    store = any_store(str(folder))

    block = store.add_run(Manager())

    assert store.runs[0] is block
    assert store.get_run("mnist_1_2026-11-23-T101500") == (block, 0)


def test_runs_of_an_experiment_are_in_order(any_store, folder):
    store = any_store(str(folder))
    for name in ("a", "b", "a"):
        store.add_run(Manager(name))

    assert [one["run_number"] for one in store.get_experiment_runs("a")] == [1, 2]
    assert store.get_run("a_2_2026-11-23-T101500")[1] == 2


def test_update_sets_status_and_parameters(any_store, folder):
    manager = Manager()
    any_store(str(folder)).add_run(manager)
    manager.status = "complete"
    manager.parameter_files = ["small", "big"]
    manager.param_file_param_sets = {"small": [["a", "1f"]], "big": [["b", "2f"], ["c", "3f"]]}

    block = any_store(str(folder)).update_run(manager)

    assert (block["status"], "error" in block) == ("complete", False)
    assert block["param_files"] == ["small", "big"]
    assert block["params"]["big"] == [["b", "2f"], ["c", "3f"]]
    assert file_of(folder) == [block]


def test_update_to_error_keeps_what_went_wrong(any_store, folder):
    store = any_store(str(folder))
    manager = Manager()
    store.add_run(manager)
    manager.status, manager.error = "error", 'ValueError - it "broke"\non line two'

    assert store.update_run(manager)["error"] == 'ValueError - it "broke"\non line two'


@pytest.mark.parametrize(
    "words", [("LIVE", "LIVE"), ("incomplete", "complete"), ("complete", "error", "complete")]
)
def test_every_word_that_the_manager_reports_is_shown(any_store, folder, words):
    manager = Manager()
    any_store(str(folder)).add_run(manager)

    for word in words:
        manager.status, manager.error = word, "E - e"
        assert any_store(str(folder)).update_run(manager)["status"] == word


def test_update_of_an_unknown_run_is_none(any_store, folder):
    assert any_store(str(folder)).update_run(Manager()) is None


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("experiment m -p a --store-full ", "experiment m -p a "),
        ("experiment m -p a --store-full", "experiment m -p a"),
        ("experiment m --overwrite --store-full", "experiment m"),
        ("experiment m --store-full --overwrite", "experiment m"),
        ("experiment m --overwrite -p a --overwrite-stage s", "experiment m -p a --overwrite-stage s"),  # noqa: E501
    ],
)  # fmt: skip
def test_full_store_tells_how_to_reproduce(any_store, folder, line, kept):
    manager = Manager(store_full=True, run_line=line)

    block = any_store(str(folder)).add_run(manager)

    run_folder = "data/runs/mnist_1_2026-11-23-T101500"
    assert block["reproduce"] == f"{kept} --cache {run_folder}/artifacts --dry-cache"
    assert manager.reproduction_line == block["reproduce"]
    assert list(block)[-1] == "reproduce"


def test_full_store_that_is_asked_for_later_is_told_at_the_update(any_store, folder):
    manager = Manager()
    any_store(str(folder)).add_run(manager)
    manager.store_full = True

    assert any_store(str(folder)).update_run(manager)["reproduce"].endswith("--dry-cache")


def test_edits_additions_and_removals_in_the_list_are_saved(any_store, folder):
    store = any_store(str(folder))
    for name in ("a", "b", "c"):
        store.add_run(Manager(name))
    store.runs[0]["notes"] = "edited"
    store.runs[0]["team"] = ["x", {"y": None}]
    del store.runs[1]
    store.runs.append(
        {"reference": "z_7_2020-01-01-T000000", "experiment_name": "z", "run_number": 7}
    )

    store.save()

    again = any_store(str(folder))
    assert again.runs == store.runs == file_of(folder)
    assert [one["experiment_name"] for one in again.runs] == ["a", "c", "z"]
    assert (again.runs[0]["notes"], again.runs[0]["team"]) == ("edited", ["x", {"y": None}])
    assert again.add_run(Manager("z"))["run_number"] == 8


def test_saving_an_empty_list_writes_a_file(any_store, folder):
    any_store(str(folder)).save()

    assert (folder / "store.json").read_text() == "[]"


def test_loading_forgets_edits_that_were_not_saved(any_store, folder):
    store = any_store(str(folder))
    store.add_run(Manager())
    store.runs[0]["notes"] = "not saved"

    store.load()

    assert store.runs[0]["notes"] is None


def test_list_may_be_replaced(any_store, folder):
    store = any_store(str(folder))
    for name in ("a", "b", "a"):
        store.add_run(Manager(name))

    store.runs = [one for one in store.runs if one["experiment_name"] == "a"]
    store.save()

    assert [one["reference"][:3] for one in file_of(folder)] == ["a_1", "a_2"]


def test_edit_is_saved_by_the_next_run_too(any_store, folder):
    store = any_store(str(folder))
    store.add_run(Manager())["notes"] = "edited"

    store.add_run(Manager())

    assert file_of(folder)[0]["notes"] == "edited"


@pytest.mark.parametrize("version", ["0.14.2", "0.20.5"])
def test_store_of_curifactory_opens_with_every_run(any_store, folder, version):
    shutil.copytree(STORES / version, folder, dirs_exist_ok=True)
    text = (folder / "store.json").read_text()

    store = any_store(str(folder))

    assert store.runs == json.loads(text)
    assert (folder / "store.json").read_text() == text
    assert store.add_run(Manager())["run_number"] == 4
    assert store.add_run(Manager("broken"))["run_number"] == 2


def test_manager_without_an_experiment_has_a_run_too(any_store, folder):
    block = any_store(str(folder)).add_run(Manager(None))

    assert block["experiment_name"] is None
    assert any_store(str(folder)).get_experiment_runs(None) == [block]


# From here on, where ours goes further than theirs.


def test_objects_of_each_version_get_their_dialect(folder):
    class Old:
        experiment_name = "old"
        experiment_args_file_list = ("p",)
        experiment_args = {"p": [["n", "1f"]]}  # noqa: RUF012 - a manager of another tool
        store_entire_run = False

    class Middle(Old):
        store_entire_run = None
        git_workdir_dirty = False

    store = ManagerStore(folder)

    page = store.add_run(old := Old())
    assert list(page) == KEYS_OF_THE_PAGE
    assert page["args"] == {"p": [["n", "1f"]]}
    assert list(store.add_run(old)) == KEYS_OF_THE_PAGE
    middle = store.add_run(Middle())
    assert list(middle) == [*KEYS_OF_THE_PAGE[:5], "workdir_dirty", *KEYS_OF_THE_PAGE[5:]]
    assert store.add_run(Manager("old"))["params"] == {}


def test_manager_may_lack_everything_but_a_name(folder):
    class Bare:
        experiment_name = "bare"

    block = ManagerStore(folder).add_run(bare := Bare())

    assert re.fullmatch(r"bare_1_\d{4}-\d\d-\d\d-T\d{6}", block["reference"])
    assert (block["cli"], block["notes"], bare.experiment_run_number) == ("", None, 1)
    with pytest.raises(InvalidValueError, match="no experiment_name"):
        ManagerStore(folder).add_run(object())


def test_update_keeps_the_dialect_the_block_came_with(folder):
    shutil.copytree(STORES / "0.14.2", folder, dirs_exist_ok=True)
    manager = Manager(
        experiment_run_number=3, param_file_param_sets={"x": [["n", "f"]]}, parameter_files=["x"]
    )
    manager.run_timestamp = datetime(2026, 11, 23, 8, 52, 53)  # noqa: DTZ001 - as Curifactory's

    block = ManagerStore(folder).update_run(manager)

    assert block["args"] == {"x": [["n", "f"]]}
    assert "params" not in block


def test_commit_is_whole_and_a_short_one_is_completed(folder, monkeypatch):
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    blocks = json.loads((STORES / "0.20.5" / "store.json").read_text())
    blocks[0]["commit"] = commit[:39]
    (folder / "store.json").write_text(json.dumps(blocks, indent=4))
    monkeypatch.chdir(folder)

    store = ManagerStore(folder)
    store.add_run(manager := Manager())

    assert store.runs[0]["commit"] == commit == file_of(folder)[0]["commit"]
    assert store.runs[1]["commit"] == blocks[1]["commit"]
    assert manager.git_commit_hash == commit
    assert store_at(folder).get("mnist#1").commit == commit


def test_values_of_imported_parameters_come_from_the_registry(folder):
    shutil.copytree(STORES / "0.20.5", folder, dirs_exist_ok=True)
    ManagerStore(folder)

    sets = store_at(folder).get("mnist#2").parameter_sets

    assert [(one.name, one.values) for one in sets] == [
        ("baseline", {"lr": "0.1", "layers": "2"}),
        ("wide ü", {"lr": "0.01", "layers": "8"}),
        ("huge", {"lr": "0.0001", "layers": "64"}),
    ]


def test_number_of_a_removed_run_is_not_given_again(folder):
    store = ManagerStore(folder)
    store.add_run(Manager())
    store.runs.clear()
    store.save()

    assert store.add_run(Manager())["run_number"] == 2


def test_two_open_stores_see_each_others_runs_and_keep_each_others_edits(folder):
    here, there = ManagerStore(folder), ManagerStore(folder)
    here.add_run(Manager("a"))
    there.add_run(Manager("b"))
    here.runs[0]["notes"] = "from here"
    there.get_run("a_1_2026-11-23-T101500")[0]["team"] = "from there"

    here.save()
    there.save()

    assert [one["experiment_name"] for one in here.get_experiment_runs("b")] == ["b"]
    block = file_of(folder)[0]
    assert (block["notes"], block["team"]) == ("from here", "from there")


def test_removal_does_not_touch_what_another_changed_meanwhile(folder):
    here, there = ManagerStore(folder), ManagerStore(folder)
    for name in ("a", "b"):
        here.add_run(Manager(name))
    assert len(there.runs) == 2
    here.runs[0]["notes"] = "still needed"
    here.save()
    there.runs.clear()

    there.save()

    assert [one["notes"] for one in there.runs] == ["still needed"]
    assert file_of(folder) == there.runs


def test_copies_of_blocks_are_known_by_their_reference(folder):
    store = ManagerStore(folder)
    for name in ("a", "b"):
        store.add_run(Manager(name))
    store.runs = copy.deepcopy(store.runs)
    store.runs[1]["notes"] = "edited"

    store.save()

    assert [one["notes"] for one in file_of(folder)] == [None, "edited"]
    assert len(store_at(folder).list()) == 2


def test_edit_of_notes_leaves_an_event(folder):
    store = ManagerStore(folder)
    store.add_run(Manager(notes="old"))
    store.runs[0]["notes"] = "new"

    store.save()

    event = store_at(folder).events("mnist#1")[0]
    assert (event.field, event.old, event.new) == ("notes", "old", "new")


def test_block_that_json_cannot_say_is_refused_and_nothing_is_saved(folder):
    store = ManagerStore(folder)
    store.add_run(Manager())
    before = (folder / "store.json").read_bytes()
    store.runs[0]["model"] = object()

    with pytest.raises(InvalidValueError, match="'model'"):
        store.save()

    assert (folder / "store.json").read_bytes() == before
    assert ManagerStore(folder).runs[0]["notes"] is None


def test_runs_of_the_other_faces_are_in_the_list(folder):
    with store_at(folder).start("bert", params={"lr": 0.1}, notes="n", capture=False) as run:
        pass

    store = ManagerStore(folder)

    block, index = store.get_run(run.reference)
    assert (index, block["status"], block["notes"]) == (0, "complete", "n")
    assert list(block) == KEYS_OF_THE_PAGE
    assert file_of(folder) == [block]
    assert store.add_run(Manager("bert"))["run_number"] == 2


def test_working_directory_may_change_after_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = ManagerStore("here")
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")

    store.add_run(Manager())

    assert store.path == "here/store.json"
    assert len(file_of(tmp_path / "here")) == 1


def test_empty_path_is_refused():
    with pytest.raises(UsageError):
        ManagerStore("")


def test_a_pruned_run_stays_pruned_although_the_file_has_no_word_for_it(folder):
    with store_at(folder) as store:
        store.start("mnist", capture=False).finish("pruned")
    ManagerStore(folder).add_run(Manager())

    text = (folder / "store.json").read_text()
    (folder / "store.json").write_text(text.replace('"notes": ""', '"notes": "by hand"', 1))
    with pytest.warns(StoreWarning, match="1 run changed"):
        again = ManagerStore(folder)

    assert [block["status"] for block in again.runs] == ["incomplete", "incomplete"]
    with store_at(folder) as store:
        kept = store.get("mnist#1")
        assert (kept.status.value, kept.notes) == ("pruned", "by hand")


def test_a_manager_may_report_that_its_run_was_pruned(folder):
    manager, kept = Manager(), ManagerStore(folder)
    kept.add_run(manager)

    manager.status = "pruned"
    block = kept.update_run(manager)

    assert block["status"] == "pruned"
    with store_at(folder) as store:
        ended = store.get("mnist#1")
        assert (ended.status.value, ended.ended_at is None) == ("pruned", False)
        store.resume(ended).finish("interrupted")
    assert [one["status"] for one in ManagerStore(folder).runs] == ["incomplete"]
