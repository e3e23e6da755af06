"""A location means one place, however it is written and wherever the program goes afterwards."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runstore import Store, StoreWarning, started_in
from runstore.errors import StoreUnavailableError, UsageError
from runstore.location import find_place
from runstore.start import start_run

pytestmark = pytest.mark.folder_only("is about folders")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory that the program is taken to have started in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(started_in, "STARTED_IN", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("results", "{here}/results"),
        ("./a/../results", "{here}/a/../results"),
        (b"results", "{here}/results"),
        (Path("results"), "{here}/results"),
        ("/data/results", "/data/results"),
        ("~", "{here}/home"),
        ("~/results", "{here}/home/results"),
        ("./~", "{here}/~"),
        ("results/runstore.db", "{here}/results"),
        ("sqlite:///results", "{here}/results"),
        ("sqlite:////data/results", "/data/results"),
        ("sqlite:///results/runstore.db", "{here}/results"),
        ("sqlite:///~/results", "{here}/home/results"),
        ("sqlite:///50%25", "{here}/50%25"),
        ("file:///data/my%20results", "/data/my results"),
        ("file://localhost/data/results", "/data/results"),
    ],
)
def test_a_location_is_an_absolute_path(here, location, found):
    assert find_place(location) == str(Path(found.format(here=here)))


@pytest.mark.parametrize(
    "location",
    ["", " ", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a?mode=ro",
     "mysql://host/runs", "~no-such-user-here/results"],
)  # fmt: skip
def test_no_place_on_a_disk_is_refused(here, location):
    with pytest.raises(UsageError) as refused:
        find_place(location)

    assert refused.value.hint
    assert list(here.iterdir()) == []


def test_the_hint_for_an_unknown_home_names_the_folder(here):
    with pytest.raises(UsageError, match=r" \./~no-such-user-here/results\.$"):
        find_place("~no-such-user-here//results/.")


def test_files_stay_in_the_store_that_was_opened(here, monkeypatch):
    """The contents and the clean-up of one store must not reach another of the same name."""
    kept = {}
    for name in "ab":
        (here / name).mkdir()
        monkeypatch.chdir(here / name)
        kept[name] = Store.open("results")
    run = kept["a"].start("fit", capture=False)
    run.save("model.bin", b"of a")
    run.tags["phase"] = "pilot"
    run.finish()
    other = kept["b"].start("fit", capture=False)
    other.save("model.bin", b"of b")
    other.finish()

    kept["a"].collect_garbage()

    assert kept["a"].get("fit#1").read_bytes("model.bin") == b"of a"
    assert kept["b"].get("fit#1").read_bytes("model.bin") == b"of b"


def test_a_setting_of_the_whole_program_starts_from_its_first_folder(here, monkeypatch):
    monkeypatch.setenv("RUNSTORE_URL", "results")
    (here / "job").mkdir()
    monkeypatch.chdir(here / "job")

    assert find_place() == str(here / "results")


def test_jobs_in_folders_of_their_own_share_one_store(tmp_path):
    script = """
        import os, runstore
        for job in "01":
            os.makedirs(f"outputs/{job}"); os.chdir(f"outputs/{job}")
            runstore.start_run("fit", capture=False).finish()
            os.chdir("../..")
    """

    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)], cwd=tmp_path, check=True
    )

    assert ended.returncode == 0
    assert [one.parent for one in tmp_path.rglob("runstore.db")] == [tmp_path / ".runstore"]
    with Store.open(tmp_path / ".runstore") as store:
        assert [run.run_number for run in store.find()] == [2, 1]


def test_a_store_apart_from_the_start_is_said_when_it_is_made(here, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)

    with pytest.warns(StoreWarning, match=f"started in {here}.*RUNSTORE_URL"):
        start_run("fit", capture=False).finish()
    start_run("fit", capture=False).finish()

    with Store.open(elsewhere / ".runstore", create=False) as store:
        assert len(store.find()) == 2


def test_a_project_that_is_entered_later_keeps_its_own_store(here, monkeypatch):
    project = here / "project"
    (project / ".runstore").mkdir(parents=True)
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")

    assert find_place() == str(project / ".runstore")
    os.chdir(here)
    assert find_place() == str(here / ".runstore")


def test_reading_creates_no_store(here):
    store = Store.open()

    for read in (store.list, store.find, store.experiments, lambda: store.get("latest")):
        with pytest.raises(StoreUnavailableError, match="There is no store at"):
            read()
    assert len(Store.open().path.parts) > 1
    assert list(here.iterdir()) == []

    with store.start("fit", capture=False):
        pass
    assert [run.reference for run in store.list()] == [store.get("fit#1").reference]
    store.close()


def test_a_store_that_was_not_created_can_be_closed(here):
    with Store.open():
        pass

    assert list(here.iterdir()) == []


def test_a_store_that_another_one_creates_can_be_read(here):
    early = Store.open()
    with Store.open() as other:
        other.start("fit", capture=False).finish()

    assert early.get("fit#1").status == "complete"
    early.start("fit", capture=False).finish()
    assert [run.run_number for run in early.list()] == [2, 1]


def test_a_filter_and_a_past_run_create_a_store(here, monkeypatch):
    for name, write in (
        ("queries", lambda store: store.queries.__setitem__("good", "params.lr < 1")),
        ("record", lambda store: store.record("old", started_at=1e9)),
    ):
        (here / name).mkdir()
        monkeypatch.chdir(here / name)
        monkeypatch.setattr(started_in, "STARTED_IN", str(here / name))
        with Store.open() as store:
            write(store)
            assert store.path.is_dir()


def test_a_store_that_is_named_is_created_when_it_is_opened(tmp_path):
    Store.open(tmp_path / "results").close()

    with Store.open(tmp_path / "results", create=False) as store:
        assert list(store.list()) == []
    with pytest.raises(StoreUnavailableError, match="There is no store at"):
        Store.open(tmp_path / "resluts", create=False)


def test_a_place_that_cannot_be_written_is_refused_at_opening(tmp_path, monkeypatch):
    (tmp_path / ".runstore").write_text("a file")
    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path / ".runstore" / "inside"))

    with pytest.raises(StoreUnavailableError, match="cannot be opened"):
        Store.open()


def test_a_misspelt_setting_is_warned_of_once(here):
    """It may be one that masks secrets."""
    (here / "pyproject.toml").write_text("[tool.runstore]\nmask_output = true\n")

    with pytest.warns(StoreWarning) as said:
        for _ in range(2):
            start_run("fit", capture=False).finish()

    (message,) = (str(one.message) for one in said if "setting" in str(one.message))
    assert "has an unknown setting 'mask_output', which has no effect" in message
    assert "Did you mean 'mask-output'?" in message


def test_a_store_in_the_settings_is_a_text(here):
    (here / "pyproject.toml").write_text("[tool.runstore]\nstore = 3\n")

    with pytest.raises(UsageError, match=r"store in .* is 3"):
        start_run("fit", capture=False)

    assert [path.name for path in here.iterdir()] == ["pyproject.toml"]


def test_in_the_folder_of_a_store_its_name_is_suggested(tmp_path, monkeypatch):
    Store.open(tmp_path / "team").close()
    monkeypatch.chdir(tmp_path / "team")

    with pytest.raises(StoreUnavailableError, match=r"is a store itself\. Name it with: --store"):
        Store.open().list()


@pytest.mark.parametrize("target", ["disk/that/is/away", ".runstore"])
@pytest.mark.parametrize("place", ["project", "project/src"])
def test_no_other_store_replaces_one_that_cannot_be_looked_at(here, target, place):
    """Its runs would be recorded to the store of a folder above, or to a new one."""
    Store.open(here / ".runstore").close()
    (here / place).mkdir(parents=True)
    (here / "project" / ".runstore").symlink_to(target)

    os.chdir(here / place)

    with pytest.raises(StoreUnavailableError, match=r"project/\.runstore cannot be opened"):
        start_run("fit")
    with pytest.raises(StoreUnavailableError, match=r"project/\.runstore cannot be opened"):
        Store.open(here / "project")
    assert [path.name for path in (here / "project").iterdir() if path.name != "src"] == [
        ".runstore"
    ]


@pytest.mark.parametrize("create", [False, None])
def test_a_folder_that_cannot_be_reached_is_not_called_missing(tmp_path, create):
    (tmp_path / "runs").symlink_to("runs")

    with pytest.raises(StoreUnavailableError, match="Too many levels of symbolic links"):
        Store.open(tmp_path / "runs", create=create)
