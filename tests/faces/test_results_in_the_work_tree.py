"""A program that writes its results into the work tree: its next run has the same code."""

import json

import pytest

from commands import git, python
from commands import runstore_here as runstore
from places import store_at

TRAIN = """\
import sys, runstore
from pathlib import Path
number = int(sys.argv[1])
with runstore.start_run("toy", params={"lr": 0.1}) as run:
    run.log(loss=0.5 * number)
    Path("weights.npy").write_bytes(bytes([0, number]))
    Path("out.csv").write_text(f"loss\\n{number}\\n")
    Path("metrics.json").write_text(f"[{number}]")
"""
NOTHING = {"code": [], "similar": [[], []], "why": []}


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "table.csv").write_text("1\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(project, number):
    ended = python("train.py", str(number), cwd=project)
    assert ended.returncode == 0, ended.stderr


def told(project, *arguments):
    ended = runstore(*arguments, "--json", cwd=project)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def code_of(project, a, b):
    """Return the differences of the code of two runs, as each face has them."""
    diff = told(project, "diff", a, b)
    names = [one["new_path"] for one in diff["code"]["files"]]
    for found in (diff, told(project, "compare", a, b)):
        names += [one["key"] for one in found["differences"] if one["section"] == "code"]
    why = [one["key"] for one in told(project, "why", a, b)["causes"] if one["section"] == "code"]
    similar = [
        [each["key"] for each in one["differences"] if each["section"] == "code"]
        for one in told(project, "similar", b)["similar"]
    ]
    return {"code": names, "why": why, "similar": similar}


def test_results_of_the_runs_before_are_no_difference_of_the_code(project):
    for number in (1, 2, 3):
        run(project, number)

    assert code_of(project, "toy#1", "toy#2") == NOTHING
    assert code_of(project, "toy#2", "toy#3") == NOTHING
    with store_at(project) as store:
        assert [one for one in store.compare("toy#1", "toy#2") if one.section == "code"] == []
        assert "not kept" not in " ".join(store.explain("toy#1", "toy#2").remarks)
        assert len(store.similar("toy#3")) == 2


def test_they_are_named_and_counted_on_request(project):
    for number in (1, 2):
        run(project, number)

    shown = runstore("diff", "toy#1", "toy#2", cwd=project)
    counted = runstore("compare", "toy#1", "toy#2", "--only", "code", "--full", cwd=project)

    names = ["metrics.json", "out.csv", "weights.npy"]
    remark = f"New files that do not count as code differ: {', '.join(names)}."
    assert remark in shown.stderr
    assert remark in runstore("why", "toy#1", "toy#2", cwd=project).stderr
    assert told(project, "diff", "toy#1", "toy#2")["code"]["other_new_files"] == names
    assert "code.other new files\t(none)\t3 files, " in counted.stdout


def test_runs_with_results_are_repeats_for_why(project):
    """Chance is left as a cause, and the number in the command."""
    for number in (1, 2, 4):
        run(project, number)

    for more in ((), ("--no-code",)):
        causes = told(project, "why", "toy#1", "toy#2", *more)["causes"]
        assert {one["key"] for one in causes} == {"chance", "command"}


@pytest.mark.parametrize("name", ["helper.py", "settings.yaml", "settings.json"])
def test_new_code_and_settings_are_a_difference(project, name):
    run(project, 1)
    (project / name).write_text("{}\n")
    run(project, 2)

    found = code_of(project, "toy#1", "toy#2")

    assert found["code"] == [name, "new files", "new files"]
    assert found["similar"] == [[name]]


def test_changed_data_that_git_tracks_is_a_difference(project):
    run(project, 1)
    (project / "table.csv").write_text("2\n")
    run(project, 2)

    found = code_of(project, "toy#1", "toy#2")

    assert found["code"] == ["table.csv", "changes", "changes"]
    assert found["similar"] == [["table.csv"]]


def test_changed_data_hidden_from_git_is_a_difference(project):
    git(project, "update-index", "--assume-unchanged", "table.csv")
    run(project, 1)
    (project / "table.csv").write_text("2\n")
    run(project, 2)

    found = code_of(project, "toy#1", "toy#2")

    assert found["code"] == ["table.csv", "new files", "new files"]
    assert found["similar"] == [["table.csv"]]


def test_data_that_was_committed_meanwhile_is_compared_by_its_contents(project):
    (project / "same.csv").write_text("1\n")
    (project / "other.csv").write_text("1\n")
    run(project, 1)
    (project / "other.csv").write_text("2\n")
    git(project, "add", "same.csv", "other.csv")
    git(project, "commit", "-qm", "two")
    run(project, 2)

    code = told(project, "diff", "toy#1", "toy#2")["code"]

    assert [(one["kind"], one["new_path"]) for one in code["files"]] == [("changed", "other.csv")]
    assert code["other_new_files"] == ["metrics.json", "out.csv", "weights.npy"]


def test_data_named_in_the_command_is_a_difference(project):
    for number in (1, 2):
        (project / "data.csv").write_text(f"{number}\n")
        python("train.py", "7", "data.csv", cwd=project)

    found = code_of(project, "toy#1", "toy#2")

    assert found["code"] == ["data.csv", "new files", "new files"]
    assert found["similar"] == [["data.csv"]]


def test_binary_data_named_in_the_command_is_compared_by_its_fingerprint(project):
    for number in (1, 1, 2):
        (project / "data.npy").write_bytes(bytes([0, number]))
        python("train.py", "7", "data.npy", cwd=project)

    same, other = (code_of(project, *names) for names in (("toy#1", "toy#2"), ("toy#2", "toy#3")))
    shown = runstore("diff", "toy#2", "toy#3", cwd=project)

    assert same["code"] == []
    assert other["code"] == ["data.npy", "new files", "new files"]
    assert other["similar"] == [["data.npy"], ["data.npy"]]
    assert other["why"] == ["new files"]
    assert "Not in the patch: data.npy (not text)." in shown.stderr
    assert "not kept" not in shown.stderr


def test_a_link_that_became_a_file_is_one_difference(project):
    """Links are recorded by a fingerprint, and texts are kept."""
    (project / "helper.py").symlink_to("train.py")
    run(project, 1)
    (project / "helper.py").unlink()
    (project / "helper.py").write_text("value = 1\n")
    run(project, 2)

    assert code_of(project, "toy#1", "toy#2")["similar"] == [["helper.py"]]


def test_a_run_is_not_skipped_if_its_new_data_changed(project):
    """The program may read it."""
    for number in (1, 1, 2):
        run(project, number)
    skipping = TRAIN.replace("params=", "if_done='skip', params=")
    (project / "train.py").write_text(skipping)
    run(project, 2)

    skipped = python("train.py", "2", cwd=project)
    (project / "out.csv").write_text("other\n")
    again = python("train.py", "2", cwd=project)

    assert "AlreadyRanError" in skipped.stderr
    assert again.returncode == 0, again.stderr
