"""Files and folders named in a command: whether one changed after an earlier run of it."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from commands import git
from runstore.analysis.reruns import inputs
from runstore.analysis.reruns.inputs import FilesNow, arguments_now
from runstore.capture.git import state

NOW = datetime.now(timezone.utc)
EARLIER = SimpleNamespace(ended_at=NOW - timedelta(days=1))
LATER = SimpleNamespace(ended_at=NOW + timedelta(days=1))


@pytest.fixture
def project(tmp_path):
    """A repository with tracked data, all of it written after the earlier run."""
    folder = tmp_path / "project"
    (folder / "data" / "below").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "below/c.csv"):
        (folder / "data" / name).write_text("1")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    (tmp_path / "link").symlink_to(folder)
    return folder


def changed(project, *words, run=EARLIER):
    files = FilesNow(SimpleNamespace(part=lambda _: SimpleNamespace(extent=len)))
    return [(one.key, one.values[1]) for one in arguments_now(run, words, project, files)]


@pytest.mark.parametrize("word", ["data", "./data/", "data/below/../../data", "{}/project/data"])
def test_tracked_files_are_no_data_and_git_is_asked_once(project, monkeypatch, word):
    calls = []
    run_git = state.run_git
    monkeypatch.setattr(state, "run_git", lambda *a, **b: calls.append(a) or run_git(*a, **b))

    assert changed(project, word.format(project.parent)) == []
    assert len(calls) == 1


def test_a_new_link_on_the_way_may_have_led_elsewhere(project):
    word = f"{project.parent}/link/data"

    assert [one for one, _ in changed(project, word)] == [word]


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("new/below/x.csv", None),
        ("--data=new/below/x.csv", "new/below/x.csv"),
        ("-fnew/below/x.csv", "new/below/x.csv"),
        ("@new/below/x.csv", "new/below/x.csv"),
        ("other.csv,new/below/x.csv", "new/below/x.csv"),
        ("new/below/x.csv:ro", "new/below/x.csv"),
        ('{"data": "new/below/x.csv"}', "new/below/x.csv"),
        ("cat new/below/x.csv | awk -F= 1", "new/below/x.csv"),
        ("lr=0.1.csv", None),
        ("--data=lr=0.1.csv", "lr=0.1.csv"),
        ("new", None),
        ("new/", None),
        ("link.csv", None),
    ],
)
def test_files_are_found_in_any_argument_that_names_them(project, argument, name):
    (project / "new" / "below").mkdir(parents=True)
    (project / "new" / "below" / "x.csv").write_text("1")
    for link in ("link.csv", "lr=0.1.csv"):
        (project / link).symlink_to("new/below/x.csv")

    assert [one for one, _ in changed(project, "echo", argument)] == [name or argument]
    assert changed(project, "echo", argument, run=LATER) == []


@pytest.mark.parametrize("name", ["new.csv", "below/new.csv", "?.csv"])
def test_a_new_file_among_tracked_ones_is_data(project, name):
    (project / "data" / name).write_text("1")

    ((word, now),) = changed(project, "data")

    assert word == "data"
    assert now.startswith("written ")
    assert [one for one, _ in changed(project, f"data/{name}")] == [f"data/{name}"]


def test_a_folder_with_too_many_files_counts_as_changed(project, monkeypatch):
    monkeypatch.setattr(inputs, "_FILES_AT_MOST", 3)

    assert changed(project, "data") == [("data", "more than 3 files")]
    assert changed(project, "data/below") == []
