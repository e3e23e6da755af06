"""Binary patches of git: the contents that they hold are read as they were."""

import subprocess

import pytest

from commands import git
from runstore import Store, lifetime
from runstore.comparing.code_of_run import code_changes
from runstore.model.binary_patches import literal_contents
from runstore.model.facts import Facts


def patch_of(folder, old, new):
    git(folder, "init", "-q")
    (folder / "f.bin").write_bytes(old)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a")
    (folder / "f.bin").write_bytes(new)
    return diff(folder)


def diff(folder):
    command = ["git", "diff", "--binary", "--full-index", "HEAD"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    "new", [b"\0", b"\0abc", bytes(range(256)) * 5, b"\0" * 100_000, b"\0" + b"line\n" * 21]
)
def test_contents_are_those_of_the_file(tmp_path, new):
    assert literal_contents(patch_of(tmp_path, b"\0old", new)) == new


@pytest.mark.parametrize(
    "text",
    [
        "",
        "diff --git a/x b/x\nBinary files differ\n",
        "GIT binary patch\nliteral 5\n\n",
        "GIT binary patch\nliteral 5\nEcmZ?w\n\n",
        "GIT binary patch\nliteral 999999999999\nAa0\n\n",
        "GIT binary patch\nliteral 4\nzzzzzz\n\n",
    ],
)
def test_what_is_no_such_patch_holds_nothing(text):
    assert literal_contents(text) is None


def test_runs_with_other_bytes_have_other_code(tmp_path, monkeypatch):
    """The same bytes are no change, whether they were committed or not."""
    monkeypatch.chdir(tmp_path)
    latin = b"# -*- coding: latin-1 -*-\nx = '%c'\n\0"
    with Store.open(tmp_path / "s") as store:
        repo = tmp_path / "repo"
        repo.mkdir()
        patch_of(repo, b"\\0", b"")
        runs = []
        for number in (233, 233, 232):
            (repo / "f.bin").write_bytes(latin % number)
            monkeypatch.chdir(repo)
            with store.start("e", argv=["python", "f.py"]) as run:
                pass
            lifetime.wait_for_background()
            store.database.attach_facts(run.uid, Facts(documents={"patch": diff(repo)}))
            runs.append(store.get(run.reference))
        git(repo, "commit", "-aqm", "b")
        with store.start("e", argv=["python", "f.py"]) as run:
            pass
        lifetime.wait_for_background()
        committed = store.get(run.reference)

        assert code_changes(store, runs[0], runs[1]).files == ()
        assert [one.path for one in code_changes(store, runs[1], runs[2]).files] == ["f.bin"]
        assert code_changes(store, runs[2], committed).files == ()
