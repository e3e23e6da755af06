"""runstore export: what it prints, and how it ends."""

import json

import pytest

from commands import runstore_here as runstore
from places import store_at

pytest.importorskip("pyarrow")


@pytest.fixture
def project(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for lr in (0.1, 0.2):
            store.start("mnist", params={"lr": lr}, capture=False).finish()
    return tmp_path


def test_it_reports_what_it_wrote(project):
    first = runstore("export", "--parquet", "out", cwd=project)
    again = runstore("export", "--parquet", "out", cwd=project)

    assert first.stdout == "runstore: out has 2 runs (6 files written).\n"
    assert again.stdout == "runstore: out has 2 runs (0 files written, 6 up to date).\n"


def test_experiments_filters_and_runs_limit_it(project):
    ended = runstore(
        "export", "mnist", "params.lr > 0.15", "--parquet", "out", "--json", cwd=project
    )
    one = runstore("export", "mnist#1", "--parquet", "one", "--json", cwd=project)

    assert json.loads(ended.stdout) == {
        "folder": str(project / "out"), "runs": 1, "written": 6, "unchanged": 0, "removed": 0,
        "left_out": [],
    }  # fmt: skip
    assert json.loads(one.stdout)["runs"] == 1


def test_the_format_must_be_named(project):
    ended = runstore("export", cwd=project)

    assert ended.returncode == 2
    assert "--parquet DIR" in ended.stderr


def test_experiments_are_completed(project):
    asking = {"_RUNSTORE_COMPLETE": "zsh_complete", "COMP_WORDS": "runstore export "}

    ended = runstore(cwd=project, env={**asking, "COMP_CWORD": "2"})

    assert "mnist" in ended.stdout.splitlines()
