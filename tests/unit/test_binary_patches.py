"""Binary parts of patches: read as git writes them, and written as git reads them."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import git
from runstore import Store, background
from runstore.analysis.compare.code import code_changes
from runstore.capture.git.snapshot import snapshot
from runstore.capture.git.state import run_git
from runstore.model.code.binary_patches import (
    BinaryPatchError,
    apply_binary,
    as_binary,
    object_after,
)
from runstore.model.facts import Facts


def diff(folder):
    command = ["git", "diff", "--binary", "--full-index", "HEAD"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


LONG = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\0a", b"\0b"),
        (LONG, LONG[:5000] + b"new" + LONG[5000:]),  # a delta
        (LONG, b""),
        (b"\0", LONG * 30),
        (LONG * 9, LONG * 9 + b"\0end"),
    ],
)
def test_what_git_writes_is_read(repository, before, after):
    (repository / "x.bin").write_bytes(before)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    (repository / "x.bin").write_bytes(after)

    patch = snapshot(repository, run_git).documents["patch"]

    assert apply_binary(before, patch) == after
    named = subprocess.run(
        ["git", "hash-object", "x.bin"], cwd=repository, check=True, capture_output=True, text=True
    )
    assert object_after(patch) in {named.stdout.strip(), "0"}


@settings(max_examples=30)
@given(st.binary(min_size=1, max_size=400))
def test_what_is_written_is_read(data):
    lines = data.replace(b"\n", b" ").decode("latin-1")
    head = "diff --git a/x b/x\nnew file mode 100644\nindex 0000000"
    text = f"{head}..{'0' * 7}\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+{lines}\n"

    assert apply_binary(b"", as_binary(text, b"")) == data.replace(b"\n", b" ") + b"\n"


@pytest.mark.parametrize("text", ["", "literal 3\nzzz\n", "delta 9\nHcmV?d00001\n", "odd 0\n\n"])
def test_damage_is_an_error(text):
    with pytest.raises(BinaryPatchError):
        apply_binary(b"abc", f"diff --git a/x b/x\nGIT binary patch\n{text}\n")


def test_runs_with_other_bytes_have_other_code(tmp_path, monkeypatch):
    """The same bytes are no change, whether they were committed or not."""
    monkeypatch.chdir(tmp_path)
    latin = b"# -*- coding: latin-1 -*-\nx = '%c'\n\0"
    with Store.open(tmp_path / "s") as store:
        repo = tmp_path / "repo"
        repo.mkdir()
        git(repo, "init", "-q")
        (repo / "f.bin").write_bytes(b"\0old")
        git(repo, "add", ".")
        git(repo, "commit", "-q", "-m", "a")
        runs = []
        for number in (233, 233, 232):
            (repo / "f.bin").write_bytes(latin % number)
            monkeypatch.chdir(repo)
            with store.start("e", argv=["python", "f.py"]) as run:
                pass
            background.wait_until_done(60)
            store.backend.database.attach_facts(run.uid, Facts(documents={"patch": diff(repo)}))
            runs.append(store.get(run.reference))
        git(repo, "commit", "-aqm", "b")
        with store.start("e", argv=["python", "f.py"]) as run:
            pass
        background.wait_until_done(60)
        committed = store.get(run.reference)

        assert code_changes(store.backend, runs[0], runs[1]).files == ()
        assert [one.path for one in code_changes(store.backend, runs[1], runs[2]).files] == [
            "f.bin"
        ]
        assert code_changes(store.backend, runs[2], committed).files == ()
