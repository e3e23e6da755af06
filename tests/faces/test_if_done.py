"""--if-done on the command line, and sweeps that go on where they were killed."""

import json
import os
import signal
import subprocess
import sys

import pytest

from commands import git, messages, python, runstore, runstore_here
from places import store_at
from runstore.cli.already_ran import say_nearest
from runstore.errors import StoreUnavailableError
from runstore.storage.prior_runs import EarlierRuns

EXPERIMENT = """
def get_params():
    return {"lr": 0.1}

def run(params, manager):
    manager.log(acc=params["lr"] * 2)
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "fit.py").write_text(EXPERIMENT)
    (tmp_path / "pyproject.toml").write_text("[tool.runstore]\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_the_same_again_is_said_and_run(project):
    first = runstore("run", "fit", cwd=project)
    again = runstore("run", "fit", cwd=project)

    assert not any("is an identical run" in line for line in messages(first))
    assert any("fit_1_" in line and "is an identical run" in line for line in messages(again))
    assert again.returncode == 0
    assert len(store_at(project / ".runstore").list()) == 2


def test_skip_prints_the_earlier_run_and_starts_nothing(project):
    runstore("run", "fit", cwd=project)

    skipped = runstore("run", "fit", "--if-done", "skip", cwd=project)
    other = runstore("run", "fit", "--set", "lr=0.2", "--if-done", "skip", cwd=project)

    assert skipped.returncode == 0
    assert skipped.stdout.startswith("fit_1_")
    assert "skipped" in skipped.stderr
    assert other.returncode == 0
    assert "recorded as fit_2_" in other.stderr


def test_error_ends_with_its_own_exit_code(project):
    runstore("run", "fit", cwd=project)

    ended = runstore("run", "fit", "--if-done", "error", cwd=project)

    assert ended.returncode == 4
    assert "is an identical run" in ended.stderr
    assert "--if-done run" in ended.stderr


def test_the_nearest_is_told_with_what_differs(project):
    runstore("run", "fit", cwd=project)

    for number, choice in enumerate(("warn", "skip", "error"), 2):
        lr = f"lr=0.{number}"
        ended = runstore("run", "fit", "--set", lr, "--if-done", choice, cwd=project)
        near = f"fit#{number - 1} (complete); differs in lr: 0.{max(1, number - 1)} → 0.{number}"
        assert f"no identical run is complete; the nearest is {near}" in ended.stderr


@pytest.mark.parametrize("choice", ["warn", "skip", "error"])
def test_a_command_that_is_not_skipped_says_why(project, choice):
    command = ("exec", "--if-done", choice, "--", "echo")

    first = runstore(*command, "1", cwd=project)
    other = runstore(*command, "2", cwd=project)
    plain = runstore("exec", "--", "echo", "3", cwd=project)

    near = "the nearest is echo#1 (complete); differs in command.arguments: echo, 1 → echo, 2"
    assert near in other.stderr
    assert "nearest" not in first.stderr + plain.stderr


def test_a_store_that_fails_meanwhile_keeps_no_command_from_running(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    with store_at(project / ".runstore") as store:
        store.start("fit", params={"lr": 1}).finish()
        with store.start("fit", params={"lr": 2}, if_done="skip") as run:
            monkeypatch.setattr(EarlierRuns, "candidates", fails)
            say_nearest(run, "skip")

    assert "nearest" not in capsys.readouterr().err


def fails(*_):
    raise StoreUnavailableError("The server did not answer.")


def test_a_project_that_skips_says_why_it_did_not(project):
    (project / "pyproject.toml").write_text('[tool.runstore]\nif-done = "skip"\n')
    git(project, "commit", "-qam", "skip")

    for number in (1, 2):
        ended = runstore("run", "fit", "--set", f"lr=0.{number}", cwd=project)

    assert "the nearest is fit#1 (complete); differs in lr: 0.1 → 0.2" in ended.stderr


def test_similar_lists_the_nearest_runs_and_what_differs(project):
    for lr in ("0.1", "0.2", "0.3"):
        runstore("run", "fit", "--set", f"lr={lr}", cwd=project)

    listed = runstore_here("similar", "fit#3", cwd=project).stdout.splitlines()
    told = json.loads(runstore_here("similar", "fit#3", "-n", "1", "--json", cwd=project).stdout)

    assert [line.split("\t")[0][:5] for line in listed] == ["run", "fit_2", "fit_1"]
    assert listed[1].endswith("lr: 0.2 → 0.3")
    assert [one["differences"][0]["key"] for one in told["similar"]] == ["lr"]


def test_similar_shows_all_differences_in_a_pipe(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for number in (1, 2):
            params = {f"p{place}": f"{number}{'x' * 50}" for place in range(5)}
            store.start("fit", params=params, capture=False).finish()

    listed = runstore_here("similar", "fit#2", cwd=tmp_path).stdout.splitlines()

    one, other = ("'" + str(number) + 50 * "x" + "'" for number in (1, 2))
    assert listed[1].count(f": {one} → {other}") == 5


def test_a_project_may_choose(project):
    (project / "pyproject.toml").write_text('[tool.runstore]\nif-done = "error"\n')
    runstore("run", "fit", cwd=project)

    assert runstore("run", "fit", cwd=project).returncode == 4
    assert runstore("run", "fit", "--if-done", "run", cwd=project).returncode == 0
    (project / "pyproject.toml").write_text('[tool.runstore]\nif-done = "perhaps"\n')
    wrong = runstore("run", "fit", cwd=project)
    assert wrong.returncode == 2
    assert "if-done cannot be 'perhaps'" in wrong.stderr


def test_a_dry_run_looks_at_nothing(project):
    runstore("run", "fit", cwd=project)

    assert runstore("run", "fit", "--no-record", "--if-done", "error", cwd=project).returncode == 0


def test_of_a_command_all_arguments_count_and_files_among_them(project):
    (project / ".gitignore").write_text("*.csv\n.runstore\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "second")
    (project / "data.csv").write_text("1")
    command = ("exec", "--if-done", "skip", "--", "cat", "data.csv")

    assert runstore(*command, cwd=project).stdout == "1"
    assert runstore(*command, cwd=project).stdout.startswith("cat_1_")
    assert runstore(*command[:-1], "/dev/null", cwd=project).stdout == ""
    (project / "data.csv").write_text("2")
    assert runstore(*command, cwd=project).stdout == "2"


@pytest.mark.parametrize("argument", ["-fdata/below/x.csv", '{"data": "data/below/x.csv"}'])
def test_files_are_found_in_any_argument_that_names_them(project, argument):
    (project / ".gitignore").write_text("data\n*.csv\n.runstore\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "second")
    (project / "data" / "below").mkdir(parents=True)
    (project / "data" / "below" / "x.csv").write_text("1")
    command = ("exec", "--if-done", "skip", "--", "echo", argument)
    runstore(*command, cwd=project)

    again = runstore(*command, cwd=project)
    (project / "data" / "below" / "x.csv").write_text("2")
    changed = runstore(*command, cwd=project)

    assert again.stdout.startswith("echo_1_")
    assert changed.stdout == f"{argument}\n"


@pytest.mark.parametrize("option", [("--out", "results"), ("--save-to=results",)])
def test_a_folder_for_the_results_of_all_runs_is_no_data(project, option):
    (project / ".gitignore").write_text("results\n.runstore\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "second")
    (project / "results").mkdir()
    command = ("exec", "--if-done", "skip", "--", "echo", *option)
    runstore(*command, cwd=project)

    (project / "results" / "of-another.bin").write_text("1")

    assert runstore(*command, cwd=project).stdout.startswith("echo_1_")


def test_a_store_in_the_work_tree_that_gets_runs_is_no_change(project):
    command = ("exec", "--if-done", "skip", "--", "echo", "a")
    runstore(*command, cwd=project)

    pushed = runstore("push", "team/runs", cwd=project)

    assert pushed.returncode == 0, pushed.stderr
    assert runstore(*command, cwd=project).stdout.startswith("echo_1_")


def test_an_older_file_that_is_moved_into_place_counts(project):
    (project / ".gitignore").write_text("*.csv\n.runstore\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "second")
    for name in ("older.csv", "data.csv"):
        (project / name).write_text(name)
    command = ("exec", "--if-done", "skip", "--", "cat", "data.csv")
    runstore(*command, cwd=project)

    (project / "older.csv").replace(project / "data.csv")

    assert runstore(*command, cwd=project).stdout == "older.csv"


def _link_again(folder):
    (folder / "latest").unlink()
    (folder / "latest").symlink_to("v2")


def _data_again(folder):
    """Let the last of two links lead elsewhere."""
    (folder / "sets" / "now").unlink()
    (folder / "sets" / "now").symlink_to("../v2")


def _swap(folder):
    (folder / "v1").rename(folder / "v0")
    (folder / "v2").rename(folder / "v1")


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("latest/x.csv", _link_again),
        ("latest/..", _link_again),
        ("data/x.csv", _data_again),
        ("--in=data", _data_again),
        ("v1", _swap),
        ("v1", lambda folder: (folder / "v1" / "y.csv").unlink()),
    ],
    ids=["link-above", "link-and-up", "second-link", "last-link", "swapped-folder", "removed"],
)
def test_data_that_is_replaced_or_removed_counts(project, argument, change):
    for name in ("v1", "v2"):
        (project / name).mkdir()
        for data in ("x.csv", "y.csv"):
            (project / name / data).write_text(name)
    (project / "sets").mkdir()
    for link, target in (("latest", "v1"), ("data", "sets/now"), ("sets/now", "../v1")):
        (project / link).symlink_to(target)
    (project / ".gitignore").write_text("*.csv\nlatest\ndata\nsets\n.runstore\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "second")
    command = ("exec", "--if-done", "skip", "--", "echo", argument)
    runstore(*command, cwd=project)
    again = runstore(*command, cwd=project)

    change(project)

    assert again.stdout.startswith("echo_1_")
    assert runstore(*command, cwd=project).stdout == f"{argument}\n"


def test_files_that_git_tracks_and_the_folder_around_are_no_data(project):
    (project / "code").mkdir()
    (project / "code" / "x.py").write_text("1\n")
    git(project, "add", "code")
    git(project, "commit", "-qm", "second")
    command = ("exec", "--if-done", "skip", "--", "echo", "code", ".")
    runstore(*command, cwd=project)

    (project / "code" / "x.py").write_text("1\n")
    (project / "code" / ".x.py.swp").touch()
    (project / "code" / ".x.py.swp").unlink()

    assert runstore(*command, cwd=project).stdout.startswith("echo_1_")


def test_another_command_of_runstore_is_another_run(project):
    """A command is compared as a whole, also where its program is runstore itself."""
    first = runstore("exec", "--if-done", "skip", "--", "env", "echo", "a", cwd=project)
    other = runstore("exec", "--if-done", "skip", "--", "env", "echo", "b", cwd=project)
    script = project / "runstore"
    script.write_text("#!/bin/sh\necho $1\n")
    script.chmod(0o755)
    git(project, "add", ".")
    git(project, "commit", "-qm", "second")
    ran = [
        runstore("exec", "--if-done", "skip", "--", "./runstore", word, cwd=project).stdout
        for word in ("a", "b", "a")
    ]

    assert (first.stdout, other.stdout) == ("a\n", "b\n")
    assert ran[:2] == ["a\n", "b\n"]
    assert ran[2].startswith("runstore_1_")


SWEEP = """
import sys, time
import runstore

for n in range(12):
    try:
        with runstore.start_run("sweep", params={"n": n}, if_done="skip") as run:
            run.log(n=n)
            print("ran", n, flush=True)
    except runstore.AlreadyRanError:
        print("had", n, flush=True)
"""


def test_a_sweep_that_was_killed_goes_on_where_it_was(project):
    (project / "sweep.py").write_text(SWEEP)
    git(project, "add", ".")
    git(project, "commit", "-qm", "second")
    first = subprocess.Popen(
        [sys.executable, "sweep.py"], cwd=project, stdout=subprocess.PIPE, text=True
    )
    for line in first.stdout:
        if line == "ran 5\n":
            break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stdout.close()

    with store_at(project / ".runstore") as store:
        done = {run.params["n"] for run in store.list() if run.status.value == "complete"}
    again = python("sweep.py", cwd=project)
    ran = {int(line.split()[1]) for line in again.stdout.splitlines() if line.startswith("ran")}

    assert {*range(4)} <= done
    # What ended in the moment of the kill may lack what is read in the background.
    assert set(range(12)) - done <= ran <= set(range(12)) - done | {3, 4, 5}
    with store_at(project / ".runstore") as store:
        complete = store.find("status = complete", limit=None)
        assert {run.params["n"] for run in complete} == set(range(12))
